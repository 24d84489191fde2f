"""NaN never spikes, so a lost network may have a finite loss: each number is looked at itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from core import checkpoints
from core.data import Batches
from core.errors import NotFinite, RunFailed, UserError
from core.metrics import BatchResult
from core.training.job import Job
from core.training.loop import TrainStep, descend, evaluate

from . import training_toy as toy
from .training_toy import STEPS, assert_same_run, at_step, facts, make_job, rows, train


def poison(model: nn.Module) -> None:
    with torch.no_grad():
        next(iter(model.parameters())).fill_(float("nan"))


def failure(folder: Path, job: Job, *, done: int) -> str:
    """Message of the run, which keeps everything up to epoch ``done``, all of it finite."""
    with pytest.raises(RunFailed) as failed:
        train(folder, job)
    message = str(failed.value)
    assert f"Everything up to epoch {done} is kept in {folder}" in message
    assert facts(folder)["status"] == "failed"
    assert [row["epoch"] for row in rows(folder)] == list(range(done + 1))
    for name in ("best", "last"):
        kept = checkpoints.load(folder / f"{name}.safetensors")
        assert kept.manifest["epoch"] <= done
        assert all(torch.isfinite(weight).all() for weight in kept.weights.values())
    return message


def after_step(epoch: int, step: int, action: Callable[[nn.Module], object]) -> Any:
    """Like ``at_step``, once the step is done."""

    def wrap(train_step: TrainStep) -> TrainStep:
        calls = []

        def acting(model: nn.Module, *rest: Any) -> BatchResult:
            calls.append(result := train_step(model, *rest))
            if len(calls) == (epoch - 1) * STEPS + step:
                action(model)
            return result

        return acting

    return wrap


# --- weights, gradients, losses -------------------------------------------------------------------


def test_loss(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    train(tmp_path / "whole", make_job())
    message = failure(folder, make_job(wrap=at_step(2, 3, poison)), done=1)
    assert "the loss is not finite in epoch 2, step 3: parameters first.weight" in message
    assert "lower --lr" in message
    train(folder, make_job(), resume=True)
    assert_same_run(folder, tmp_path / "whole")


def test_gradient_while_the_loss_is_finite(tmp_path: Path) -> None:
    """``where`` hides the NaN of a root from the loss, not from its derivative."""

    def objective(model: nn.Module, *batch: torch.Tensor) -> BatchResult:
        result = toy.objective(model, *batch)
        root = torch.sqrt(-model.second.bias.abs())  # type: ignore[operator, union-attr]
        return replace(result, loss=result.loss + torch.where(root >= 0, root, 0.0).sum())

    def step(model: nn.Module, *rest: Any) -> BatchResult:
        *batch, optimizer = rest
        optimizer.zero_grad()
        result = objective(model, *batch)
        descend(result.loss, model, optimizer, None)
        return result

    message = failure(tmp_path / "run", replace(make_job(), train_step=step), done=0)
    assert "the gradient of second.bias is not finite in epoch 1, step 1: all param" in message
    assert "clipping comes too late" in message


@pytest.mark.parametrize(
    ("lr", "told"),
    [
        (1e25, r"the norm of (first|second)\.\w+ \(largest entry 1e\+25\)"),
        (3e38, "the step of the optimiser"),
    ],
)
def test_update_that_throws_parameters_out_of_range(lr: float, told: str, tmp_path: Path) -> None:
    """``tanh`` is finite of anything, and 1e25 is, but not its square."""
    message = failure(tmp_path / "run", make_job(lr=lr), done=0)
    assert re.match(f"{told} is not finite in epoch 1, step 1: an update overflowed", message)


def test_weights_that_only_the_evaluation_sees(tmp_path: Path) -> None:
    message = failure(tmp_path / "run", make_job(wrap=after_step(2, STEPS, poison)), done=1)
    assert "first.weight is not finite in the evaluation after epoch 2: " in message


def test_statistics_that_no_loss_sees(tmp_path: Path) -> None:
    def break_statistics(model: nn.Module) -> None:
        model.get_buffer("mean")[0] = float("inf")

    job = make_job(wrap=at_step(2, 1, break_statistics))
    job.model.register_buffer("mean", torch.zeros(3))
    message = failure(tmp_path / "run", job, done=1)
    assert "mean is not finite in the evaluation after epoch 2" in message


@pytest.mark.parametrize(("broken", "told"), [(0, "validation"), (1, "test")])
def test_loss_of_one_evaluation(broken: int, told: str, tmp_path: Path) -> None:
    job, counts = make_job(), [0, 0]

    def objective(model: nn.Module, inputs: torch.Tensor, targets: torch.Tensor) -> BatchResult:
        result = toy.objective(model, inputs, targets)
        which = int(not any(torch.equal(inputs, x) for x, _ in job.validation.epoch(0)))
        counts[which] += 1
        late = which == broken and counts[which] > 2
        return replace(result, value=torch.tensor(float("nan"))) if late else result

    job.objective = objective
    message = failure(tmp_path / "run", job, done=0)
    assert f"the loss is not finite in the evaluation after epoch 1, {told} set: " in message


def test_before_anything_was_saved(tmp_path: Path) -> None:
    job = make_job()
    poison(job.model)
    with pytest.raises(RunFailed, match=r"evaluation after epoch 0: .* Nothing was saved"):
        train(tmp_path / "run", job)


# --- inputs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_one_entry_of_a_training_sample(value: float, tmp_path: Path) -> None:
    job = make_job()
    job.train.inputs[13, 2, 1] = value  # type: ignore[attr-defined]
    batch = job.train.order(1).tolist().index(13) // 8 + 1  # type: ignore[attr-defined]
    message = failure(tmp_path / "run", job, done=0)
    place = f"the input is not finite in epoch 1, batch {batch}: sample 13 (counted from 0) holds"
    assert place in message


@pytest.mark.parametrize(("split", "told"), [("validation", "validation"), ("test", "test")])
def test_one_entry_of_an_evaluated_sample(split: str, told: str, tmp_path: Path) -> None:
    job = make_job()
    getattr(job, split).inputs[9, 0, 0] = float("nan")
    with pytest.raises(RunFailed) as failed:
        train(tmp_path / "run", job)
    place = f"in the evaluation after epoch 0, {told} set, batch 2: sample 9"
    assert place in str(failed.value)
    with pytest.raises(NotFinite, match=r"the input is not finite in batch 2: sample 9"):
        evaluate(job.model, getattr(job, split).epoch(0), job.objective, device=job.device)


def batches(inputs: np.ndarray) -> Batches:
    targets = np.zeros(len(inputs), np.int64)
    return Batches(
        inputs, targets, batch_size=2, shuffle=False, transform=lambda x, y: (x.transpose(0, 1), y)
    )


def test_finite_inputs_whose_sum_is_not() -> None:
    large = np.full((3, 4, 5), 3e38, np.float32)
    assert len(list(batches(large).epoch(0))) == 2
    large[2, 3, 4] = -np.inf
    with pytest.raises(NotFinite, match=r"in batch 2: sample 2"):
        list(batches(large).epoch(0))


def test_integers_are_finite() -> None:
    assert len(list(batches(np.full((3, 4, 5), 200, np.uint8)).epoch(0))) == 2


# --- files ----------------------------------------------------------------------------------------


def test_weights_of_a_file(tmp_path: Path) -> None:
    """An evaluation of them would say how often NaN is right."""
    model = nn.Linear(2, 3)
    checkpoints.load_into(model, {**model.state_dict()}, "it")
    before = {key: value.clone() for key, value in model.state_dict().items()}
    lost = {**model.state_dict(), "bias": torch.tensor([0.0, float("nan"), 0.0])}
    with pytest.raises(UserError, match=r"^it holds a network that is lost: bias with NaN"):
        checkpoints.load_into(model, lost, "it")
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_squares_whose_sum_overflows_are_finite() -> None:
    """Sixteen entries of 1e19 can be squared, but float32 does not hold the sum of the squares."""
    parameter = nn.Parameter(torch.zeros(16))
    model = nn.ParameterList([parameter])
    adam = torch.optim.Adam(model.parameters(), lr=0.1)
    descend((parameter * 1e19).sum(), model, adam, None)
    assert parameter.tolist() == pytest.approx([-0.1] * 16)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    optimizer.zero_grad()
    descend((parameter * 1e19).sum(), model, optimizer, 4.0)  # clipped by the true norm
    assert parameter.tolist() == pytest.approx([-1.1] * 16)
    optimizer.zero_grad()
    with pytest.raises(NotFinite, match="largest entry 2e\\+19"):
        descend((parameter * 2e19).sum(), model, optimizer, None)
