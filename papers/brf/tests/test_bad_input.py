"""Everything that cannot be done is refused in one message that names the next step."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import socket
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from scipy.io import loadmat, savemat

from core.data.synthetic_ecg import make_synthetic_ecg, write_qtdb_mat

from .scripts import (
    TINY_SMNIST,
    contents,
    refusal,
)

Capture = pytest.CaptureFixture[str]


# --- flags and files of settings ------------------------------------------------------------------

FLAGS: dict[str, str] = {
    "--learning_rate 1": r"--learning_rate: no such option; .*--help",
    "--epoch 3": r"--epoch: no such option; did you mean --epochs\?",
    "--epochs many": r"--epochs: expected int, got 'many'; see train_smnist.py --help",
    "--lr": r"--lr: expected float, got nothing",
    "--lr nan": r"--lr: expected float, got 'nan'",
    "--omega 1 2 3": r"--omega: expected 2 values",
    "--neuron lif": r"--neuron: expected \{brf,rf,hrf,alif\}, got 'lif'",
    "brf": r"brf: a value without an option",
    "--hidden 0": "hidden is 0; it must be at least 1",
    "--batch_size -4": "batch_size is -4; it must be at least 1",
    "--epochs -1": "epochs is -1; it must be at least 0 and at most 1000000",
    "--lr 0": "lr is 0.0; it must be above 0",
    "--lr -0.1": "lr is -0.1; it must be above 0",
    "--clip_norm 0": "clip_norm is 0.0; it must be above 0",
    "--omega 50 15": "omega is 50.0 15.0; the lower end",
    "--tau_out 20 -1": "tau_out is 20.0 -1.0; value 2 must be at least 0 and at most 10000",
    "--seed -1": "seed is -1; it must be at least 0 and at most 4294967295",
    "--val_fraction 1": "val_fraction is 1.0; it must be above 0 and below 1",
    "--train_fraction 0": "train_fraction is 0.0; it must be above 0 and at most 1",
    "--lambda_spike -1": "lambda_spike is -1.0; it must be at least 0 and at most 1000",
    "--tbptt_steps 0": "tbptt_steps is 0; it must be at least 1",
    "--lr 1e300": r"lr is 1e\+300; it must be above 0 and at most 10000; --help",
    "--hidden 10000000": "hidden is 10000000; it must be at least 1 and at most 16384",
    "--hidden 1e7": "--hidden: expected int, got '1e7'",
    "--batch_size 1e30": "--batch_size: expected int, got '1e30'",
    f"--batch_size {10**30}": r"batch_size is 10+; it must be at least 1 and at most 1000000",
    "--omega -1e300 1e300": r"omega is -1e\+300 1e\+300; value 1 must be at least -1000",
    "--threads 9999999": "threads is 9999999; it must be at least 0 and at most 1024",
    f"--neuron {'x' * 5000}": r"--neuron: expected \{brf,.*x\.\.\.; see",
    f"--data_folder {'x' * 5000}": r"--data_folder: expected path or none, got 'x+\.\.\.; see",
    f"--resume {'x' * 5000}": "no file system has a path like 'xxx",
    f"--config {'x' * 5000}": "no file system has a path like 'xxx",
    "--tbptt_steps 5 --lambda_spike 1": "tbptt_steps goes neither with lambda_spike nor with",
    "--neuron hrf --decay linear": "hrf has no linear decay",
    "--device warp": "--device warp: no such kind of device; use auto, cpu",
    "--device cuda:77": "--device cuda:77: PyTorch sees no such GPU here; use --device cpu",
    "--backend warp": "unknown scan backend 'warp'; there are auto, .*reference",
    "--sub_seq_length 64": "leaves nothing of the 64 steps of digits; choose a smaller one",
    "--val_fraction 0.001": "a data split is empty; use more samples or another",
    "--config nowhere.yaml": r"nowhere\.yaml: no such config file; name an existing one",
    "--config": "--config: expected path, got nothing",
    "--resume": "--resume: expected path or none, got nothing",
    "--resume --lr 1": "--resume: expected path or none, got nothing",
}


@pytest.mark.parametrize("flags", FLAGS, ids=lambda flags: flags[:40])
def test_flags(flags: str, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "run"
    told = refusal(capsys, "train_smnist", *TINY_SMNIST, "--out", out, *flags.split())
    assert re.search(FLAGS[flags], told)
    assert "\n" not in told
    assert len(told) < 300
    assert not out.exists()


def test_flag_of_the_other_script(capsys: Capture) -> None:
    assert "--permuted: no such option" in refusal(capsys, "train_ecg", "--permuted")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("neuron: brf\nlearning_rate: 1\n", r"mine.yaml, line 2: learning_rate: no such option"),
        ("lr: fast\n", r"mine.yaml, line 1: lr: expected float, got 'fast'"),
        ("lr: 0.1\nlr: 0.2\n", "lr is given twice"),
        ("lr: [\n", "cannot be read as YAML, correct the file"),
        ("- lr\n", "expected lines that read 'key: value'"),
        ("hidden: 0\n", "hidden is 0; it must be at least 1"),
    ],
)
def test_file_of_settings(text: str, problem: str, tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    assert re.search(problem, refusal(capsys, "train_smnist", "--config", file))
    assert contents(tmp_path) == {"mine.yaml": text.encode()}


# --- data -----------------------------------------------------------------------------------------


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> str:
    """A mirror that refuses, and a proxy that refuses in the way of every other address.

    So the registry stays as it is, and yet nothing can leave this machine.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{free.getsockname()[1]}"
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, closed)
        monkeypatch.setenv(name.lower(), closed)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    monkeypatch.delenv("SNN_MIRROR", raising=False)
    return closed


