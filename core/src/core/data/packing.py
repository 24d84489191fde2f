"""Files packed with gzip, xz or zip, read as the bytes they hold, and never as more than a limit.

A few megabytes can be made that unpack to terabytes, so what comes out is counted on the way.
"""

from __future__ import annotations

import errno
import gzip
import lzma
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TypeVar, cast

SUFFIXES = (".gz", ".xz", ".zip")

MOST_TIMES, MOST_AT_LEAST = 100, 64 << 20
"""A file of unknown content may unpack to 100 times its size; one of less than 670 kB to 64 MiB."""

_T = TypeVar("_T")


class Damaged(Exception):
    """A packed file that is truncated, damaged or too large inside; the message says how."""


class Unpacking:
    """The unpacked bytes of a file, to be read once from the start.

    Args:
        stream: gives the bytes.
        most: more than so many are refused.
    """

    def __init__(self, stream: IO[bytes], most: int) -> None:
        self._stream = stream
        self._most = most
        self._left = most

    def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` bytes, by default all; fewer only at the end.

        Raises:
            Damaged: the file is not whole, or holds more than the limit.
            OSError: the disk cannot be read.
        """
        size = self._left + 1 if size < 0 else min(size, self._left + 1)
        found = _explained(lambda: self._stream.read(size))
        self._left -= len(found)
        if self._left < 0:
            raise Damaged(f"it unpacks to more than {self._most} bytes")
        return found


@contextmanager
def open_packed(
    path: Path, name: str | None = None, *, most: int | None = None
) -> Iterator[Unpacking]:
    """Open what a ``.gz``, ``.xz`` or ``.zip`` file holds; a zip must hold exactly one file.

    Args:
        path: the packed file.
        name: its real name, when it lies there under another one.
        most: bytes that it may unpack to, see ``MOST_TIMES`` for the default.

    Raises:
        ValueError: another suffix.
        OSError: the file cannot be read.
        Damaged: here or while reading.
    """
    suffix = Path(name or path).suffix
    if suffix not in SUFFIXES:
        raise ValueError(f"{path} is not packed; known are {', '.join(SUFFIXES)}")
    if most is None:
        most = max(MOST_AT_LEAST, MOST_TIMES * path.stat().st_size)
    with ExitStack() as opened:
        yield Unpacking(_explained(lambda: _open(path, suffix, opened)), most)


def _open(path: Path, suffix: str, opened: ExitStack) -> IO[bytes]:
    if suffix == ".zip":
        archive = opened.enter_context(zipfile.ZipFile(path))
        return opened.enter_context(archive.open(_only_member(archive)))
    if suffix == ".gz":
        return cast(IO[bytes], opened.enter_context(gzip.open(path)))
    return cast(IO[bytes], opened.enter_context(lzma.open(path)))


def _only_member(archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    # macOS adds hidden files of its own
    inside = [
        member
        for member in archive.infolist()
        if not member.is_dir() and not Path(member.filename).name.startswith("._")
    ]
    if len(inside) != 1:
        raise Damaged(f"it holds {len(inside)} files, expected one")
    if inside[0].flag_bits & 1:
        raise Damaged("it needs a password; unpack it and take the file inside")
    # Of the other methods zipfile unpacks a block at once, of whatever size that becomes.
    if (method := inside[0].compress_type) not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        known = {zipfile.ZIP_BZIP2: "bzip2", zipfile.ZIP_LZMA: "lzma"}.get(method, str(method))
        raise Damaged(f"it is packed by the method {known}, expected deflate; unpack it yourself")
    return inside[0]


def _explained(read: Callable[[], _T]) -> _T:
    """Call ``read``; whatever it stumbles over in a damaged file becomes Damaged."""
    try:
        return read()
    except Damaged:
        raise
    except OSError as error:
        if error.errno not in (None, errno.EINVAL):  # no number: gzip's own; else a wrong place
            raise
        raise Damaged(str(error)) from error
    except Exception as error:  # zlib.error, EOFError, LZMAError, BadZipFile, struct.error, ...
        raise Damaged(str(error) or type(error).__name__) from error
