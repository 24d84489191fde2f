"""``core fetch``."""

from __future__ import annotations

import argparse

from core.cli.command import Command
from core.paths import user_path


def add(command: Command) -> None:
    """Let the parser know it."""
    fetch = command("fetch", _fetch)
    fetch.add_argument("name", metavar="NAME", help="a data set; `core doctor` lists them")
    source = fetch.add_mutually_exclusive_group()
    source.add_argument(
        "--from", dest="source", type=user_path, metavar="FOLDER", help="take files fetched by hand"
    )
    source.add_argument("--mirror", metavar="URL", help="an address to try before the known ones")


def _fetch(arguments: argparse.Namespace) -> None:
    """Get a data set: download it, or take it from a folder; verify it."""
    from core.data.fetch import fetch

    folder = fetch(arguments.name, source=arguments.source, mirror=arguments.mirror, progress=True)
    print(f"{arguments.name} is ready in {folder}")
