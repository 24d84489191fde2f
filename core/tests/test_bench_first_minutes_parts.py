"""What the parts of ``core gpu`` say: verdicts, times, limits, goals, clocks."""

from __future__ import annotations

import importlib.util
import math
import os
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from core.bench.first_minutes import barrier, contract, device, rounds, speed, trainings
from core.bench.first_minutes.command import ALL, PARTS, _row
from core.bench.first_minutes.contract import cannot_launch, largest
from core.bench.first_minutes.goals import add_limits, comparison
from core.bench.first_minutes.page import page
from core.scan import reference
from core.scan.gpu import backend, module


@pytest.fixture(autouse=True)
def _on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    for part in (barrier, contract, rounds, speed, trainings):
        monkeypatch.setattr(part, "device", lambda: torch.device("cpu"))


class OutOfResources(Exception):
    """As Triton's is called."""


def answered(item: dict[str, Any], run: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(contract, "backend", SimpleNamespace(run=run, not_taken=backend.not_taken))
    return _row(item, contract.check(**item))


def raises(error: Exception) -> Any:
    def run(*_: Any) -> Any:
        raise error

    return run


def test_verdicts_on_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    items = contract._items("LIF", 8, True, "float32")
    assert [item["place"] for item in items] == list(range(len(items)))
    assert len({item["asked"] for item in items}) == len(items)
    right = answered(items[0], reference.run, monkeypatch)
    assert (right["verdict"], right["kernel"]) == ("right", items[0]["asked"])
    failed = answered(items[0], raises(RuntimeError("illegal address")), monkeypatch)
    assert (failed["verdict"], failed["kernel"]) == ("failed", items[0]["asked"])
    refused = answered(items[0], raises(OutOfResources("shared memory")), monkeypatch)
    assert refused["verdict"] == "refused"
    assert "kernel" not in refused  # which may be right for another size

    def poisoned(case: Any, state: Any) -> Any:
        output, final, traces = reference.run(case, state)
        return output * 1.0, final._replace(potential=final.potential * math.nan), traces

    assert answered(items[0], poisoned, monkeypatch)["verdict"] == "wrong"
    crashed = _row(items[0], {"error": "crashed with exit code -6: nothing said"})
    assert (crashed["verdict"], crashed["kernel"]) == ("failed", items[0]["asked"])
    late = _row(items[0], {"unanswered": "not begun"})
    assert not {"verdict", "kernel"} & set(late)
    other = contract.check(**{**items[0], "asked": "another"})
    assert "is another kernel than another" in other["why"]


def test_what_no_kernel_is_made_for_is_refused() -> None:
    (item,) = contract._items("LIF", 1 << 14, True, "float64")
    assert item["asked"] is None
    assert math.isnan(largest([0.0, math.nan]))
    assert math.isnan(largest([math.nan, 0.0]))
    assert largest([1.0, 2.0]) == 2.0
    assert cannot_launch(RuntimeError("Triton Error [CUDA]: too many blocks in cooperative launch"))
    assert not cannot_launch(RuntimeError("an illegal memory access was encountered"))


def test_preferred_geometries_of_the_usual_precision_come_first() -> None:
    items = contract.items(rehearse=True)
    kinds = [(item["dtype"], item["masked"], item["traced"]) for item in items]
    assert [*dict.fromkeys(kinds)] == contract.KINDS
    order = [
        (contract.KINDS.index(kind), item["place"]) for kind, item in zip(kinds, items, strict=True)
    ]
    assert order == sorted(order)


@pytest.mark.parametrize(("masked", "traced"), [(True, False), (False, True)])
def test_kernels_with_a_mask_and_with_traces(
    masked: bool, traced: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, *_ = contract._items("BRF", 8, True, "float32")
    item, *_ = contract._items("BRF", 8, True, "float32", masked, traced)
    assert item["asked"] != plain["asked"]
    right = answered(item, reference.run, monkeypatch)
    assert (right["verdict"], right["kernel"]) == ("right", item["asked"])

    def wrong(case: Any, state: Any) -> Any:
        output, final, traces = reference.run(replace(case, spike_mask_TBN=None), state)
        return output, final, {key: trace * 1.001 for key, trace in traces.items()}

    assert answered(item, wrong, monkeypatch)["verdict"] == "wrong"


def test_no_round_adds_up_gradients() -> None:
    weight, calls = torch.ones(3, requires_grad=True), []

    def forward() -> torch.Tensor:
        calls.append(weight.grad)
        return 2.0 * weight

    found = rounds.times(forward, [weight], torch.full((3,), 5.0))
    assert calls == [None, None]  # the first one warms up
    assert weight.grad is not None
    assert weight.grad.tolist() == [10.0] * 3
    least, largest_ = found["forward_spread"]
    assert least <= found["forward_seconds"] <= largest_


def test_a_layer_has_gradients_of_its_input_and_of_both_weights() -> None:
    run = contract.Run("AdLIF", (2, 2, 16), recurrent=True)
    leaves = speed.leaves(run)
    assert leaves[0] is run.current
    assert leaves[1] is run.weight
    assert not any(field.requires_grad for field in run.state)


def timed(what: str, seconds: float, **more: Any) -> dict[str, Any]:
    row = {"what": what, "steps": 10, "batch": 2, "size": 16, "recurrent": True}
    return row | {"seconds": seconds, "queued_seconds": None} | more


def test_limits_and_goals() -> None:
    rates = {"bytes_per_second": 1000.0, "flop_per_second": 10240.0}
    rows = [timed("fused", 28.8), timed("fused layer", 40.0), timed("LSTM", 50.0)]
    rows += [timed("fused", 12.8, recurrent=False, queued_seconds=6.4)]
    rows += [{**timed("eager", 1.0), "error": "hung for 40 s"}]
    del rows[-1]["seconds"]
    parts: dict[str, Any] = {"machine": {"rows": [rates]}, "speed": {"rows": rows}}
    add_limits(parts)
    # five arrays of 10 x 2 x 16 float32; three products of 2 x 10 x 2 x 16 x 16
    assert rows[0]["limit_seconds"] == pytest.approx(6.4 + 3.0)
    assert rows[2]["limit_seconds"] == pytest.approx(6.4 + 24.0)
    assert rows[3]["limit_ratio"] == pytest.approx(2.0)
    assert rows[3]["queued_limit_ratio"] == pytest.approx(1.0)
    assert rows[1]["us_per_step"] == pytest.approx(4e6)
    recurrent, feed_forward, first, second = comparison(parts)
    assert "fused layer / LSTM 0.8" in recurrent
    assert "eager none" in recurrent
    assert feed_forward.endswith("fused / limit 2")
    assert first.endswith("its LSTM's: met")
    assert second.endswith("bandwidth: met")
    rows[1]["seconds"] = 60.0
    assert comparison(parts)[2].endswith("not met at T=10 B=2 H=16 (1.2)")
    rows[:] = rows[4:]
    assert comparison(parts)[1:] == [
        "goal, a recurrent layer's step costs no more than its LSTM's: not measured",
        "goal, feed-forward within 2x of five arrays over bandwidth: not measured",
    ]
    found = {"rehearsal": False, "machine": {}, "parts": parts}
    assert "hung for 40 s" in page({**found, "clocks at the end": {"clocks.sm": "1980 MHz"}})


def test_without_rates_there_are_no_ratios() -> None:
    parts: dict[str, Any] = {"machine": {"rows": [{"error": "x"}]}}
    parts["speed"] = {"rows": [timed("fused", 1.0)]}
    add_limits(parts)
    assert parts["speed"]["rows"][0]["limit_ratio"] is None


def test_parts_fit_into_five_minutes() -> None:
    assert sum(part.seconds for part in PARTS.values()) <= ALL == 300.0


def test_clocks_are_what_the_driver_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert device.clocks() == {}
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho '580.1, 1980 MHz, 1980 MHz, 700.00 W'\n")
    os.chmod(tool, 0o755)
    assert device.clocks()["driver_version"] == "580.1"
    tool.write_text("#!/bin/sh\nexit 9\n")
    assert device.clocks() == {}


@pytest.mark.parametrize("item", trainings.items(rehearse=True), ids=lambda item: item["name"])
def test_ten_losses_beside_those_of_the_reference(
    item: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    found = trainings.training(**item)
    assert found["data"] == "drawn"
    assert 0 < found["rate"] < 1
    assert len(set(found["losses"])) == len(found["differences"]) == trainings.STEPS
    assert max(found["differences"][:2]) < 1e-4
    assert max(found["rounding"]) > 0.0


def test_barriers_that_a_device_cannot_hold_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(barrier, "imported", raises(OutOfResources("too many programs")))
    assert barrier.barrier(programs=2, meetings=3) == {"why": "OutOfResources: too many programs"}
    monkeypatch.setattr(barrier, "_seconds", lambda programs, meetings: (1.0 + meetings, meetings))
    assert barrier.barrier(1, 4) == {"us_per_barrier": 1e6, "empty_launch_us": 1e6}
    assert "4 arrivals instead of 8" in barrier.barrier(2, 4)["error"]


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")
def test_the_barrier_compiles_for_a_gpu() -> None:
    compiler: Any = importlib.import_module("triton.compiler")
    target = importlib.import_module("triton.backends.compiler").GPUTarget("cuda", 90, 32)
    kernel = module.imported(barrier.TEXT).meet
    source = compiler.ASTSource(kernel, {"counter": "*i32", "meetings": "i32"})
    ptx = compiler.compile(source, target=target, options={"num_warps": barrier.WARPS}).asm["ptx"]
    assert "release.add" in ptx
    assert "acquire" in ptx
