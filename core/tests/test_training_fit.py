"""A run that was stopped, in whatever way, and went on is the run that was never stopped."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import (
    EventAccumulator,
)

from core import checkpoints
from core.errors import UserError
from core.records.runs import read_metrics
from core.training.seeding import random_state
from core.training.selection import best_row

from . import training_toy as toy
from .training_toy import (
    DEATHS,
    EPOCHS,
    STEPS,
    assert_same_bits,
    assert_same_run,
    at_step,
    facts,
    make_job,
    rows,
    stop,
    train,
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    train(folder, make_job())
    return folder


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs that were killed while they wrote, by file and moment."""
    root = tmp_path_factory.mktemp("killed")
    for name, _ in DEATHS:
        (root / name).mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, toy.__file__, str(root)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return root


@pytest.mark.parametrize(("name", "moment"), DEATHS)
def test_killed_while_writing(
    name: str, moment: str, killed: Path, whole: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(killed / name / moment, folder)
    done = 2 if DEATHS.index((name, moment)) >= DEATHS.index(("resume.pt", "after its name")) else 1
    saved = checkpoints.load_resume_state(folder / "resume.pt")
    assert saved["progress"]["epoch"] == done
    for kind in ("best", "last"):
        assert checkpoints.load(folder / f"{kind}.safetensors").manifest["epoch"] in (1, 2)
    assert len(rows(folder)) in (done, done + 1)
    assert facts(folder)["status"] == "running"
    left = list(folder.glob(".*.tmp"))
    assert len(left) == (moment != "after its name")
    for path in left:
        os.utime(path, (0, 0))

    train(folder, make_job(), resume=True)
    assert_same_run(folder, whole)
    assert {path.name for path in folder.iterdir()} - {".lock"} == {
        *("config.yaml", "run.json", "metrics.jsonl", "best.safetensors", "last.safetensors"),
        *("resume.pt", *(path.name for path in folder.glob("events.*"))),
    }


@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.RAdam])
@pytest.mark.parametrize(("epoch", "step"), [(1, 1), (2, 3), (3, STEPS)])
def test_interrupted_at_any_step(
    optimizer: type[torch.optim.Optimizer], epoch: int, step: int, tmp_path: Path
) -> None:
    train(tmp_path / "whole", make_job(optimizer=optimizer))
    folder = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt) as stopped:
        train(folder, make_job(optimizer=optimizer, wrap=at_step(epoch, step, stop)))
    assert str(stopped.value) == (
        f"stopped. Everything up to epoch {epoch - 1} is kept in {folder}; "
        f"continue with --resume {folder}"
    )
    assert facts(folder)["status"] == "interrupted"
    train(folder, make_job(optimizer=optimizer), resume=True)
    assert_same_run(folder, tmp_path / "whole")


def test_interrupted_twice_and_resumed_when_finished(tmp_path: Path, whole: Path) -> None:
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(folder, make_job(wrap=at_step(1, 2, stop)))
    with pytest.raises(KeyboardInterrupt):
        train(folder, make_job(wrap=at_step(2, 2, stop)), resume=True)
    train(folder, make_job(), resume=True)
    assert_same_run(folder, whole)
    train(folder, make_job(), resume=True)  # nothing left to do
    assert_same_run(folder, whole)


def test_interrupted_before_the_first_checkpoint(tmp_path: Path) -> None:
    job = make_job()
    job.objective = lambda model, inputs, targets: stop(model)
    with pytest.raises(KeyboardInterrupt, match=r"Nothing was saved .* start the run again"):
        train(tmp_path / "run", job)
    with pytest.raises(UserError, match="stopped before its first checkpoint"):
        train(tmp_path / "run", make_job(), resume=True)


