"""The QTDB loader, on made files in its layout; facts and golden samples of the real ones."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from core.data.qtdb import EcgData, load_qtdb
from core.data.synthetic_ecg import make_synthetic_ecg, write_qtdb_mat
from core.errors import UserError

GOLDEN = Path(__file__).parents[1] / "golden" / "ecg_data.npz"


@pytest.fixture(scope="module")
def made() -> EcgData:
    return make_synthetic_ecg(141, steps=1300, seed=3)


@pytest.fixture(scope="module")
def made_folder(made: EcgData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("qtdb")
    write_qtdb_mat(folder / "QTDB_test.mat", made)
    return folder


def test_round_trip_through_the_layout(made: EcgData, made_folder: Path) -> None:
    loaded = load_qtdb("test", made_folder)
    for array, expected in zip(loaded, made, strict=True):
        assert array.dtype == expected.dtype
        np.testing.assert_array_equal(array, expected)
    assert (~made.labelled).any()
    assert (loaded.labels[~loaded.labelled] == 0).all()
    assert loaded.spikes.flags.c_contiguous


def test_layout_is_the_published_one(made_folder: Path) -> None:
    content = loadmat(made_folder / "QTDB_test.mat")
    kinds = {k: (v.shape, v.dtype.name) for k, v in content.items() if not k.startswith("_")}
    assert kinds == {
        "x": ((141, 1301, 4), "int16"),
        "y": ((141, 1301, 6), "uint8"),
        "t": ((141, 1301), "uint16"),
        "max_i": ((141, 1), "uint16"),
    }


def test_writer_does_not_overwrite(made: EcgData, made_folder: Path) -> None:
    before = (made_folder / "QTDB_test.mat").read_bytes()
    with pytest.raises(FileExistsError):
        write_qtdb_mat(made_folder / "QTDB_test.mat", made)
    assert (made_folder / "QTDB_test.mat").read_bytes() == before


def spoil(name: str, index: Any, value: int) -> Any:
    def change(content: dict[str, Any]) -> None:
        content[name][index] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (spoil("x", (5, -1, 0), 0), "has no end marker"),
        (spoil("x", (5, -1, 1), 1), "has no end marker"),
        (spoil("x", (5, 7, 1), 2), "neither 0 nor 1"),
        (spoil("y", (5, 7), 1), "neither one-hot"),
        (spoil("y", (5, 7, 0), 2), "neither one-hot"),
        (lambda content: content.pop("y"), "has no variable 'y'"),
        (lambda content: content.update(x=content["x"][:9]), r"x of shape \(9, 1301, 4\)"),
        (lambda content: content.update(x=[content["x"]]), r"x of shape \(1, 141, 1301, 4\)"),
        (lambda content: content.update(x={"a": 1}), r"struct x of shape \(1, 1\)"),
    ],
)
def test_wrong_content(made_folder: Path, tmp_path: Path, change: Any, message: str) -> None:
    content = {k: v for k, v in loadmat(made_folder / "QTDB_test.mat").items() if k in "xy"}
    change(content)
    savemat(tmp_path / "QTDB_test.mat", content)
    with pytest.raises(UserError, match=rf"QTDB_test\.mat .*{message}.*run `core fetch qtdb`"):
        load_qtdb("test", tmp_path)


def test_variable_that_unpacks_to_too_much(tmp_path: Path, made_folder: Path) -> None:
    head = (made_folder / "QTDB_test.mat").read_bytes()[:128]
    zeros = zlib.compress(bytes(65 << 20), 1)
    content = head + struct.pack("<II", 15, len(zeros)) + zeros
    (tmp_path / "QTDB_test.mat").write_bytes(content)
    with pytest.raises(UserError, match="unpacks to more than 67108864 bytes"):
        load_qtdb("test", tmp_path)


@pytest.mark.parametrize("kept", [0.0, 0.001, 0.3, 0.7, 0.999])
def test_truncated_file(made_folder: Path, tmp_path: Path, kept: float) -> None:
    whole = (made_folder / "QTDB_test.mat").read_bytes()
    # The layout's last two variables are small and not read: cut inside the first two.
    (tmp_path / "QTDB_test.mat").write_bytes(whole[: int(kept * 0.95 * len(whole))])
    with pytest.raises(UserError, match=r"QTDB_test\.mat (is damaged|has no variable)"):
        load_qtdb("test", tmp_path)


def test_file_that_is_no_mat(tmp_path: Path) -> None:
    (tmp_path / "QTDB_test.mat").write_bytes(b"<html>" * 500)
    with pytest.raises(UserError, match="is damaged or no MATLAB 5 file"):
        load_qtdb("test", tmp_path)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"QTDB_train\.mat does not exist"):
        load_qtdb("train", tmp_path)


def test_real_qtdb_facts_and_golden_samples(real_data: Path) -> None:
    golden = np.load(GOLDEN)
    unlabelled = {"train": 65697, "test": 19034}
    for split in ("train", "test"):
        spikes, labels, labelled = load_qtdb(split)
        assert spikes.shape == tuple(golden[f"{split}_shape_x"])
        assert (~labelled).sum() == unlabelled[split] == golden[f"{split}_unlabelled_steps"]
        counts = np.bincount(labels.ravel(), minlength=6)
        np.testing.assert_array_equal(counts, golden[f"{split}_argmax_class_counts"])
        per_channel = spikes.sum(axis=(0, 1))
        np.testing.assert_array_equal(per_channel, golden[f"{split}_spikes_per_channel"])
        np.testing.assert_array_equal(spikes[:2], golden[f"{split}_x"])
        one_hot = golden[f"{split}_y"]
        np.testing.assert_array_equal(labels[:2], one_hot.argmax(axis=2))
        np.testing.assert_array_equal(labelled[:2], one_hot.any(axis=2))
        assert labelled[:, :10].all()
