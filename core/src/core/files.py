"""Files that are either whole or not there."""

from __future__ import annotations

import errno
import glob
import os
import secrets
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from core.errors import UserError

_CANNOT_SYNC = {
    *(errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF, errno.EISDIR),
    *(errno.EACCES, errno.EPERM),
}
_LONGEST_WRITE = 3600.0
"""Seconds."""


def user_cache() -> Path:
    """``snn`` in the user's cache folder.

    Raises:
        UserError: The user has no home folder, or platformdirs is not installed.
    """
    try:
        import platformdirs
    except ModuleNotFoundError:  # where only sources were copied to
        raise UserError(
            "platformdirs is not installed, so no folder of this user is known; install it, or "
            "set SNN_DATA for data sets"
        ) from None
    try:
        return platformdirs.user_cache_path("snn").absolute()
    except RuntimeError as error:
        raise UserError(
            "this user has no home folder; set XDG_CACHE_HOME to a folder for what is downloaded "
            "and compiled"
        ) from error


def sync(descriptor: int) -> None:
    """Force a file or folder to the disk, where its file system can do that."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Shared folders of virtual machines, SMB, FUSE; a broken disk says something else.
        if error.errno not in _CANNOT_SYNC:
            raise


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write ``path`` so that a kill at any moment leaves the old file or the new one, whole.

    The content goes to a hidden neighbour first, is forced to the disk and then renamed. Nobody
    else can have made the neighbour, so no link leads the content elsewhere, and two processes that
    write the same path do not meet. What a kill left behind is removed by a write an hour later.

    Args:
        path: File to replace; its folder must exist.
        write: Called with the open neighbour.

    Raises:
        OSError: The disk is full or the folder is not writable; ``path`` is untouched.
    """
    _remove_left_behind(path)
    neighbour = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    file = open(neighbour, "xb")  # noqa: SIM115  one that could not be made is not ours to remove
    try:
        with file:
            write(file)
            file.flush()
            sync(file.fileno())
        os.replace(neighbour, path)
    except BaseException as error:
        neighbour.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:  # of a write or a sync
            error.filename = str(path)
        raise
    try:
        folder = os.open(path.parent, os.O_RDONLY)
    except OSError:  # a system without folders that can be opened, or one that we may not list
        return
    try:
        sync(folder)
    finally:
        os.close(folder)


def _remove_left_behind(path: Path) -> None:
    """Neighbours that a killed process left: no write takes as long as they are old."""
    before = time.time() - _LONGEST_WRITE
    for found in path.parent.glob(f".{glob.escape(path.name)}.{'[0-9a-f]' * 16}.tmp"):
        with suppress(OSError):  # another process was faster
            if found.lstat().st_mtime < before:
                found.unlink()


def write_text_atomically(path: Path, text: str) -> None:
    """:func:`write_atomically` for text in UTF-8."""
    write_atomically(path, lambda file: file.write(text.encode()))


def without_folders(words: Iterable[str]) -> list[str]:
    """Words of a command with absolute paths cut to their last part: they tell of one machine."""
    kept = []
    for word in words:
        flag, equals, value = word.rpartition("=")
        kept.append(f"{flag}{equals}{Path(value).name}" if value.startswith("/") else word)
    return kept


def absent(path: Path) -> tuple[Path, ...]:
    """``path`` and the folders above it, as far as they do not exist: see :func:`take_back`."""
    return tuple(place for place in (path, *path.parents) if not place.exists())


def take_back(made: Iterable[Path]) -> None:
    """Remove files, and folders that are empty: those of :func:`absent`, where all was in vain."""
    for path in made:
        with suppress(OSError):  # it was not made, or others have put something into it
            path.rmdir() if path.is_dir() else path.unlink()
