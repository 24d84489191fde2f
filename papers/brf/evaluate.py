"""Score a checkpoint of any origin on the test set of its task."""

from brf.config import checkpoint_parser
from core.errors import run_main


def main() -> None:
    """Parse first: --help needs no PyTorch."""
    options = checkpoint_parser("evaluate.py", "Score a checkpoint").parse_args()
    from brf.paper import BRF
    from brf.published import find
    from core.paper import evaluate_checkpoint

    options.checkpoint = find(options.checkpoint)
    evaluate_checkpoint(BRF, options)


if __name__ == "__main__":
    run_main(main)
