"""Score a checkpoint of any origin on the test set of its data set."""

from core.errors import run_main
from core.settings import evaluation_parser
from plif.config import CONFIGS


def main() -> None:
    """Parse first: --help needs no PyTorch."""
    parser = evaluation_parser("a state dict of the authors' code, *.pth")
    parser.add_argument("--dataset_name", choices=list(CONFIGS), help="of a state dict")
    parser.add_argument("--T", type=int, help="time steps")
    parser.add_argument("--init_tau", type=float, help="time constant of LIF neurons")
    parser.add_argument("--use_max_pool", action="store_true", default=None, help="or:")
    parser.add_argument(
        "--use_avg_pool", action="store_false", dest="use_max_pool", help="average pooling"
    )
    parser.add_argument("--split_by", choices=["number", "time"], help="see train.py --help")
    parser.add_argument(
        "--normalization",
        choices=["None", "frequency", "max", "norm", "sum"],
        help="see train.py --help",
    )
    options = parser.parse_args()
    from core.paper import evaluate_checkpoint
    from plif.paper import PLIF

    evaluate_checkpoint(PLIF, options)


if __name__ == "__main__":
    run_main(main)
