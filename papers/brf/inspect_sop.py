"""Count the spikes of a checkpoint per sample, class and time step, and draw them."""

from brf.config import checkpoint_parser
from core.errors import run_main
from core.paths import user_path


def main() -> None:
    """Parse first: --help needs no PyTorch."""
    parser = checkpoint_parser("inspect_sop.py", "Count and draw the spikes of a checkpoint")
    parser.add_argument(
        "--figure", type=user_path, help="PNG to write (sop_CHECKPOINT.png in this folder)"
    )
    options = parser.parse_args()
    from brf.inspection import inspect

    inspect(options)


if __name__ == "__main__":
    run_main(main)
