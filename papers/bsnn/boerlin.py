"""Simulate a balanced spiking auto-encoder."""

import sys

from bsnn.boerlin.config import Sandbox
from core.config import parse
from core.errors import run_main


def main() -> None:
    """Parse first: --help and a wrong flag need no simulation."""
    config = parse(
        Sandbox,
        sys.argv[1:],
        prog="boerlin.py",
        description="Simulate a network that encodes a signal by balance; no training.",
    )
    from bsnn.boerlin.command import run

    run(config)


if __name__ == "__main__":
    run_main(main)
