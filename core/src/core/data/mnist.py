"""MNIST in its original format: gzip-compressed idx files.

An idx file is a big-endian header (two zero bytes, one byte for the element type, one byte for
the number of dimensions, then one 32-bit length per dimension) followed by the bare elements.
Source of the format: the MNIST page of Y. LeCun, C. Cortes and C. Burges.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.data.fetch import fetch
from core.data.images import ImageData
from core.errors import UserError

_UNSIGNED_BYTE = 0x08
_FILES = {"train": ("train", 60000), "test": ("t10k", 10000)}


def load_mnist(split: Literal["train", "test"], folder: Path | None = None) -> ImageData:
    """Load one split: 60000 training or 10000 test images of 28 x 28 pixels, 0 to 255.

    Args:
        split: which of the two published splits.
        folder: where the four ``.gz`` files lie; by default they are fetched and verified.

    Raises:
        UserError: a file is missing, damaged, or not this split of MNIST.
    """
    if folder is None:
        folder = fetch("mnist")
    stem, count = _FILES[split]
    images_path = folder / f"{stem}-images-idx3-ubyte.gz"
    labels_path = folder / f"{stem}-labels-idx1-ubyte.gz"
    images = read_idx(images_path, dimensions=3)
    labels = read_idx(labels_path, dimensions=1)
    for path, array, shape in (
        (images_path, images, (count, 28, 28)),
        (labels_path, labels, (count,)),
    ):
        if array.shape != shape:
            raise _bad(path, f"holds an array of shape {array.shape}, expected {shape}")
    if labels.max() > 9:
        raise _bad(labels_path, f"holds the label {labels.max()}, expected 0 to 9")
    return ImageData(images, labels, max_value=255)


def read_idx(path: Path, *, dimensions: int) -> NDArray[np.uint8]:
    """Read a gzip-compressed idx file of unsigned bytes with that many dimensions.

    Raises:
        UserError: no such file, truncated or damaged gzip, another magic number, or a length that
            contradicts the header.
    """
    try:
        with gzip.open(path, "rb") as stream:
            content = bytearray(stream.read())  # a bytearray gives a writable array
    except FileNotFoundError as error:
        raise _bad(path, "does not exist") from error
    except EOFError as error:
        raise _bad(path, "is truncated") from error
    except (OSError, zlib.error) as error:  # BadGzipFile is an OSError
        raise _bad(path, f"cannot be read as a gzip file ({error})") from error
    header = 4 + 4 * dimensions
    magic = bytes([0, 0, _UNSIGNED_BYTE, dimensions])
    if content[:4] != magic:
        raise _bad(path, f"starts with {bytes(content[:4]).hex()}, expected {magic.hex()}")
    if len(content) < header:
        raise _bad(path, "ends inside its header")
    shape = struct.unpack_from(f">{dimensions}I", content, 4)
    expected = header + math.prod(shape)
    if len(content) != expected:
        raise _bad(
            path, f"holds {len(content)} bytes, its header {shape} announces {expected} bytes"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def _bad(path: Path, problem: str) -> UserError:
    return UserError(
        f"{path} {problem}. Move the file away if it exists and run `core fetch mnist`."
    )
