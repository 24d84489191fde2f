"""Files packed with gzip, xz or zip, read as the bytes they hold."""

from __future__ import annotations

import gzip
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

DAMAGED = (gzip.BadGzipFile, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)
"""What reading a truncated or damaged packed file raises; all three formats hold checksums."""

SUFFIXES = (".gz", ".xz", ".zip")


@contextmanager
def open_packed(path: Path, name: str | None = None) -> Iterator[IO[bytes]]:
    """Open what a ``.gz``, ``.xz`` or ``.zip`` file holds; a zip must hold exactly one file.

    Args:
        path: the packed file.
        name: its real name, when it lies there under another one.

    Raises:
        ValueError: another suffix.
        OSError: the file cannot be read.
        one of DAMAGED: here or while reading.
    """
    suffix = Path(name or path).suffix
    if suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            inside = [member for member in archive.infolist() if not member.is_dir()]
            if len(inside) != 1:
                raise zipfile.BadZipFile(f"it holds {len(inside)} files, expected one")
            with archive.open(inside[0]) as stream:
                yield stream
    elif suffix in SUFFIXES:
        with gzip.open(path) if suffix == ".gz" else lzma.open(path) as unpacking:
            yield cast(IO[bytes], unpacking)
    else:
        raise ValueError(f"{path} is not packed; known are {', '.join(SUFFIXES)}")
