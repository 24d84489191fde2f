"""CIFAR-10: the binary version of its authors, and a part of it as JPEG images.

A record of the binary version is a byte for the label and 3072 for the pixels, 32 rows of red, then
green, then blue. (The Python version holds the same pixels in pickles, which could run code.)
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.data.archives import files_of
from core.data.images import ImageData
from core.errors import UserError

CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
_RECORD = 3073
_FILES = {"train": tuple(f"data_batch_{n}.bin" for n in range(1, 6)), "test": ("test_batch.bin",)}
_IN_A_FILE = 10_000
_LARGEST_JPEG = 1 << 16


def load_cifar10(split: Literal["train", "test"], folder: Path) -> ImageData:
    """Load one split: 50000 training or 10000 test images ``[3, 32, 32]``, 0 to 255.

    Args:
        split: which of the two published splits.
        folder: holds ``cifar-10-binary.tar.gz``, or what it unpacks to.

    Raises:
        UserError: a file is missing, damaged, or not this split.
    """
    archive = folder / "cifar-10-binary.tar.gz"
    place = archive if archive.is_file() else folder
    wanted, found = _FILES[split], {}
    for name, content in files_of(place, ".bin", most=_RECORD * _IN_A_FILE):
        if (file := PurePosixPath(name).name) in wanted:
            found[file] = content
    if missing := [name for name in wanted if name not in found]:
        raise UserError(
            f"{place} holds no {missing[0]}. Name the folder of cifar-10-binary.tar.gz, or of what "
            "it unpacks to."
        )
    records = []
    for name in wanted:
        if len(found[name]) != _RECORD * _IN_A_FILE:
            raise UserError(
                f"{place}: {name} has {len(found[name])} bytes, expected {_RECORD * _IN_A_FILE}. "
                "Get the archive again."
            )
        records.append(np.frombuffer(found[name], np.uint8).reshape(-1, _RECORD))
    record = np.concatenate(records)
    labels = record[:, 0].copy()
    if labels.max() > 9:
        raise UserError(f"{place} holds the label {labels.max()}, expected 0 to 9.")
    images = record[:, 1:].reshape(-1, 3, 32, 32).copy()
    return ImageData(images, labels, max_value=255)


def load_cifar10_jpeg(split: Literal["train", "test"], archive: Path) -> ImageData:
    """Load ``SPLIT/CLASS/NNNN.jpg`` of an archive or folder, as :func:`load_cifar10` gives images.

    Raises:
        UserError: nothing is there, or an image is damaged or of another size.
    """
    images: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    for label, name, content in sorted(_of_split(split, archive), key=lambda entry: entry[:2]):
        images.append(_decoded(content, f"{archive}: {name}"))
        labels.append(label)
    if not images:
        raise UserError(f"{archive} holds no images {split}/CLASS/NUMBER.jpg.")
    return ImageData(np.stack(images), np.array(labels, np.uint8), max_value=255)


def _of_split(split: str, archive: Path) -> Iterator[tuple[int, str, bytes]]:
    for name, content in files_of(archive, ".jpg", most=_LARGEST_JPEG):
        *_, part, kind, _ = ("", "", *PurePosixPath(name).parts)
        if part == split and kind in CLASSES:
            yield CLASSES.index(kind), name, content


def _decoded(content: bytes, name: str) -> NDArray[np.uint8]:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=("JPEG",)) as image:
            if image.size != (32, 32):  # before anything is unpacked
                raise ValueError(f"{image.size[0]} x {image.size[1]} pixels, expected 32 x 32")
            pixels = np.asarray(image.convert("RGB"))
    except Exception as error:  # the library raises whatever it stumbles over
        raise UserError(f"{name} is damaged ({error}). Get it again.") from error
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))
