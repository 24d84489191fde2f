"""Train and test a network on spoken commands."""

import sys

from core.errors import run_main
from sparch.config import parse_command_line


def main() -> None:
    """Parse first: --help and a wrong flag need no PyTorch."""
    config, base = parse_command_line(sys.argv[1:], prog="run_exp.py")
    from sparch.experiment import run

    run(config, base)


if __name__ == "__main__":
    run_main(main)
