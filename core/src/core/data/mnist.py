"""MNIST and Fashion-MNIST in their original format: gzip-compressed idx files.

An idx file is a big-endian header (two zero bytes, one byte for the element type, one byte for
the number of dimensions, then one 32-bit length per dimension) followed by the bare elements.
Source of the format: the MNIST page of Y. LeCun, C. Cortes and C. Burges.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.data.fetch import fetch
from core.data.images import ImageData
from core.data.packing import Damaged, open_packed
from core.errors import UserError

_UNSIGNED_BYTE = 0x08
_FILES = {"train": ("train", 60000), "test": ("t10k", 10000)}


def load_mnist(
    split: Literal["train", "test"],
    folder: Path | None = None,
    *,
    name: Literal["mnist", "fashion_mnist"] = "mnist",
) -> ImageData:
    """Load one split: 60000 training or 10000 test images of 28 x 28 pixels, 0 to 255.

    Args:
        split: which of the two published splits.
        folder: where the four ``.gz`` files lie; by default they are fetched and verified.
        name: which of the two sets to fetch.

    Raises:
        UserError: a file is missing, damaged, or not this split of such a set.
    """
    if folder is None:
        folder = fetch(name)
    stem, count = _FILES[split]
    images_path = folder / f"{stem}-images-idx3-ubyte.gz"
    labels_path = folder / f"{stem}-labels-idx1-ubyte.gz"
    images = read_idx(images_path, (count, 28, 28))
    labels = read_idx(labels_path, (count,))
    if labels.max() > 9:
        raise _bad(labels_path, f"holds the label {labels.max()}, expected 0 to 9")
    return ImageData(images, labels, max_value=255)


def read_idx(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Read a gzip-compressed idx file of unsigned bytes that is known to have this shape.

    Raises:
        UserError: no such file, truncated or damaged gzip, another magic number, another shape, or
            a length that contradicts it. No more is unpacked than an array of this shape takes.
    """
    try:
        with open_packed(path) as stream:
            magic = stream.read(4)
            expected = bytes([0, 0, _UNSIGNED_BYTE, len(shape)])
            if magic != expected:
                raise _bad(path, f"starts with {magic.hex()}, expected {expected.hex()}")
            header = stream.read(4 * len(shape))
            if len(header) < 4 * len(shape):
                raise _bad(path, "ends inside its header")
            if (found := struct.unpack(f">{len(shape)}I", header)) != shape:
                raise _bad(path, f"holds an array of shape {found}, expected {shape}")
            # One more, to see the end; a bytearray gives a writable array.
            content = bytearray(stream.read(math.prod(shape) + 1))
    except Damaged as error:
        raise _bad(path, f"is truncated or damaged ({error})") from error
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        raise _bad(path, "does not exist" if missing else f"cannot be read ({error})") from error
    if len(content) != math.prod(shape):
        held = "more than" if len(content) > math.prod(shape) else f"{len(content)} of"
        raise _bad(path, f"holds {held} {math.prod(shape)} elements")
    return np.frombuffer(content, np.uint8).reshape(shape)


def _bad(path: Path, problem: str) -> UserError:
    return UserError(
        f"{path} {problem}. Move the file away if it exists and run `core fetch mnist`."
    )
