"""Score a checkpoint on the test set of its task."""

from core.errors import run_main
from core.settings import evaluation_parser


def main() -> None:
    """Parse first: --help needs no PyTorch."""
    parser = evaluation_parser(
        "a state dict with the authors' names, *.pth, beside its config.yaml"
    )
    parser.add_argument("--protocol", choices=["published", "clean"], help="see main.py --help")
    options = parser.parse_args()
    from bsnn.paper import BSNN_PAPER
    from core.paper import evaluate_checkpoint

    evaluate_checkpoint(BSNN_PAPER, options)


if __name__ == "__main__":
    run_main(main)
