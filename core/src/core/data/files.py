"""Files on disk: verified against the registry, put in place whole, never overwritten."""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.data.registry import SourceFile
from core.errors import UserError

_CHUNK = 1 << 20


def mismatch(path: Path, expected: SourceFile) -> str | None:
    """Return what is wrong with the file at ``path``, or None when it is the registered one.

    A ``.gz`` file whose unpacked bytes are the registered ones is right, however it was packed.
    """
    size, sha256 = path.stat().st_size, _sha256(path)
    if (size, sha256) == (expected.size, expected.sha256):
        return None
    if expected.payload_sha256 and _payload_sha256(path) == expected.payload_sha256:
        return None
    return (
        f"{path} is not the registered file:\n"
        f"  expected {expected.size} bytes, sha256 {expected.sha256}\n"
        f"  found    {size} bytes, sha256 {sha256}"
    )


def copy_verified(source: Path, target: Path, expected: SourceFile) -> None:
    """Copy ``source`` to ``target``; only a right copy gets the name, in one step.

    When ``source`` is the unpacked content of a ``.gz`` file (browsers unpack, and may keep the
    name), it is packed on the way. Raises UserError when the content is not the registered one.
    """
    unpacked = _sha256(source) == expected.payload_sha256
    if not unpacked and (problem := mismatch(source, expected)):
        raise UserError(
            f"{problem}\nIt was not taken. Get this file again from its publisher and repeat."
        )
    scratch = Path(f"{target}.copying")
    try:
        if unpacked:
            with source.open("rb") as plain, gzip.open(scratch, "wb", compresslevel=6) as packed:
                shutil.copyfileobj(plain, packed, _CHUNK)
        else:
            shutil.copyfile(source, scratch)
        if problem := mismatch(scratch, expected):
            raise UserError(f"{problem}\nThe copy of {source} went wrong; repeat it.")
        os.replace(scratch, target)
    finally:
        scratch.unlink(missing_ok=True)


def set_aside(part: Path) -> Path:
    """Rename a wrong download to ``NAME.rejected`` (``.rejected.2``, ...) and return that path."""
    name = str(part.with_suffix(""))  # NAME.part -> NAME
    kept = Path(f"{name}.rejected")
    number = 1
    while kept.exists():
        number += 1
        kept = Path(f"{name}.rejected.{number}")
    os.rename(part, kept)
    return kept


@contextmanager
def os_errors_explained(folder: Path, *, purpose: str) -> Iterator[None]:
    """Turn an operating-system error while working in ``folder`` into a UserError."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            advice = (
                "Free some space and run again (what was downloaded is kept and continued), "
                "or set SNN_DATA to a folder on another disk"
            )
        else:
            advice = "Check this path, or set SNN_DATA to a folder that you may read and write"
        where = error.filename2 or error.filename or folder  # a failed copy names its source first
        raise UserError(
            f"cannot {purpose} in {folder}: {error.strerror or error} ({where}). {advice}."
        ) from error


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _payload_sha256(path: Path) -> str | None:
    """Return the sha256 of what a gzip file unpacks to, or None when it is not whole gzip."""
    digest = hashlib.sha256()
    try:
        with gzip.open(path, "rb") as stream:
            while block := stream.read(_CHUNK):
                digest.update(block)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        return None
    return digest.hexdigest()
