"""Files that are either whole or not there."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write ``path`` so that a kill at any moment leaves the old file or the new one, whole.

    The content goes to a hidden neighbour first, is forced to the disk and then renamed. A
    neighbour left by a kill is overwritten by the next write.

    Args:
        path: File to replace; its folder must exist.
        write: Called with the open neighbour.

    Raises:
        OSError: The disk is full or the folder is not writable; ``path`` is untouched.
    """
    neighbour = path.with_name(f".{path.name}.tmp")
    try:
        with open(neighbour, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(neighbour, path)
    except BaseException:
        neighbour.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_text_atomically(path: Path, text: str) -> None:
    """:func:`write_atomically` for text in UTF-8."""
    write_atomically(path, lambda file: file.write(text.encode()))
