"""CIFAR-10: the binary version on a look-alike, the JPEG part on the real one."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from core.data import cifar10
from core.data.cifar10 import CLASSES, load_cifar10, load_cifar10_jpeg
from core.data.mnist import load_mnist
from core.errors import UserError


def write(folder: Path, count: int) -> np.ndarray:
    generator = np.random.default_rng(0)
    records = generator.integers(256, size=(6, count, 3073), dtype=np.uint8)
    records[:, :, 0] %= 10
    for number, record in enumerate(records[:5], start=1):
        (folder / f"data_batch_{number}.bin").write_bytes(record.tobytes())
    (folder / "test_batch.bin").write_bytes(records[5].tobytes())
    return records


def test_binary_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar10, "_IN_A_FILE", 4)
    records = write(tmp_path, 4)
    train, test = load_cifar10("train", tmp_path), load_cifar10("test", tmp_path)
    assert train.images.shape == (20, 3, 32, 32)
    assert np.array_equal(train.labels, records[:5, :, 0].ravel())
    assert np.array_equal(test.images[1, 2, 0], records[5, 1, 1 + 2048 : 1 + 2048 + 32])
    (tmp_path / "data_batch_3.bin").write_bytes(b"short")
    with pytest.raises(UserError, match=r"data_batch_3\.bin has 5 bytes, expected 12292"):
        load_cifar10("train", tmp_path)
    (tmp_path / "data_batch_3.bin").unlink()
    with pytest.raises(UserError, match=r"holds no data_batch_3\.bin"):
        load_cifar10("train", tmp_path)


def real(name: str) -> Path:
    root = os.environ.get("SNN_DATA")
    if not root or not (Path(root) / name).is_dir():
        pytest.skip(f"SNN_DATA is not set, or has no {name}")
    return Path(root) / name


def test_real_jpeg_images() -> None:
    archive = real("cifar10_jpeg") / "cifar10_jpeg_subset.tar.xz"
    test = load_cifar10_jpeg("test", archive)
    assert test.images.shape == (3000, 3, 32, 32)
    assert np.bincount(test.labels).tolist() == [300] * len(CLASSES)
    means = test.images.mean((0, 2, 3)) / 255
    np.testing.assert_allclose(means, (0.4914, 0.4822, 0.4465), atol=0.02)


def test_real_fashion_images() -> None:
    folder = real("fashion_mnist")
    test = load_mnist("test", folder, name="fashion_mnist")
    assert test.images.shape == (10_000, 28, 28)
    assert np.bincount(test.labels).tolist() == [1000] * 10
