"""Files on disk: verified against the registry, put in place whole, never overwritten."""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.data.packing import Damaged, open_packed
from core.data.sources import SourceFile
from core.errors import UserError

_CHUNK = 1 << 20


def mismatch(path: Path, expected: SourceFile) -> str | None:
    """Return what is wrong with the file at ``path``, or None when it is the registered one.

    A packed file whose unpacked bytes are the registered ones is right, however it was packed, and
    so is a registered copy. Where no digest is registered, a packed file is right when it is whole.
    """
    kind, digest = _strongest(expected.sha256, expected.md5)
    if not digest:
        return None if _packed_digest(path, kind, expected) else f"{path} is truncated or damaged."
    size, found = path.stat().st_size, _digest(path, kind)
    if found == digest and expected.size in (None, size):
        return None
    if kind == "sha256" and (size, found) in expected.copies:
        return None
    payload_kind, payload = _strongest(expected.payload_sha256, expected.payload_md5)
    if payload and _packed_digest(path, payload_kind, expected) == payload:
        return None
    announced = "" if expected.size is None else f"{expected.size} bytes, "
    return (
        f"{path} is not the registered file:\n"
        f"  expected {announced}{kind} {digest}\n"
        f"  found    {size} bytes, {kind} {found}"
    )


def is_payload(path: Path, expected: SourceFile) -> bool:
    """Tell whether the file at ``path`` holds the registered unpacked bytes of a packed file."""
    kind, digest = _strongest(expected.payload_sha256, expected.payload_md5)
    return digest is not None and _digest(path, kind) == digest


def copy_verified(source: Path, target: Path, expected: SourceFile) -> None:
    """Copy ``source`` to ``target``; only a right copy gets the name, in one step.

    When ``source`` is the unpacked content of a ``.gz`` file (browsers unpack, and may keep the
    name), it is packed on the way. Raises UserError when the content is not the registered one.
    """
    unpacked = target.suffix == ".gz" and is_payload(source, expected)
    if not unpacked and (problem := mismatch(source, expected)):
        raise UserError(
            f"{problem}\nIt was not taken. Get this file again from its publisher and repeat."
        )
    scratch = Path(f"{target}.copying")
    scratch.unlink(missing_ok=True)  # left by a kill, or a link: made anew, never written through
    try:
        if unpacked:
            with source.open("rb") as plain, gzip.open(scratch, "xb", compresslevel=6) as packed:
                shutil.copyfileobj(plain, packed, _CHUNK)
        else:
            with source.open("rb") as plain, scratch.open("xb") as copy:
                shutil.copyfileobj(plain, copy, _CHUNK)
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


def _strongest(sha256: str | None, md5: str | None) -> tuple[str, str | None]:
    """Return the kind and the value of the digest to check."""
    return ("md5", md5) if md5 and not sha256 else ("sha256", sha256)


def _digest(path: Path, kind: str) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, kind).hexdigest()


def _packed_digest(path: Path, kind: str, expected: SourceFile) -> str | None:
    """Return the digest of what a packed file unpacks to, or None when it is not whole."""
    digest = hashlib.new(kind)
    try:
        with open_packed(path, expected.name, most=expected.payload_size) as stream:
            while block := stream.read(_CHUNK):
                digest.update(block)
    except Damaged:
        return None
    return digest.hexdigest()
