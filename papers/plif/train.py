"""Train a network of the paper."""

import sys

from core.errors import run_main
from core.settings import parse_command_line
from plif.config import PAPER, Config


def main() -> None:
    """Parse first: --help and a wrong flag need no PyTorch."""
    config, base = parse_command_line(
        Config, sys.argv[1:], prog="train.py", description="Train a network.", paper=PAPER.name
    )
    from core.paper import run
    from plif.paper import PLIF

    run(PLIF, config, base)


if __name__ == "__main__":
    run_main(main)
