"""Draw one test sample on its way through a checkpoint (Figure 6)."""

from brf.config import checkpoint_parser
from core.errors import run_main
from core.paths import user_path


def main() -> None:
    """Parse first: --help needs no PyTorch."""
    parser = checkpoint_parser("raster.py", "Draw the spikes of one test sample", recorded=False)
    parser.add_argument("--sample", type=int, default=0, help="of the test set, from 0 (0)")
    parser.add_argument(
        "--figure", type=user_path, help="PNG to write (raster_CHECKPOINT-SAMPLE.png)"
    )
    parser.set_defaults(samples=None, seed=0)
    options = parser.parse_args()
    from brf.rasters import run

    run(options)


if __name__ == "__main__":
    run_main(main)
