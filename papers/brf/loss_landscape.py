"""Score a checkpoint around its weights, along two random directions (Figure 13)."""

from brf.config import add_scoring_flags, checkpoint_parser
from core.errors import run_main


def main() -> None:
    """Parse first: --help needs no PyTorch."""
    parser = checkpoint_parser(
        "loss_landscape.py", "Move the weights of a checkpoint and score it", recorded=False
    )
    parser.add_argument("--points", type=int, default=50, help="on each of two axes (50)")
    parser.add_argument("--bound", type=float, default=1.0, help="axes from -bound to bound (1)")
    add_scoring_flags(parser, "runs/landscape")
    options = parser.parse_args()
    from brf.landscape import run

    run(options)


if __name__ == "__main__":
    run_main(main)
