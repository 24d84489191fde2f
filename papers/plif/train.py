"""Train on the whole training set; the test set selects the epoch (accuracy A of the paper)."""

import sys

from core.errors import run_main
from plif.config import parse_command_line


def main() -> None:
    """Parse first: --help and a wrong flag need no PyTorch."""
    config, base = parse_command_line(sys.argv[1:], prog="train.py", validation=False)
    from core.paper import run
    from plif.paper import PLIF

    run(PLIF, config, base)


if __name__ == "__main__":
    run_main(main)
