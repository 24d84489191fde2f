"""``core new``."""

from __future__ import annotations

import argparse

from core.cli.command import Command


def add(command: Command) -> None:
    """Let the parser know it."""
    new = command("new", _new)
    new.add_argument("name", metavar="NAME", help="of its folder and its Python package")


def _new(arguments: argparse.Namespace) -> None:
    """Write a paper with all its rooms, which trains on handwritten digits, to be filled."""
    from core.new.paper import new_paper

    folder = new_paper(arguments.name)
    print(f"wrote {folder}, and its entries in NOTICE, CITATION.cff, README.md and pyproject.toml")
    print(
        f"try it there: uv run --package {folder.name} python train.py --config configs/quick.yaml"
    )
