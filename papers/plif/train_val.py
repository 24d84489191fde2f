"""Train with a part of each class held out, which selects the epoch (accuracy B of the paper)."""

import sys

from core.errors import run_main
from plif.config import parse_command_line


def main() -> None:
    """Parse first: --help and a wrong flag need no PyTorch."""
    config, base = parse_command_line(sys.argv[1:], prog="train_val.py", validation=True)
    from core.paper import run
    from plif.paper import PLIF

    run(PLIF, config, base)


if __name__ == "__main__":
    run_main(main)