@pytest.mark.parametrize(
    ("script", "name", "file"),
    [
        ("train_smnist", "mnist", "train-images-idx3-ubyte.gz"),
        ("train_ecg", "qtdb", "QTDB_train.mat"),
        ("train_shd", "shd", "shd_train.h5.gz"),
    ],
)
def test_missing_data_without_a_network(
    script: str,
    name: str,
    file: str,
    no_network: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    monkeypatch.setenv("SNN_DATA", str(tmp_path / "data"))
    out = tmp_path / "run"
    told = refusal(capsys, script, "--out", out, "--mirror", no_network)
    assert f"{file} of {name} could not be downloaded to {tmp_path / 'data' / name}" in told
    assert f"{no_network}/{name}/{file}: Connection refused" in told
    assert "the proxy refused the connection" in told
    assert f"1. a folder of files: put {file}" in told
    assert "2. a mirror: set SNN_MIRROR or --mirror" in told
    assert "3. no download at all: --data embedded" in told
    assert not out.exists()
    assert {path for path in contents(tmp_path) if not path.endswith(".lock")} == set()


def test_mirror_must_be_an_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("SNN_DATA", str(tmp_path))
    told = refusal(capsys, "train_ecg", "--mirror", "/some/folder")
    assert "the mirror '/some/folder' is not an http or https address" in told
    assert "core fetch qtdb --from FOLDER" in told


def truncated_mat(folder: Path) -> None:
    write_qtdb_mat(folder / "QTDB_train.mat", make_synthetic_ecg(2, seed=0))
    whole = (folder / "QTDB_train.mat").read_bytes()
    (folder / "QTDB_train.mat").write_bytes(whole[: len(whole) // 8])


def truncated_gz(folder: Path) -> None:
    whole = gzip.compress(struct.pack(">4I", 2051, 60000, 28, 28) + bytes(range(256)) * 9)
    (folder / "train-images-idx3-ubyte.gz").write_bytes(whole[:-9])


@pytest.mark.parametrize(
    ("script", "spoil", "problem"),
    [
        ("train_ecg", truncated_mat, r"QTDB_train\.mat is damaged or no MATLAB 5 file"),
        ("train_smnist", truncated_gz, r"train-images-idx3-ubyte\.gz is truncated"),
        ("train_ecg", lambda folder: None, r"QTDB_train\.mat does not exist"),
    ],
)
def test_damaged_data_folder(
    script: str,
    spoil: Callable[[Path], None],
    problem: str,
    tmp_path: Path,
    capsys: Capture,
) -> None:
    spoil(tmp_path)
    before = contents(tmp_path)
    told = refusal(capsys, script, "--data_folder", tmp_path, "--out", tmp_path / "run")
    assert re.search(problem, told)
    assert "run `core fetch" in told
    assert contents(tmp_path) == before


def test_data_other_than_the_record_would_say(tmp_path: Path, capsys: Capture) -> None:
    """A readable file of the right shape with one spike less is not the published data."""
    root = os.environ.get("SNN_DATA")
    if not root or not (Path(root) / "qtdb").is_dir():
        pytest.skip("SNN_DATA does not name a folder with qtdb: no real data to test against")
    shutil.copy(Path(root) / "qtdb" / "QTDB_train.mat", tmp_path)
    content = loadmat(Path(root) / "qtdb" / "QTDB_test.mat")
    where = tuple(axis[0] for axis in content["x"][:, :-1].nonzero())
    content["x"][where] = 0
    savemat(tmp_path / "QTDB_test.mat", {k: v for k, v in content.items() if not k.startswith("_")})
    told = refusal(capsys, "train_ecg", "--data_folder", tmp_path, "--out", tmp_path / "run")
    assert "QTDB_test.mat is not the registered file" in told
    assert "Leave --data_folder out to fetch the published file" in told


# --- output folders -------------------------------------------------------------------------------


def test_output_folder_with_files(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "thesis.txt").write_text("unsaved")
    told = refusal(capsys, "train_smnist", *TINY_SMNIST, "--out", tmp_path)
    assert f"{tmp_path} exists already and is not overwritten" in told
    assert "choose another folder with --out" in told
    assert contents(tmp_path) == {"thesis.txt": b"unsaved"}


def test_output_folder_under_a_file(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "file").write_text("mine")
    told = refusal(capsys, "train_smnist", *TINY_SMNIST, "--out", tmp_path / "file" / "run")
    assert "cannot write the output folder" in told
    assert told.endswith("(Not a directory); choose another with --out")
    assert contents(tmp_path) == {"file": b"mine"}


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--backend", "gpv"), "unknown scan backend 'gpv'"),
        (("--out", "{full}"), "is not overwritten"),
    ],
)
def test_what_needs_no_data_is_refused_before_they_are_read(
    flags: tuple[str, ...],
    told: str,
    tmp_path: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def read(*arguments: object) -> None:
        raise AssertionError("data were read")

    monkeypatch.setattr("brf.task._digits", read)
    (tmp_path / "notes.txt").write_text("mine")
    given = [flag.format(full=tmp_path) for flag in flags]
    out = [] if "--out" in flags else ["--out", tmp_path / "run"]
    assert told in refusal(capsys, "train_smnist", "--data", "embedded", *given, *out)
