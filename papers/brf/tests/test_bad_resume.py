"""Runs that cannot be continued, or fail: one message, the next step, and nothing overwritten."""

from __future__ import annotations

import errno
import io
import os
import pickle
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from brf.config import CONFIGS, PAPER
from core import checkpoints
from core.training.progress import RunProgress
from core.training.run_folder import RunFolder
from core.training.stored import stored_settings

from .scripts import (
    TINY_SMNIST,
    assert_same_run,
    call,
    contents,
    facts,
    message,
    refusal,
    rows,
    without_notices,
)

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than these runs."""
    monkeypatch.setattr("core.plots.learning_curve", lambda *_, **__: None)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of two epochs; tests work on copies."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("core.plots.learning_curve", lambda *_, **__: None)
        assert call("train_smnist", *TINY_SMNIST, "--epochs", 2, "--out", folder) == 0
    return folder


@pytest.fixture
def stopped(tmp_path: Path, finished: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same run, stopped in its second epoch."""
    folder = tmp_path / "stopped"
    with monkeypatch.context() as patch:
        interrupt(patch, step=2)
        assert call("train_smnist", *TINY_SMNIST, "--epochs", 2, "--out", folder) == 130
    return folder


def interrupt(patch: pytest.MonkeyPatch, *, step: int) -> None:
    """Ctrl-C after this many training steps."""

    def count(self: RunProgress, epoch: int, value: float) -> None:
        self.done += 1
        if self.done == step:
            raise KeyboardInterrupt

    patch.setattr(RunProgress, "step", count)


def test_output_folder_of_a_run(finished: Path, capsys: Capture) -> None:
    before = contents(finished)
    assert "not overwritten" in refusal(
        capsys, "train_smnist", *TINY_SMNIST, "--epochs", 2, "--out", finished
    )
    assert contents(finished) == before


def test_a_run_keeps_its_number_of_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """Batch norm and sums of PyTorch add in another order with another number."""
    options = [*TINY_SMNIST, "--epochs", 2, "--threads", 3]
    folder, used = tmp_path / "run", []
    with monkeypatch.context() as patch:
        interrupt(patch, step=2)
        assert call("train_smnist", *options, "--out", folder) == 130
    assert facts(folder)["threads"] == 3
    edit = (folder / "config.yaml").read_text().replace("threads: 3", "threads: 0")
    (folder / "config.yaml").write_text(edit)  # as of a machine whose choice was 3
    before = contents(folder)
    told = refusal(capsys, "train_smnist", "--resume", folder, "--threads", 2)
    assert "its results depend on its number of threads, which is 3; leave --threads out" in told
    assert contents(folder) == before
    monkeypatch.setattr(RunProgress, "step", lambda *_: used.append(torch.get_num_threads()))
    capsys.readouterr()
    assert call("train_smnist", "--resume", folder) == 0
    assert set(used) == {3}
    assert ", 3 threads, " in capsys.readouterr().out
    assert checkpoints.load(folder / "last.safetensors").manifest["threads"] == 3


# --- resuming -------------------------------------------------------------------------------------


class Malicious:
    """Unpickling it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.path}",)


def truncate(folder: Path) -> None:
    content = (folder / "resume.pt").read_bytes()
    (folder / "resume.pt").write_bytes(content[: len(content) // 2])


def flip(folder: Path) -> None:
    content = bytearray((folder / "resume.pt").read_bytes())
    weight = checkpoints.load(folder / "last.safetensors").weights["hidden.recurrent_weight"]
    content[content.index(weight.numpy().tobytes()) + 5] ^= 1
    (folder / "resume.pt").write_bytes(content)


def garbage(folder: Path) -> None:
    (folder / "resume.pt").write_bytes(b"not a resume state at all")


def malicious(folder: Path) -> None:
    content = io.BytesIO()
    torch.save({"model": Malicious(folder / "side_effect")}, content)
    (folder / "resume.pt").write_bytes(content.getvalue())


def malicious_pickle(folder: Path) -> None:
    (folder / "resume.pt").write_bytes(pickle.dumps(Malicious(folder / "side_effect")))


def another_network(folder: Path) -> None:
    state = checkpoints.load_resume_state(folder / "resume.pt")
    state["model"]["hidden.neuron.omega"] = torch.zeros(9)
    checkpoints.save_resume_state(folder / "resume.pt", state)


def no_state(folder: Path) -> None:
    checkpoints.save_resume_state(folder / "resume.pt", {"a": 1})


def no_resume_state(folder: Path) -> None:
    (folder / "resume.pt").unlink()


def damaged_facts(folder: Path) -> None:
    (folder / "run.json").write_text("{")


def damaged_config(folder: Path) -> None:
    (folder / "config.yaml").write_text("lr: [")


def truncated_config(folder: Path) -> None:
    text = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(text[: text.index("data: embedded")])


def other_data(folder: Path) -> None:
    text = (folder / "run.json").read_text()
    (folder / "run.json").write_text(text.replace('"name": "digits"', '"name": "mnist"'))


def no_config(folder: Path) -> None:
    (folder / "config.yaml").unlink()


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (
            truncate,
            r"resume\.pt was refused: .*start the run again in another folder",
        ),
        (flip, r"resume\.pt is truncated or damaged \(wrong checksum"),
        (garbage, r"resume\.pt was refused: it is truncated or damaged"),
        (malicious, r"resume\.pt was refused: "),
        (malicious_pickle, r"resume\.pt was refused: "),
        (another_network, r"resume\.pt belongs to another network: hidden\.neuron\.omega"),
        (no_state, r"lacks model, optimizer, .*start the run again"),
        (no_resume_state, "before its first checkpoint, .* start it again in another folder"),
        (damaged_facts, r"run\.json.* put back a copy"),
        (damaged_config, r"config\.yaml: cannot be read as YAML"),
        (truncated_config, r"config\.yaml is not what the run started with, .* it lacks data, "),
        (other_data, r"was trained on .*'mnist'.*, and the data here are .*'digits'"),
        (no_config, r"config\.yaml: no such config file"),
    ],
)
def test_resume_of_a_damaged_run(
    spoil: Callable[[Path], None], problem: str, finished: Path, tmp_path: Path, capsys: Capture
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    spoil(folder)
    before = contents(folder)
    told = refusal(capsys, "train_smnist", "--resume", folder)
    assert re.search(problem, told)
    assert "\n" not in told
    assert contents(folder) == before
    assert not (folder / "side_effect").exists()


def test_unfinished_runs_of_the_project_can_go_on() -> None:
    """They are older than some of today's checks and settings."""
    folders = sorted((PAPER / "results" / "unfinished").iterdir())
    assert folders
    for folder in folders:
        config_class = CONFIGS[facts(folder)["task"]]
        settings = stored_settings(config_class, folder)
        assert settings.epochs == facts(folder)["epochs_planned"]


