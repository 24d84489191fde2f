"""A short name for the exact data that a run used, to be written into its record."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.data.registry import SOURCES, find_source


def digest(name: str) -> str:
    """Return ``sha256:`` and 16 hexadecimal digits that identify a data set.

    For a registered set it is computed from the registered file digests, which :func:`fetch`
    enforces; for the embedded sets ``"digits"`` and ``"synthetic_ecg"`` from their arrays.

    Raises:
        UserError: no registered or embedded set has this name.
    """
    if name not in SOURCES:
        if name == "digits":
            from core.data.digits import load_digits

            images = [load_digits("train"), load_digits("test")]
            return digest_arrays(*(array for split in images for array in split[:2]))
        if name == "synthetic_ecg":
            from core.data.synthetic_ecg import load_synthetic_ecg

            ecg = [load_synthetic_ecg("train"), load_synthetic_ecg("test")]
            return digest_arrays(*(array for split in ecg for array in split))
    files = find_source(name).files
    if unknown := [file.name for file in files if not (file.sha256 or file.md5)]:
        raise ValueError(f"no digest is registered for {unknown[0]}; use digest_files")
    return _short_of_lines(f"{file.name} {file.sha256 or file.md5}" for file in files)


def digest_files(folder: Path, paths: Iterable[Path]) -> str:
    """Return the same kind of name for files: their places below ``folder`` and their contents."""
    lines = []
    for name, path in sorted((path.relative_to(folder).as_posix(), path) for path in paths):
        with path.open("rb") as stream:
            lines.append(f"{name} {hashlib.file_digest(stream, 'sha256').hexdigest()}")
    return _short_of_lines(lines)


def digest_arrays(*arrays: NDArray[np.generic]) -> str:
    """Return the same kind of name for arrays: their types, shapes and little-endian contents."""
    state = hashlib.sha256()
    for array in arrays:
        little = array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
        state.update(f"{little.dtype.str} {little.shape}\n".encode())
        state.update(little.tobytes())
    return _short(state)


def _short_of_lines(lines: Iterable[str]) -> str:
    return _short(hashlib.sha256("".join(f"{line}\n" for line in lines).encode()))


def _short(state: hashlib._Hash) -> str:
    return f"sha256:{state.hexdigest()[:16]}"
