"""Score a checkpoint of any origin on the test set of its task."""

from core.errors import run_main
from core.paths import user_path
from core.settings import evaluation_parser


def main() -> None:
    """Parse first: --help needs no PyTorch."""
    parser = evaluation_parser(
        "a *.pt file of the authors' or the seed repository, by its name where it is published"
    )
    parser.add_argument(
        "--task",
        choices=["ecg", "smnist", "psmnist", "shd", "gsc"],
        help="for a *.pt file that is not known",
    )
    parser.add_argument(
        "--neuron", choices=["brf", "rf", "alif"], help="for a *.pt file that is not known"
    )
    parser.add_argument(
        "--permutation", type=user_path, help="pixel order of a *.pt PS-MNIST network"
    )
    options = parser.parse_args()
    from brf.paper import BRF
    from brf.published import find
    from core.paper import evaluate_checkpoint

    options.checkpoint = find(options.checkpoint)
    evaluate_checkpoint(BRF, options)


if __name__ == "__main__":
    run_main(main)
