"""Runs of the training scripts that were stopped, by signals and otherwise, and went on."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from brf.config import PAPER
from core import checkpoints
from core.testing import stop_at
from core.training.progress import RunProgress

from .scripts import (
    TINY_ECG,
    TINY_SMNIST,
    assert_same_run,
    call,
    facts,
    rows,
    without_notices,
)

EPOCHS = 5
FIRST = 2
"""Epochs to wait for before a run is stopped."""
OPTIONS = (
    *("--neuron", "rf", "--data", "embedded", "--hidden", "8", "--train_fraction", "0.2"),
    *("--batch_size", "16", "--epochs", str(EPOCHS), "--threads", "1"),
)
SIGNALS = (signal.SIGKILL, signal.SIGINT, signal.SIGTERM)
PATIENCE = 300.0
"""Seconds; only a machine that is very busy comes near."""


@pytest.fixture(autouse=True)
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than these runs; processes of their own still draw."""
    monkeypatch.setattr("core.plots.learning_curve", lambda *_, **__: None)


# --- signals to the real script -------------------------------------------------------------------


@dataclass
class Stopped:
    """A process that got a signal in the middle of an epoch.

    ``done`` is the last epoch it finished: 2, or more where the machine kept this one waiting.
    """

    folder: Path
    code: int
    out: str
    err: str
    done: int


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "train_smnist.py", *arguments],
        cwd=PAPER,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a shell that starts the tests in the background has it ignored, and children inherit that
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def stop_inside(process: subprocess.Popen[str], folder: Path, number: int) -> Stopped:
    """Send a signal once an epoch is finished and the next has logged a training step."""
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if line.startswith(f"epoch {FIRST}/{EPOCHS} "):
            break
    else:
        raise AssertionError(f"the run ended early:\n{seen}{process.communicate()[1]}")
    (events,) = folder.glob("events.*")
    size, deadline = events.stat().st_size, time.monotonic() + PATIENCE
    while events.stat().st_size == size:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE)
    return Stopped(folder, process.returncode, seen + out, err, rows(folder)[-1]["epoch"])


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, Stopped]]:
    """One run per signal; they start together, because starting is most of the work."""
    root = tmp_path_factory.mktemp("stopped")
    with ExitStack() as cleanup, ThreadPoolExecutor() as watchers:
        processes = {}
        for number in SIGNALS:
            processes[number] = start(*OPTIONS, "--out", str(root / str(int(number))))
            cleanup.callback(processes[number].communicate)
            cleanup.callback(processes[number].kill)
        watched = {
            number: watchers.submit(stop_inside, process, root / str(int(number)), number)
            for number, process in processes.items()
        }
        yield {number: watcher.result() for number, watcher in watched.items()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that nobody stopped."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("core.plots.learning_curve", lambda *_, **__: None)
        assert call("train_smnist", *OPTIONS, "--out", folder) == 0
    # the network learns and spikes: equal bits say something
    assert rows(folder)[-1]["val_loss"] < rows(folder)[0]["val_loss"]
    assert rows(folder)[-1]["sop"] > 0
    return folder


def continued(run: Stopped, folder: Path) -> Path:
    """A copy of the stopped run, to go on with."""
    shutil.copytree(run.folder, folder)
    assert FIRST <= run.done < EPOCHS
    assert facts(folder)["epochs_done"] == run.done
    assert checkpoints.load(folder / "last.safetensors").manifest["epoch"] == run.done
    assert [row["epoch"] for row in rows(folder)] == list(range(run.done + 1))
    return folder


def test_sigkill(stopped: dict[int, Stopped], whole: Path, tmp_path: Path) -> None:
    run = stopped[signal.SIGKILL]
    assert (run.code, without_notices(run.err)) == (-signal.SIGKILL, "")
    folder = continued(run, tmp_path / "run")
    assert facts(folder)["status"] == "running"
    process = start("--resume", str(folder))
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, without_notices(err)) == (0, "")
    assert f"resumed after epoch {run.done}" in out
    shown = [int(epoch) for epoch in re.findall(r"^epoch (\d+)/", out, re.MULTILINE)]
    assert shown == list(range(run.done + 1, EPOCHS + 1))
    assert (folder / "learning_curve.png").is_file()
    assert_same_run(folder, whole)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_request_to_stop(
    number: signal.Signals, stopped: dict[int, Stopped], whole: Path, tmp_path: Path
) -> None:
    run = stopped[number]
    assert run.code == 130
    assert without_notices(run.err) == (
        f"stopped. Everything up to epoch {run.done} is kept in {run.folder}; "
        f"continue with --resume {run.folder}\n"
    )
    folder = continued(run, tmp_path / "run")
    assert facts(folder)["status"] == "interrupted"
    assert call("train_smnist", "--resume", folder) == 0
    assert_same_run(folder, whole)


def test_a_log_has_plain_lines(stopped: dict[int, Stopped]) -> None:
    for run in stopped.values():
        assert re.fullmatch(r"[\x20-\x7e\n]+", run.out)
        assert len(run.out.splitlines()) == 2 + run.done + 1


# --- the same in this process, for other recipes --------------------------------------------------

RECIPES: dict[str, tuple[str, ...]] = {
    "truncated ALIF": ("train_smnist", "--neuron", "alif", "--batch_size", "40"),
    "HRF with RAdam": ("train_smnist", "--neuron", "hrf", "--batch_size", "40"),
    "permuted RF": ("train_smnist", "--permuted", "--neuron", "rf", "--batch_size", "40"),
    "energy-aware": ("train_smnist", "--lambda_spike", "1e-4", "--batch_size", "40"),
    "ECG": ("train_ecg", "--neuron", "alif"),
}


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_resumes(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script, *options = RECIPES[name]
    options = [*(TINY_ECG if "ecg" in script else TINY_SMNIST), *options, "--epochs", "2"]
    assert call(script, *options, "--out", tmp_path / "whole") == 0
    folder = tmp_path / "stopped"
    steps = 2 if "ecg" in script else 4
    with monkeypatch.context() as patch:
        patch.setattr(RunProgress, "step", stop_at(steps + 1))
        assert call(script, *options, "--out", folder) == 130
    assert facts(folder)["epochs_done"] == 1
    assert call(script, "--resume", folder) == 0
    assert_same_run(folder, tmp_path / "whole")


def test_one_seed_one_result(tmp_path: Path) -> None:
    options = (*TINY_SMNIST, "--permuted", "--neuron", "rf", "--epochs", 1)
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        assert call("train_smnist", *options, "--seed", seed, "--out", tmp_path / name) == 0
    assert_same_run(tmp_path / "a", tmp_path / "b")
    one, other = (checkpoints.load(tmp_path / n / "last.safetensors").weights for n in "ac")
    differing = {key for key in one if not one[key].equal(other[key])}
    assert differing == set(one), "initial weights and permutation come from the seed"
