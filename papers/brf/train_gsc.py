"""Train on Google Speech Commands."""

import sys

from brf.config import parse_command_line
from core.errors import run_main


def main() -> None:
    """Parse first: --help and a wrong flag need no PyTorch."""
    config, base = parse_command_line(sys.argv[1:], prog="train_gsc.py", task="gsc")
    from brf.paper import BRF
    from core.paper import run

    run(BRF, config, base)


if __name__ == "__main__":
    run_main(main)
