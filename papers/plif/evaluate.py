"""Score a checkpoint on the test set of its task."""

from core.errors import run_main
from core.settings import evaluation_parser


def main() -> None:
    """Parse first: --help needs no PyTorch."""
    options = evaluation_parser("no others").parse_args()
    from core.paper import evaluate_checkpoint
    from plif.paper import PLIF

    evaluate_checkpoint(PLIF, options)


if __name__ == "__main__":
    run_main(main)
