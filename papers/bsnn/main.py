"""Train and test balanced spiking networks."""

import sys

from bsnn.command import function_of, parse_command_line
from core.errors import run_main


def main() -> None:
    """Parse first: --help and a wrong flag need no PyTorch."""
    name, argv = function_of(sys.argv[1:])
    config, base = parse_command_line(argv, prog="main.py")
    if name is not None:
        from bsnn.samples import run_named

        run_named(name, config)
        return
    from bsnn.experiment import run

    run(config, base)


if __name__ == "__main__":
    run_main(main)
