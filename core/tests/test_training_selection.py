"""Which epoch is kept, what the schedule sees, and what is counted."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from core import checkpoints
from core.metrics import BatchResult, Metrics, Totals
from core.training.job import Job
from core.training.rows import spikes_of
from core.training.schedules import linear_decay, plateau_of_accuracy, step
from core.training.selection import best_row, selection_name

from .training_toy import (
    assert_same_run,
    at_step,
    facts,
    make_job,
    rows,
    stop,
    train,
)

ROWS = [
    {"epoch": 0, "val_loss": 2.0, "val_accuracy": 10.0},
    {"epoch": 1, "val_loss": 1.0, "val_accuracy": 50.0},
    {"epoch": 2, "val_loss": 1.5, "val_accuracy": 60.0},
    {"epoch": 3, "val_loss": 1.0, "val_accuracy": 60.0},
]


@pytest.mark.parametrize(
    ("selects", "ties", "epoch"),
    [
        ("val_loss", "first", 1),
        ("val_loss", "last", 3),
        ("val_accuracy", "first", 2),
        ("val_accuracy", "last", 3),
    ],
)
def test_best_row(selects: Any, ties: Any, epoch: int) -> None:
    assert best_row(ROWS, selects=selects, on_ties=ties)["epoch"] == epoch


def test_default_is_the_first_least_loss() -> None:
    assert best_row(ROWS)["epoch"] == 1
    assert selection_name("val_accuracy") == "validation accuracy"


def test_records_can_select_without_torch() -> None:
    watch = "import sys, core.training.selection; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", watch], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


# --- runs -----------------------------------------------------------------------------------------


def scripted(job: Job, losses: list[float], rights: list[int]) -> Job:
    """The job with evaluations of chosen loss and number of right answers, one after the other.

    Validation and test are the same object, of 16 samples in batches of 8.
    """
    results = [
        BatchResult(torch.tensor(loss), torch.tensor(loss), torch.tensor(right), 8, spikes, 8, 800)
        for loss, count in zip(losses, rights, strict=True)
        for right, spikes in (
            (min(8, count), torch.tensor(40)),
            (max(0, count - 8), torch.tensor(40)),
        )
    ]
    queue = iter(results)
    return replace(job, objective=lambda *_: next(queue), test=job.validation)


@pytest.mark.parametrize(("selects", "epoch"), [("val_loss", 1), ("val_accuracy", 2)])
def test_selected_weights(selects: Any, epoch: int, tmp_path: Path) -> None:
    job = replace(make_job(ties="first"), selects=selects)
    job = scripted(job, [3.0, 1.0, 2.0, 1.5], [2, 4, 9, 9])
    history = train(tmp_path / "run", job)
    assert [row["val_loss"] for row in history] == [3.0, 1.0, 2.0, 1.5]
    assert [row["val_accuracy"] for row in history] == [12.5, 25.0, 56.25, 56.25]
    assert checkpoints.load(tmp_path / "run" / "best.safetensors").manifest["epoch"] == epoch
    assert facts(tmp_path / "run")["selects"] == selects


def test_validation_on_the_test_set_is_evaluated_once(tmp_path: Path) -> None:
    """The script above would run out of results; and the rows say the same twice."""
    history = train(tmp_path / "run", scripted(make_job(), [4.0, 3.0, 2.0, 1.0], [1, 2, 3, 4]))
    for row in history:
        assert row["val_loss"] == row["test_loss"]
        assert row["val_accuracy"] == row["test_accuracy"]
        assert (row["sop"], row["rate"]) == (5.0, 0.05)


def plateau_job(**options: Any) -> Job:
    job = make_job(**options)
    return replace(
        job,
        scheduler=plateau_of_accuracy(factor=0.5, patience=0)(job.optimizer),
        selects="val_accuracy",
        best_on_ties="first",
    )


def test_plateau_sees_the_validation_accuracy(tmp_path: Path) -> None:
    """Not of the untrained network; the rate in a row is that of the next epoch."""
    job = scripted(plateau_job(lr=0.4), [1.0] * 4, [9, 4, 4, 5])
    history = train(tmp_path / "run", job)
    assert [row["learning_rate"] for row in history] == [0.4, 0.4, 0.2, 0.2]


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_plateau_resumes_bit_for_bit(epoch: int, tmp_path: Path) -> None:
    train(tmp_path / "whole", plateau_job())
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "run", plateau_job(wrap=at_step(epoch, 2, stop)))
    train(tmp_path / "run", plateau_job(), resume=True)
    assert_same_run(tmp_path / "run", tmp_path / "whole")
    state = checkpoints.load_resume_state(tmp_path / "run" / "resume.pt")
    assert state["scheduler"]["best"] == max(r["val_accuracy"] for r in rows(tmp_path / "run")[1:])


def test_resumes_from_an_older_state(tmp_path: Path) -> None:
    """It also said the best loss, which the history says."""
    train(tmp_path / "whole", make_job())
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "run", make_job(wrap=at_step(3, 1, stop)))
    path = tmp_path / "run" / "resume.pt"
    state = checkpoints.load_resume_state(path)
    state["progress"]["best_loss"] = 0.123
    checkpoints.save_resume_state(path, state)
    train(tmp_path / "run", make_job(), resume=True)
    assert_same_run(tmp_path / "run", tmp_path / "whole")


# --- schedules ------------------------------------------------------------------------------------


def test_linear_decay_ignores_the_accuracy() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = linear_decay(4)(optimizer)
    optimizer.step()
    step(scheduler, val_accuracy=0.0)
    assert optimizer.param_groups[0]["lr"] == 0.75


# --- counts ---------------------------------------------------------------------------------------


def batch(spikes: int | None, neuron_steps: int | None, samples: int = 4) -> BatchResult:
    one = torch.tensor(1.0)
    count = None if spikes is None else torch.tensor(spikes)
    return BatchResult(one, one, torch.tensor(3), samples, count, samples, neuron_steps)


def metrics_of(*batches: BatchResult) -> Metrics:
    totals = Totals()
    for result in batches:
        totals.add(result)
    return totals.metrics()


def test_rate_is_exact_over_unequal_batches() -> None:
    metrics = metrics_of(batch(100, 1000), batch(50, 250, samples=1))
    assert metrics.rate == 150 / 1250
    assert metrics.sop == 150 / 5
    assert metrics.accuracy == 100 * 6 / 5


def test_rate_needs_neurons_and_spikes() -> None:
    assert metrics_of(batch(100, None)).rate is None
    silent = metrics_of(batch(0, 1000))
    assert (silent.rate, silent.sop) == (0.0, 0.0)
    without = metrics_of(batch(None, None))
    assert (without.rate, without.sop) == (None, None)


def test_words_about_spikes() -> None:
    assert spikes_of({"sop": None}) == ""
    assert spikes_of({"sop": 12.34}) == ", 12.3 spikes per sample"
    told = spikes_of({"sop": 12.34, "rate": 0.0123})
    assert told == ", 12.3 spikes per sample (0.0123 per neuron and step)"