@pytest.mark.parametrize("name", ["nowhere", "notes"])
def test_resume_of_no_run(name: str, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "thesis.txt").write_text("mine")
    told = refusal(capsys, "train_smnist", "--resume", tmp_path / name)
    assert f"{tmp_path / name} is not a run folder" in told
    assert contents(tmp_path) == {"notes/thesis.txt": b"mine"}


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ("--lr 0.5 --device cpu", "lr would change"),
        ("--epochs 9 --seed 2", "epochs, seed would change"),
        ("--permuted", "permuted would change"),
        ("--out elsewhere", "out would change"),
    ],
)
def test_resume_with_other_settings(flags: str, named: str, stopped: Path, capsys: Capture) -> None:
    before = contents(stopped)
    told = refusal(capsys, "train_smnist", "--resume", stopped, *flags.split())
    assert f"but {named}; leave the flag out, or start a new run" in told
    assert contents(stopped) == before


def test_resume_with_the_other_script(stopped: Path, capsys: Capture) -> None:
    before = contents(stopped)
    told = refusal(capsys, "train_ecg", "--resume", stopped)
    assert told == f"{stopped} is a run of smnist, not one of train_ecg.py; use train_smnist.py"
    assert contents(stopped) == before


def test_a_second_process_on_the_same_run(stopped: Path, capsys: Capture) -> None:
    with RunFolder.reopen(stopped):
        before = contents(stopped)
        told = refusal(capsys, "train_smnist", "--resume", stopped)
    assert told == f"another process is running in {stopped}; wait for it, or stop it"
    assert contents(stopped) == before


# --- runs that fail -------------------------------------------------------------------------------


def test_interrupted(
    tmp_path: Path, finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        interrupt(patch, step=2)
        assert call("train_smnist", *TINY_SMNIST, "--epochs", 2, "--out", out) == 130
    assert without_notices(capsys.readouterr().err) == (
        f"stopped. Everything up to epoch 1 is kept in {out}; continue with --resume {out}\n"
    )
    assert facts(out)["status"] == "interrupted"
    assert call("train_smnist", "--resume", out) == 0
    assert_same_run(out, finished)


def test_nan(tmp_path: Path, capsys: Capture) -> None:
    """A learning rate that throws the parameters out of range in the first step."""
    out = tmp_path / "run"
    options = [*TINY_SMNIST, "--batch_size", 32, "--epochs", 2, "--lr", "1e4", "--out", out]
    assert call("train_smnist", *options) == 1
    told = message(capsys)
    assert re.search(r"the gradient of .* not finite in epoch 1, step \d: ", told)
    assert "lower --lr" in told or "below 100 rad/s" in told
    assert f"Everything up to epoch 0 is kept in {out}" in told
    assert facts(out)["status"] == "failed"
    weights = checkpoints.load(out / "last.safetensors").weights
    assert all(torch.isfinite(w).all() for w in weights.values())
    assert [row["epoch"] for row in rows(out)] == [0]


def test_full_disk(
    tmp_path: Path, finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    out = tmp_path / "run"
    replace: Callable[..., Any] = os.replace

    def full(source: Path, target: Path) -> None:
        if target.name == "resume.pt" and target.exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        assert call("train_smnist", *TINY_SMNIST, "--epochs", 2, "--out", out) == 1
    assert message(capsys) == (
        f"cannot write {out / 'resume.pt'}: No space left on device. Everything up to epoch 0 is "
        f"kept in {out}; make room, then continue with --resume {out}"
    )
    assert call("train_smnist", "--resume", out) == 0
    assert_same_run(out, finished)


def test_figure_that_cannot_be_written(
    tmp_path: Path, finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    out = tmp_path / "run"

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("core.plots.learning_curve", full)
        assert call("train_smnist", *TINY_SMNIST, "--epochs", 2, "--out", out) == 1
    told = message(capsys)
    assert "learning_curve.png (No space left on device), but the training is finished" in told
    assert f"draw it with --resume {out}" in told
    assert_same_run(out, finished)
    assert call("train_smnist", "--resume", out) == 0
    assert_same_run(out, finished)
