"""Compiled kernels on disk: what is read here runs, so nobody else may have written it.

The rules are those of ssh for ``~/.ssh``. The folder and all above it belong to the user or to
root and cannot be written by others; a folder that everybody may write, such as ``/tmp``, is passed
where only owners remove entries. The file itself belongs to the user or to root, is no link and
cannot be written by others, and starts with a digest of its name and content. Where one of these
fails, kernels live in the memory of the process alone.
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from core.errors import UserError
from core.files import user_cache, write_atomically

_DIGEST = hashlib.sha256().digest_size
#: What others may do to a file or a folder of ours: read it.
_WRITE = stat.S_IWGRP | stat.S_IWOTH


def folder() -> Path:
    """Where kernels are kept.

    Raises:
        UserError: The user has no folder for such things.
    """
    return user_cache() / "kernels"


def refusal() -> str | None:
    """Why no kernel is read or kept here, or None."""
    try:
        return _unsafe(folder())
    except (UserError, OSError) as error:
        return str(error)


def read(name: str) -> bytes | None:
    """What was kept as ``name``; None where there is nothing that can be trusted."""
    if refusal() is not None:
        return None
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(folder() / name, flags | getattr(os, "O_BINARY", 0))
        with open(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or _foreign(found) or _open_to_others(found):
                return None
            data = file.read()
    except OSError:
        return None
    image = data[_DIGEST:]
    return image if data[:_DIGEST] == _digest(name, image) else None


def keep(name: str, image: bytes) -> str | None:
    """Keep a kernel for later processes; returns why that was not possible, or None."""
    if (reason := refusal()) is not None:
        return reason

    def write(file: object) -> None:
        descriptor = file.fileno()  # type: ignore[attr-defined]
        if hasattr(os, "fchmod"):
            os.fchmod(descriptor, 0o600)
        file.write(_digest(name, image) + image)  # type: ignore[attr-defined]

    try:
        _create(folder())
        if (reason := refusal()) is None:
            write_atomically(folder() / name, write)
    except OSError as error:  # a full or read-only disk
        return str(error)
    return reason


def _digest(name: str, image: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + image).digest()


def _create(path: Path) -> None:
    """Make a folder, and those above it that are missing, for the user alone."""
    if path.is_dir():
        return
    _create(path.parent)
    try:
        path.mkdir(mode=0o700)
        path.chmod(0o700)  # whatever the umask took away
    except FileExistsError:
        pass  # another process was faster


def _unsafe(path: Path) -> str | None:
    """Why others could have put something into a folder, or None; missing folders are no danger."""
    if not hasattr(os, "geteuid"):
        return None  # Windows keeps the folders of a user from others
    path, real = path.absolute(), path.resolve()
    for place in (path, *path.parents, real, *real.parents):
        try:
            found = place.lstat()
        except FileNotFoundError:
            continue
        if _foreign(found):
            return f"{place} belongs to another user"
        if stat.S_ISLNK(found.st_mode):
            continue  # has no mode of its own; where it leads is looked at as well
        sticky = bool(found.st_mode & stat.S_ISVTX) and place not in (path, real)
        if _open_to_others(found) and not sticky:
            return f"others may write {place}"
    return None


def _foreign(found: os.stat_result) -> bool:
    return hasattr(os, "geteuid") and found.st_uid not in (0, os.geteuid())


def _open_to_others(found: os.stat_result) -> bool:
    if not hasattr(os, "geteuid"):
        return False
    writers = found.st_mode & _WRITE
    if writers == stat.S_IWGRP and _is_own_group(found.st_gid):
        return False
    return bool(writers)


def _is_own_group(group: int) -> bool:
    """Whether nobody but the user is in a group, as where everybody has one named like himself."""
    import grp
    import pwd

    try:
        user, entry = pwd.getpwuid(os.geteuid()), grp.getgrgid(group)
    except KeyError:
        return False
    return (
        (entry.gr_gid, entry.gr_name) == (user.pw_gid, user.pw_name)
        and set(entry.gr_mem) <= {user.pw_name}
    )  # fmt: skip
