"""Score a checkpoint on the test set of its task."""

from core.errors import run_main
from core.settings import evaluation_parser


def main() -> None:
    """Parse first: --help needs no PyTorch."""
    options = evaluation_parser("no others").parse_args()
    from bsnn.paper import BSNN
    from core.paper import evaluate_checkpoint

    evaluate_checkpoint(BSNN, options)


if __name__ == "__main__":
    run_main(main)