def test_sigterm_leaves_like_ctrl_c(tmp_path: Path, whole: Path) -> None:
    folder = tmp_path / "run"
    before = signal.getsignal(signal.SIGTERM)
    terminate = at_step(2, 2, lambda model: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(KeyboardInterrupt, match=f"continue with --resume {folder}"):
        train(folder, make_job(wrap=terminate))
    assert signal.getsignal(signal.SIGTERM) is before
    assert facts(folder)["status"] == "interrupted"
    train(folder, make_job(), resume=True)
    assert_same_run(folder, whole)


@pytest.fixture
def heeded() -> Iterator[None]:
    """Ctrl-C as in the foreground: a shell has its background jobs ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_a_finaliser_swallows_stops_the_run_all_the_same(
    number: int, tmp_path: Path, heeded: None
) -> None:
    class Finalised:
        def __del__(self) -> None:
            with suppress(KeyboardInterrupt):  # as Python does, which also says so
                os.kill(os.getpid(), number)

    folder, before = tmp_path / "run", signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt, match="Everything up to epoch 1 is kept"):
        train(folder, make_job(wrap=at_step(2, 2, lambda model: Finalised() and None)))
    assert facts(folder)["status"] == "interrupted"
    assert signal.getsignal(number) is before


def test_runs_outside_the_main_thread(tmp_path: Path, whole: Path) -> None:
    thread = threading.Thread(target=lambda: train(tmp_path / "run", make_job()))
    thread.start()
    thread.join()
    assert_same_run(tmp_path / "run", whole)


def test_one_seed_one_result(tmp_path: Path, whole: Path) -> None:
    train(tmp_path / "same", make_job(seed=0))
    assert_same_run(tmp_path / "same", whole)
    train(tmp_path / "other", make_job(seed=1))
    assert rows(tmp_path / "other")[-1]["val_loss"] != rows(whole)[-1]["val_loss"]


@pytest.mark.parametrize(("ties", "kept"), [("first", 0), ("last", EPOCHS)])
def test_ties(ties: Any, kept: int, tmp_path: Path) -> None:
    """With a learning rate of 0 all validation losses are equal, before and after a stop."""
    options: dict[str, Any] = {"optimizer": torch.optim.SGD, "lr": 0.0, "ties": ties}
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "run", make_job(**options, wrap=at_step(2, 1, stop)))
    history = train(tmp_path / "run", make_job(**options), resume=True)
    assert len({row["val_loss"] for row in history}) == 1
    assert checkpoints.load(tmp_path / "run" / "best.safetensors").manifest["epoch"] == kept
    assert best_row(history, on_ties=ties)["epoch"] == kept


def curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    return {
        tag: [(event.step, event.value) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }


def test_tensorboard_curves(tmp_path: Path, whole: Path) -> None:
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(folder, make_job(wrap=at_step(2, 3, stop)))
    train(folder, make_job(), resume=True)
    ours = curves(folder)
    assert set(ours) == {
        *("Loss/train", "Accuracy/train", "Loss/val", "Accuracy/val", "SOP/val"),
        *("Loss/test", "Accuracy/test", "SOP/test", "Learning rate"),
    }
    for tag in ("Loss/train", "Accuracy/train"):
        assert [step for step, _ in ours[tag]] == list(range(1, EPOCHS + 1))
    assert [step for step, _ in ours["Loss/val"]] == list(range(EPOCHS + 1))
    assert ours == curves(whole)
    measured = [row["val_loss"] for row in rows(folder)]
    assert [value for _, value in ours["Loss/val"]] == pytest.approx(measured, rel=1e-6)
    assert [value for _, value in ours["SOP/test"]] == [7.0] * (EPOCHS + 1)


def test_tensorboard_after_kills(killed: Path, whole: Path, tmp_path: Path) -> None:
    """A kill loses no point; the epoch whose saving it hit may show twice, with equal values."""
    name, moment = "last.safetensors", "before its name"
    folder = tmp_path / "run"
    shutil.copytree(killed / name / moment, folder)
    events = next(folder.glob("events.*"))
    events.write_bytes(events.read_bytes()[:-3])  # torn in the middle of a record
    train(folder, make_job(), resume=True)
    ours, theirs = curves(folder), curves(whole)
    assert ours["Loss/train"] == theirs["Loss/train"]
    for tag in theirs:
        assert sorted(set(ours[tag])) == theirs[tag]


def test_metrics_and_manifest(whole: Path) -> None:
    first, *later = rows(whole)
    assert first["train_loss"] is None
    assert [row["learning_rate"] for row in later] == pytest.approx([0.05 * 2 / 3, 0.05 / 3, 0.0])
    assert later[-1]["sop"] == 7.0
    assert facts(whole)["epochs_done"] == EPOCHS
    assert facts(whole)["finished"]
    assert facts(whole)["seconds_per_epoch"] >= 0
    manifest = checkpoints.load(whole / "last.safetensors").manifest
    assert (manifest["paper"], manifest["epoch"]) == ("toy", EPOCHS)
    of_last = {k: v for k, v in later[-1].items() if k != "selected"}
    assert {k: v for k, v in manifest["metrics"].items() if k != "seconds"} == of_last


def test_units_and_the_selected_epoch_are_named(whole: Path) -> None:
    (selected,) = (row for row in rows(whole) if row["selected"])
    best = checkpoints.load(whole / "best.safetensors").manifest["epoch"]
    assert selected["epoch"] == facts(whole)["selected_epoch"] == best
    assert facts(whole)["units"]["accuracy"] == "%"
    assert read_metrics(whole, "finished")[best]["val_loss"] == selected["val_loss"]


def test_the_whole_random_state_comes_back(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    states = []
    note = at_step(2, 1, lambda model: states.append(random_state()))
    train(folder, make_job(wrap=note))
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "stopped", make_job(wrap=at_step(2, 1, stop)))
    again = at_step(1, 1, lambda model: states.append(random_state()))
    train(tmp_path / "stopped", make_job(seed=5, wrap=again), resume=True)
    assert_same_bits(states[1], states[0])
