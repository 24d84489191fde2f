"""What an objective measures beside loss and accuracy, and what may follow an epoch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from core import checkpoints
from core.metrics import BatchResult, Totals
from core.records.runs import read_metrics
from core.records.store import _as_csv
from core.testing import assert_same_run, facts, rows
from core.training.job import Job, Trained

from .training_toy import make_job, objective, train


def result(correct: int, samples: int, **fields: object) -> BatchResult:
    zero = torch.zeros(())
    return BatchResult(
        loss=zero,
        value=zero,
        correct=torch.tensor(correct),
        predictions=samples,
        spikes=None,
        samples=samples,
        **fields,  # type: ignore[arg-type]
    )


def test_means_over_batches_and_over_what_a_batch_weighs() -> None:
    totals = Totals()
    totals.add(result(3, 3, further={"a": (2.0, 1.0), "b": (2.0, 3.0)}))
    totals.add(result(0, 1, further={"a": (4.0, 1.0), "b": (6.0, 1.0)}))
    found = totals.metrics()
    assert found.accuracy == 75.0
    assert found.further == {"a": 3.0, "b": 3.0}
    assert found.batches == {"a": (2.0, 4.0), "b": (2.0, 6.0)}


def test_accuracy_as_a_mean_over_batches() -> None:
    totals = Totals()
    totals.add(result(3, 3, by_batch=True))
    totals.add(result(0, 1, by_batch=True))
    assert totals.metrics().accuracy == 50.0


def measuring(model: nn.Module, inputs_TBI: Tensor, targets_B: Tensor) -> BatchResult:
    found = objective(model, inputs_TBI, targets_B)
    return replace(found, further={"norm": (float(inputs_TBI.norm()), 1.0)})


def job(**changes: object) -> Job:
    return replace(make_job(), objective=measuring, **changes)  # type: ignore[arg-type]


def test_it_stands_in_rows_and_records(tmp_path: Path) -> None:
    train(tmp_path, job())
    first, *later = rows(tmp_path)
    assert {"val_norm", "test_norm"} <= set(first)
    assert all(row["val_norm"] == first["val_norm"] != row["test_norm"] for row in later)
    kept = read_metrics(tmp_path, "finished")
    assert kept[0]["val_norm"] == first["val_norm"]
    assert "selected" not in kept[0]
    header, *lines = _as_csv(kept).splitlines()
    column = header.split(",").index("test_norm")
    assert float(lines[0].split(",")[column]) == pytest.approx(first["test_norm"], rel=1e-6)


def test_what_follows_an_epoch_may_change_what_is_kept(tmp_path: Path) -> None:
    seen: list[tuple[int, float]] = []

    @torch.no_grad()
    def after(trained: Trained) -> None:
        seen.append((trained.epoch, trained.row["val_loss"]))
        assert trained.folder == tmp_path
        for parameter in trained.model.parameters():
            parameter.zero_()

    train(tmp_path, job(after_epoch=after))
    assert seen == [(row["epoch"], row["val_loss"]) for row in rows(tmp_path)[1:]]
    kept = checkpoints.load(tmp_path / "last.safetensors")
    assert not any(bool(tensor.any()) for tensor in kept.weights.values())


def test_a_run_may_end_before_its_last_epoch(tmp_path: Path) -> None:
    early = {"stop": lambda history: "enough" if history[-1]["epoch"] == 2 else None}
    train(tmp_path / "run", job(**early))
    assert [row["epoch"] for row in rows(tmp_path / "run")] == [0, 1, 2]
    found = facts(tmp_path / "run")
    assert (found["status"], found["epochs_planned"], found["epochs_done"]) == ("finished", 2, 2)
    assert found["warnings"][-1] == {"epoch": 2, "what": "the run ended here: enough"}
    train(tmp_path / "whole", job(**early))
    train(tmp_path / "run", job(**early), resume=True)  # it does not go on
    assert_same_run(tmp_path / "run", tmp_path / "whole")
    assert facts(tmp_path / "run")["warnings"] == found["warnings"]
