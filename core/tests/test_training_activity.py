"""Layers that fall silent or saturate: counted exactly, and told in the epoch in which they do."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from core.metrics import BatchResult, LayerSpikes, Totals, count_spikes
from core.training.activity import warnings_of
from core.training.job import Job

from .training_toy import at_step, facts, make_job, rows, stop, train


def row(epoch: int, *rates: float, **others: Any) -> dict[str, Any]:
    layers = {"layer_rates": list(rates)} if rates else {}
    return {"epoch": epoch, "sop": 5.0, **layers, **others}


def told(*history: dict[str, Any]) -> list[str]:
    return [warning["what"].partition(":")[0] for warning in warnings_of(history)]


def test_a_layer_that_falls_silent_or_saturates_is_told_once() -> None:
    assert told(row(0, 0.1, 0.1), row(1, 0.0, 0.97)) == [
        "hidden layer 1 is silent",
        "hidden layer 2 is saturated",
    ]
    assert told(row(0, 0.1), row(1, 0.0), row(2, 0.0)) == []
    assert told(row(1, 0.0), row(2, 0.1)) == []
    assert told(row(1, 0.99), row(2, 0.0)) == ["hidden layer 1 is silent"]
    assert told(row(2, 0.1), row(3, 0.94)) == []


def test_an_untrained_network_may_be_silent() -> None:
    assert told(row(0, 0.0)) == []
    assert told(row(0, 0.0), row(1, 0.0)) == ["hidden layer 1 is silent"], "training left it so"
    assert told() == []


def test_where_layers_are_not_told_apart_the_network_is_one() -> None:
    assert told(row(1), row(2, sop=0.0)) == ["the network is silent"]
    assert told(row(1, rate=0.2), row(2, rate=0.96)) == ["the network is saturated"]
    assert told(row(1, sop=None), row(2, sop=None)) == []


def test_rates_of_layers_are_exact_over_unequal_batches() -> None:
    totals = Totals()
    one = torch.tensor(1.0)
    for samples in (4, 1):
        spikes = [torch.ones(3, samples, 2), torch.zeros(3, samples, 5)]
        spikes[0][0] = 0.0
        layers = count_spikes(spikes)
        assert [layer.places for layer in layers] == [6 * samples, 15 * samples]
        totals.add(BatchResult(one, one, one, samples, None, samples, layers=layers))
    assert totals.metrics().layer_rates == (20 / 30, 0.0)


def dying(job: Job, silent_from: int) -> Job:
    """The job with one layer that never spikes from some evaluation on."""
    objective, evaluations = job.objective, iter(range(10**6))

    def counted(*arguments: Any) -> BatchResult:
        alive = next(evaluations) < silent_from
        spikes = torch.tensor(7 * alive)
        return replace(objective(*arguments), layers=[LayerSpikes(spikes, 100)])

    return replace(job, objective=counted, validation=job.test)


def test_training_warns_and_the_run_folder_keeps_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = make_job()
    batches = len(job.test)
    train(tmp_path / "run", dying(job, silent_from=2 * batches))
    (warning,) = facts(tmp_path / "run")["warnings"]
    assert warning["epoch"] == 2
    assert warning["what"].startswith("hidden layer 1 is silent")
    out = capsys.readouterr().out
    assert out.count("warning: ") == 1
    assert f"warning: epoch 2: {warning['what']}\n" in out
    assert out.index("epoch 2/3") < out.index("warning: ") < out.index("epoch 3/3")
    assert [r["layer_rates"] for r in rows(tmp_path / "run")] == [[0.07], [0.07], [0.0], [0.0]]


def test_a_run_that_goes_on_keeps_its_warnings_once(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "run", dying(make_job(wrap=at_step(3, 1, stop)), silent_from=0))
    path = tmp_path / "run" / "run.json"
    before = json.loads(path.read_text())
    assert [warning["epoch"] for warning in before["warnings"]] == [1]
    # Killed after this line was written and before its epoch was done.
    late = {"epoch": 3, "what": "hidden layer 1 is saturated"}
    path.write_text(json.dumps({**before, "warnings": [*before["warnings"], late]}))
    train(tmp_path / "run", dying(make_job(), silent_from=0), resume=True)
    assert facts(tmp_path / "run")["warnings"] == before["warnings"]
