"""Paths that a user wrote."""

from __future__ import annotations

import os
from pathlib import Path

from core.errors import UserError

_LONGEST_PATH, _LONGEST_NAME = 3000, 255
"""Bytes of a folder that files are to be put into, and of one name; file systems take no more."""


def read_path(text: str) -> Path:
    """The path that ``text`` names, with ``~`` and ``~name`` for a home folder.

    Raises:
        ValueError: No file system has such a path, or nobody has such a home folder.
    """
    try:
        path = Path(text).expanduser()
    except RuntimeError as error:
        raise ValueError(str(error)) from error
    longest = max((len(os.fsencode(name)) for name in path.parts), default=0)
    too_long = longest > _LONGEST_NAME or len(os.fsencode(path)) > _LONGEST_PATH
    if too_long or "\0" in text:
        raise ValueError(f"no file system has a path like {text[:60]!r}...")
    return path


def user_path(text: str) -> Path:
    """The path that a user wrote, with ``~`` for the home folder.

    Raises:
        UserError: there can be no such path.
    """
    try:
        return read_path(text)
    except ValueError as error:
        raise UserError(f"{error}; name another path") from error


def from_here(path: Path) -> Path:
    """``path`` as it is named from the working directory, where that is shorter."""
    absolute = path.absolute()
    relative = Path(os.path.relpath(absolute)) if absolute.drive == Path.cwd().drive else absolute
    return min(relative, absolute, key=lambda place: len(str(place)))
