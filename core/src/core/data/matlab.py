"""Arrays of a MATLAB 5 file that may be damaged or made up.

Before scipy reads a variable, its announced type and shape must be the expected ones, and what all
compressed variables unpack to is counted: both may be anything in a file of a few kilobytes.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.data.packing import MOST_AT_LEAST, MOST_TIMES, Damaged

_HEADER, _COMPRESSED = 128, 15
_BLOCK = 1 << 20
_NUMBERS = {"double", "single", "logical"} | {
    f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
}


def read_mat(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, NDArray[Any]]:
    """Read variables that are known to be numbers of these shapes.

    Raises:
        Damaged: the file is no MATLAB 5 file, truncated or damaged, a variable is missing, or is
            no array of numbers of its shape, or the file unpacks to too much.
    """
    from scipy.io import loadmat, whosmat

    try:
        _check_unpacked_size(path)
        announced = whosmat(path, appendmat=False)
    except Damaged:
        raise
    except Exception as error:  # scipy raises whatever a damaged file makes it stumble over
        raise Damaged(f"is damaged or no MATLAB 5 file ({error})") from error
    for name, shape in shapes.items():
        found = [(there, kind) for one, there, kind in announced if one == name]
        if not found:
            raise Damaged(f"has no variable {name!r}")
        if len(found) > 1 or found[0][0] != shape or found[0][1] not in _NUMBERS:
            what = " and ".join(f"{kind} {name} of shape {there}" for there, kind in found)
            raise Damaged(f"has {what}, expected numbers of shape {shape}")
    try:
        content = loadmat(path, appendmat=False, variable_names=list(shapes))
        return {name: _of_shape(content[name], shape) for name, shape in shapes.items()}
    except Exception as error:
        raise Damaged(f"is damaged or no MATLAB 5 file ({error})") from error


def _of_shape(values: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    array = np.asarray(values)
    if array.shape != shape or array.dtype.kind not in "biuf":
        raise ValueError(f"{array.dtype} of shape {array.shape}")
    return array


def _check_unpacked_size(path: Path) -> None:
    """Raise Damaged when the compressed variables of a file unpack to too much together."""
    content = path.read_bytes()
    most = max(MOST_AT_LEAST, MOST_TIMES * len(content))
    order = ">" if content[_HEADER - 2 : _HEADER] == b"MI" else "<"
    place, left = _HEADER, most
    while place + 8 <= len(content):
        kind, size = struct.unpack_from(f"{order}II", content, place)
        packed, unpack = content[place + 8 : place + 8 + size], zlib.decompressobj()
        while kind == _COMPRESSED and packed and not unpack.eof:
            left -= len(unpack.decompress(packed, _BLOCK))
            packed = unpack.unconsumed_tail
            if left < 0:
                raise Damaged(f"unpacks to more than {most} bytes")
        place += 8 + size
