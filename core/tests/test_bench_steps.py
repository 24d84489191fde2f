"""Rows of whole training steps, at shapes of milliseconds."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from core.bench import growth, steps
from core.bench.command import bench
from core.bench.row import Options
from core.bench.workloads import STEPS, Step, select

quickly = partial(bench, repeats=1, device="cpu", threads=1, public_loop=True, quick=True)
SMALL = Step("small", "AdLIF", True, 6, 3, (7, 5, 5, 4), tiny=True)


def test_a_row_is_complete() -> None:
    said: list[str] = []
    (row,) = quickly(["radlif-512-step"], say=said.append)
    assert row["workload"] == "radlif-512-step"
    assert (row["backend"], row["public_loop"]) == ("cpu", "measured")
    assert row["speedup"] == row["reference_seconds"] / row["seconds"]
    assert row["limit_ratio"] == row["seconds"] / row["limit_seconds"]
    assert 0.0 <= row["spike_rate"] < 1.0
    assert "T=5 B=4 16-16-16-16 recurrent" in said[-1]


@pytest.mark.parametrize("name", STEPS)
@torch.no_grad()
def test_networks_spike_as_trained_ones(name: str) -> None:
    step = replace(STEPS[name], steps=40, batch=8, sizes=(60, 40, 40, 5))
    network = steps.build(step, "auto")
    x_TBI, _ = steps._inputs(step, torch.device("cpu"))
    torch.manual_seed(2)
    rates = [float(spikes.mean()) for spikes in network(x_TBI).spikes_TBN]
    assert rates == pytest.approx([step.spike_rate] * 2, rel=0.2)
    again = steps.build(step, "reference").state_dict()
    assert all(
        torch.equal(value, again[key])
        for key, value in steps.build(step, "auto").state_dict().items()
    )


def test_the_public_loop_may_be_left_out() -> None:
    row = steps.measure_step(SMALL, Options(1, torch.device("cpu"), public_loop=False))
    assert (row["public_loop"], row["public_loop_seconds"]) == ("not run", None)


def test_a_long_public_loop_is_timed_at_three_lengths() -> None:
    said: list[str] = []
    (row,) = quickly(["silif-step"], say=said.append)
    assert row["public_loop"] == "measured"
    assert [steps for steps, _ in row["public_loop_points"]] == [2, 4, 15]
    assert row["public_loop_seconds"] == row["public_loop_points"][-1][1]
    assert "the public loop took" in said[-1]


def test_memory_of_a_step() -> None:
    """In this process, which may have memory to spare; of fresh ones, those of scans are tested."""
    step = Step("x", "SiLIF", False, 64, 16, (32, 256, 256, 8))
    found = steps.resident_step_peak_mb(step, "auto")
    if Path("/proc/self/clear_refs").exists():
        assert found is not None
        assert 0.0 <= found < 200.0
    else:
        assert found is None


def test_the_paper_s_recipe_on_ssc() -> None:
    shapes = {name: STEPS[name].shape for name in ("silif-step", "csilif-step", "silif-step-T75")}
    whole = "B=256 140-512-512-35"
    assert shapes == {
        "silif-step": f"T=300 {whole}",
        "csilif-step": f"T=300 {whole}",
        "silif-step-T75": f"T=75 {whole}",
    }
    assert (STEPS["silif-step"].dropout, STEPS["silif-step"].input_rate) == (0.5, 0.03)
    assert set(growth.FITS[2][1]) <= set(STEPS)


def test_all_contestants_compute_the_same() -> None:
    x_TBI = (torch.rand(6, 3, 7) < 0.5).float()
    scores = []
    for backend in ("auto", "reference", "public"):
        network = steps.build(SMALL, "reference" if backend == "public" else backend).eval()
        torch.manual_seed(3)  # of the initial states
        if backend == "public":
            scores.append(steps.public_forward(network, x_TBI.transpose(0, 1)))
        else:
            scores.append(network(x_TBI).y)
    torch.testing.assert_close(scores[0], scores[1])
    torch.testing.assert_close(scores[2], scores[1])


def test_limits_count_by_hand() -> None:
    # 18 rows; 7x5 twice, 5x5 and 5x4 three times, two recurrent products.
    assert steps.flop(SMALL) == 2 * 18 * (2 * 35 + 3 * 25 + 3 * 20 + 2 * 25)
    assert steps.bytes_moved(SMALL) == 4 * 18 * (2 * 7 + 19 * 10)


def test_rows_can_be_asked_for_by_name() -> None:
    assert [row.name for row in select(["lif-128-step", "lif"])] == ["lif-128-step", "lif"]
    assert set(STEPS) <= {row.name for row in select(None)}
    with pytest.raises(Exception, match="radlif-512-step"):
        select(["nothing"])
