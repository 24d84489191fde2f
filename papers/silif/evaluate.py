"""Score a checkpoint on the test set of its task."""

from core.errors import run_main
from core.settings import evaluation_parser


def main() -> None:
    """Parse first: --help needs no PyTorch."""
    options = evaluation_parser("no others").parse_args()
    from core.paper import evaluate_checkpoint
    from silif.paper import SILIF

    evaluate_checkpoint(SILIF, options)


if __name__ == "__main__":
    run_main(main)
