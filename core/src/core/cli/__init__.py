"""The ``core`` command: data, records and tables of the papers.

Modules that take long to import are imported by the subcommand that needs them, so that
``core --help`` answers at once. Exit codes are those of :mod:`core.errors`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from core.cli import bench, data, doctor, gpu, new, records, runs
from core.errors import run_main


def main(argv: Sequence[str] | None = None) -> None:
    """Run one subcommand; ``argv`` defaults to the arguments of the process."""
    arguments = _parser().parse_args(argv)
    run_main(lambda: arguments.run(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="core", description="Data sets, records and result tables of the reproduced papers."
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, run: Callable[[argparse.Namespace], None]) -> argparse.ArgumentParser:
        text = str(run.__doc__)
        added = commands.add_parser(name, help=text.splitlines()[0], description=text)
        added.set_defaults(run=run)
        return added

    for group in (data, doctor, new, records, runs, bench, gpu):
        group.add(command)
    return parser
