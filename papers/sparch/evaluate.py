"""Score a checkpoint of any origin on the test set of its task."""

from core.errors import run_main
from core.settings import evaluation_parser


def main() -> None:
    """Parse first: --help needs no PyTorch."""
    parser = evaluation_parser("a state dict with the authors' names, *.pth")
    parser.add_argument(
        "--evaluations", type=int, help="how often, each with other random states at the start (5)"
    )
    parser.add_argument(
        "--init_state", choices=["rand", "zeros"], help="states before the first step"
    )
    parser.add_argument(
        "--protocol", choices=["held-out", "published"], help="see run_exp.py --help"
    )
    options = parser.parse_args()
    from core.paper import evaluate_checkpoint
    from sparch.paper import SPARCH

    evaluate_checkpoint(SPARCH, options)


if __name__ == "__main__":
    run_main(main)
