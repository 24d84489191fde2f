"""The idx reader, on made files; the counts of the real ones."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from core.data.mnist import load_mnist, read_idx
from core.errors import UserError


def idx(array: np.ndarray, *, kind: int = 8, announce: tuple[int, ...] | None = None) -> bytes:
    shape = announce or array.shape
    return (
        bytes([0, 0, kind, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + array.tobytes()
    )


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(gzip.compress(content, compresslevel=1))
    return path


SMALL = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)


def test_read_idx(tmp_path: Path) -> None:
    array = read_idx(write(tmp_path / "a.gz", idx(SMALL)), SMALL.shape)
    assert array.dtype == np.uint8
    assert array.flags.writeable  # torch warns about read-only arrays
    np.testing.assert_array_equal(array, SMALL)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (idx(SMALL, kind=9), "starts with 00000903, expected 00000803"),
        (idx(SMALL[0]), "starts with 00000802"),
        (b"", "starts with , expected"),
        (idx(SMALL)[:9], "ends inside its header"),
        (idx(SMALL)[:-1], "holds 23 of 24 elements"),
        (idx(SMALL) + b"!", "holds more than 24 elements"),
        (idx(SMALL, announce=(2**32 - 1,) * 3), r"holds an array of shape \(4294967295, 4.*3, 4\)"),
    ],
)
def test_wrong_content(tmp_path: Path, content: bytes, message: str) -> None:
    path = write(tmp_path / "a.gz", content)
    with pytest.raises(UserError, match=rf"a\.gz {message}.*run `core fetch mnist`"):
        read_idx(path, SMALL.shape)
    assert path.exists()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda packed: packed[:-9], "is truncated or damaged"),
        (lambda packed: b"not gzip", "is truncated or damaged"),
        (lambda packed: packed[:12] + b"\xff\xff" + packed[14:], "is truncated or damaged"),
        (lambda packed: packed[:-8] + bytes(4) + packed[-4:], "is truncated or damaged"),
    ],
    ids=["truncated", "plain", "damaged", "checksum"],
)
def test_wrong_gzip(tmp_path: Path, damage: object, message: str) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(damage(gzip.compress(idx(SMALL))))  # type: ignore[operator]
    with pytest.raises(UserError, match=message):
        read_idx(path, SMALL.shape)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"train-images-idx3-ubyte\.gz does not exist"):
        load_mnist("train", tmp_path)


def make_test_split(folder: Path, *, images: int = 10000, brightest_label: int = 9) -> None:
    pixels = np.arange(images, dtype=np.uint32).view(np.uint8).reshape(images, 4)
    array = np.zeros((images, 28, 28), np.uint8)
    array[:, 0, :4] = pixels
    labels = (np.arange(10000) % (brightest_label + 1)).astype(np.uint8)
    write(folder / "t10k-images-idx3-ubyte.gz", idx(array))
    write(folder / "t10k-labels-idx1-ubyte.gz", idx(labels))


def test_load_a_made_split(tmp_path: Path) -> None:
    make_test_split(tmp_path)
    images, labels, max_value = load_mnist("test", tmp_path)
    assert (images.shape, labels.shape, max_value) == ((10000, 28, 28), (10000,), 255)
    assert images[0x1234, 0, :2].tolist() == [0x34, 0x12]
    assert labels[:12].tolist() == [*range(10), 0, 1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": 9999}, r"t10k-images.* shape \(9999, 28, 28\), expected \(10000, 28, 28\)"),
        ({"brightest_label": 10}, "t10k-labels.* holds the label 10"),
    ],
)
def test_another_data_set(tmp_path: Path, change: dict[str, int], message: str) -> None:
    make_test_split(tmp_path, **change)
    with pytest.raises(UserError, match=message):
        load_mnist("test", tmp_path)


def test_real_mnist_label_counts(real_data: Path) -> None:
    counts = {
        "train": [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
        "test": [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
    }
    for split in ("train", "test"):
        images, labels, max_value = load_mnist(split)
        assert np.bincount(labels).tolist() == counts[split]
        assert images.max() == max_value == 255
        if split == "train":
            assert images.mean() / 255 == pytest.approx(0.1307, abs=5e-5)
