"""Train and test balanced spiking networks."""

import sys

from bsnn.command import parse_command_line
from core.errors import run_main


def main() -> None:
    """Parse first: --help and a wrong flag need no PyTorch."""
    config, base = parse_command_line(sys.argv[1:], prog="main.py")
    from bsnn.experiment import run

    run(config, base)


if __name__ == "__main__":
    run_main(main)
