"""The benchmark at shapes of milliseconds: what it computes and writes, never how fast it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from core import cli
from core.bench import growth, limits, loops, memory, peers, row, table, timing, workloads
from core.bench.command import bench
from core.bench.gpu import open_neuromorphic
from core.bench.workloads import NEURONS, SPIKE_RATES, WORKLOADS, Workload, inputs
from core.errors import RunFailed, UserError

CPU = torch.device("cpu")
OPTIONS = row.Options(repeats=1, device=CPU, public_loop=True)
SMALL = {
    kind: Workload(kind, kind, kind != "CSiLIF", 12, 3, 8, tiny=True) for kind in sorted(NEURONS)
}
KEYS = {
    *("workload", "neuron", "shape", "backend", "seconds", "reference_seconds", "speedup"),
    *("public_loop_seconds", "public_loop", "fastest_peer", "peer_seconds", "peer_speedup"),
    *("jax_agreement", "peers", "limit_seconds", "limit_ratio", "peak_mb", "reference_peak_mb"),
    *("spike_rate", "device", "threads", "repeats", "bytes_per_second", "flop_per_second"),
    "versions",
}


@pytest.fixture(autouse=True)
def _same_everywhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No library to compare with, and the number of threads as it was."""
    threads = torch.get_num_threads()
    monkeypatch.delenv("SNN_BACKEND", raising=False)
    monkeypatch.setattr(peers, "installed", lambda package: False)
    yield
    torch.set_num_threads(threads)


quickly = partial(
    bench, repeats=1, device="cpu", threads=1, public_loop=True, quick=True, say=lambda text: None
)


# ---- rows


def test_rows_are_complete_and_written(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    said: list[str] = []
    rows = quickly(["lif", "brf", "growth"], json_file=file, say=said.append)
    assert json.loads(file.read_text(encoding="utf-8")) == rows
    measured, fitted = rows[:8], rows[8:]
    assert [found["workload"] for found in measured[:2]] == ["lif", "brf"]
    for found in measured:
        assert set(found) == KEYS
        assert (found["backend"], found["device"], found["threads"]) == ("cpu", "cpu", 1)
        assert found["speedup"] == found["reference_seconds"] / found["seconds"]
        assert found["limit_ratio"] == found["seconds"] / found["limit_seconds"]
        assert found["versions"] == {"torch": str(torch.__version__)}
    assert [found["public_loop"] for found in measured] == ["measured"] * 2 + ["not run"] * 6
    assert measured[0]["public_loop_seconds"] > 0.0
    assert measured[0]["flop_per_second"] is None
    assert measured[1]["flop_per_second"] > 0.0
    assert [(found["workload"], found["axis"]) for found in fitted] == [
        ("growth", "T"),
        ("growth", "B"),
    ]
    assert "R^2" in said[-1]
    assert "adlif" not in said[-1]


def test_wrong_requests_say_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["bench", "--rows", "lif", "liff"])
    assert stop.value.code == 2
    message = capsys.readouterr().err
    assert "no row is called 'liff'" in message
    assert all(name in message for name in [*WORKLOADS, "growth"])
    with pytest.raises(UserError, match=r"--repeats must be at least 1, not 0"):
        quickly(["lif"], repeats=0)
    with pytest.raises(UserError, match=r"--threads must be at least 1, not 0"):
        quickly(["lif"], threads=0)
    with pytest.raises(UserError, match=r"--quick .* leave it out"):
        quickly(["lif"], readme=tmp_path / "README.md")
    kept = tmp_path / "kept.json"
    kept.write_text("[]")
    with pytest.raises(UserError, match=r"kept\.json exists; give another name"):
        quickly(["lif"], json_file=kept)
    assert kept.read_text() == "[]"
    with pytest.raises(UserError, match="does not exist; create it"):
        quickly(["lif"], json_file=tmp_path / "nowhere" / "rows.json")


def test_the_command_passes_its_flags(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "rows.json"
    flags = ["--rows", "lif", "--repeats", "2", "--threads", "1", "--no-public-loop", "--quick"]
    cli.main(["bench", *flags, "--json", str(file)])
    (found,) = json.loads(file.read_text())
    assert (found["repeats"], found["threads"], found["public_loop"]) == (2, 1, "not run")
    assert "T=5 B=8 H=32" in capsys.readouterr().out


def test_a_row_that_spikes_too_little_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(workloads.DRIVE, "BoundedLIF", 0.0)
    silent = replace(SMALL["BoundedLIF"], tiny=False)
    with pytest.raises(RunFailed, match=r"spikes in 0\.00% of its steps, outside 1% to 5%"):
        row.measure(silent, OPTIONS)
    assert row.measure(SMALL["BoundedLIF"], OPTIONS)["spike_rate"] == 0.0


@pytest.mark.parametrize("name", WORKLOADS)
def test_every_row_spikes_as_it_should(name: str) -> None:
    """With few of its samples: the rate of spikes does not depend on how many there are."""
    ours = inputs(replace(WORKLOADS[name], batch=2), CPU)
    low, high = SPIKE_RATES
    with torch.no_grad():
        assert low < float(loops.backend_output(ours, "cpu").mean()) < high


def test_inputs_are_the_same_each_time_and_leave_the_seed_alone() -> None:
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    one, other = inputs(SMALL["AdLIF"], CPU), inputs(SMALL["AdLIF"], CPU)
    assert torch.equal(torch.rand(1), expected)
    assert all(map(torch.equal, one.leaves(), other.leaves()))
    assert torch.equal(one.gradient_TBH, other.gradient_TBH)
    assert len(tuple(one.leaves())) == 2 + 4


# ---- timing


def test_contestants_take_turns_and_the_median_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    rounds = [(7.0, 7.0), (3.0, 1.0), (5.0, 1.0), (4.0, 2.0)]  # the first one warms up
    clock = iter([t for a, b in rounds for t in (0.0, a, 0.0, b)])
    rests: list[float] = []
    fake = SimpleNamespace(perf_counter=lambda: next(clock), sleep=rests.append)
    monkeypatch.setattr(timing, "time", fake)

    def one(name: str) -> timing.Contestant:
        return timing.Contestant(
            run=lambda: calls.append(name), reset=lambda: calls.append(f"reset {name}")
        )

    times = timing.interleaved({"a": one("a"), "b": one("b")}, 3, CPU)
    assert times == {"a": 4.0, "b": 1.0}
    assert calls[:8] == ["reset a", "a", "reset b", "b"] * 2
    assert calls[-2:] == ["reset a", "reset b"]
    assert rests == [timing.REST] * 8


def test_a_contestant_that_takes_long_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 1.0, 0.0, 30.0, 0.0, 2.0, 0.0, 3.0])
    fake = SimpleNamespace(perf_counter=lambda: next(clock), sleep=lambda _: None)
    monkeypatch.setattr(timing, "time", fake)
    both = {name: timing.Contestant(run=lambda: None) for name in ("quick", "slow")}
    assert timing.interleaved(both, 2, CPU) == {"quick": 2.5, "slow": 30.0}


# ---- the public loop


@pytest.mark.parametrize("kind", SMALL)
def test_public_loop_equals_the_reference(kind: str) -> None:
    ours = inputs(SMALL[kind], CPU)
    results = []
    for forward in (loops.public_loop, partial(loops.backend_output, backend="reference")):
        output = forward(ours)
        ours.forget_gradients()
        output.backward(ours.gradient_TBH)
        gradients = [leaf.grad for leaf in ours.leaves() if leaf.grad is not None]
        assert len(gradients) == len(tuple(ours.leaves()))
        results.append([output.detach(), *gradients])
    assert 0.0 < results[0][0].mean() < 1.0
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert torch.equal(results[0][0], results[1][0])


def test_public_loop_is_extrapolated_from_a_quarter(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def seconds(contestant: timing.Contestant, device: torch.device) -> float:
        contestant.run()
        seen.append(steps.pop())
        return float(seen[-1])

    ours = inputs(SMALL["BoundedLIF"], CPU)
    monkeypatch.setattr(loops, "seconds", seconds)
    steps = [8]
    assert loops.public_loop_seconds(ours, CPU) == (128.0, "extrapolated")
    assert ours.current_TBH.grad is None
    steps = [2, 7]
    assert loops.public_loop_seconds(ours, CPU) == (2.0, "measured")
    assert seen == [8, 7, 2]


# ---- limits and growth


def test_limit_is_bytes_and_products_over_measured_rates() -> None:
    workload = Workload("x", "BRF", True, steps=2, batch=3, size=4)
    assert limits.bytes_moved(workload) == 5 * 4 * 24
    assert limits.dense_flop(workload) == 192
    assert limits.limit_seconds(workload, limits.Machine(240.0, 96.0)) == 2.0 + 2.0
    alone = replace(workload, recurrent=False)
    assert limits.limit_seconds(alone, limits.Machine(240.0, None)) == 2.0
    with pytest.raises(ValueError, match="the row x needs the rate of dense products"):
        limits.limit_seconds(workload, limits.Machine(240.0, None))


def test_rates_count_what_was_moved_and_multiplied(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([99.0, *[0.5] * 5, *[50.0] * 4] * 2)  # the first one warms up

    def seconds(contestant: timing.Contestant, device: torch.device) -> float:
        contestant.run()
        return next(times)

    monkeypatch.setattr(limits, "seconds", seconds)
    assert limits.copy_bandwidth(CPU, 1024) == 2 * 1024 / 0.5
    products = 5000  # no more than that of tiny ones
    assert limits.product_rate(2, 4, CPU) == products * 2 * 2 * 16 / 0.5


def test_growth_fit() -> None:
    a, b, r2 = growth.fit([10, 20, 40], [3.0, 5.0, 9.0])
    assert (a, b, r2) == pytest.approx((1.0, 0.2, 1.0))
    a, b, r2 = growth.fit([1, 2, 3], [1.0, 2.0, 4.0])
    assert (a, b, r2) == pytest.approx((-2 / 3, 1.5, 27 / 28))


def test_curve_of_a_loop_that_fills_with_zeros() -> None:
    a, b = growth.through_origin([(T, 0.2 * T + 0.01 * T**2) for T in (50, 100, 200)])
    assert (a, b) == pytest.approx((0.2, 0.01))


def test_growth_rows_need_all_of_their_points() -> None:
    done: dict[str, Any] = {
        name: (WORKLOADS[name], {"seconds": 0.5 + WORKLOADS[name].batch / 64, "backend": "cpu"})
        for name in growth.FITS[1][1]
    }
    (found,) = growth.growth_rows({**done, "brf-T196": (WORKLOADS["brf-T196"], {})})
    assert found["axis"] == "B"
    assert found["points"] == [[64, 1.5], [128, 2.5], [256, 4.5]]
    assert (found["a_seconds"], found["b_seconds"]) == pytest.approx((0.5, 1 / 64))
    assert "0.5000" not in table.growth_note(found)
    assert "500.00 ms + 15.6250 ms x B, R^2 = 1.00000" in table.growth_note(found)


# ---- memory


def test_memory_of_a_fresh_process() -> None:
    """At least the output and the current's gradient, 8 MB each."""
    workload = Workload("x", "BoundedLIF", False, 64, 64, 512)
    found = memory.peak_mb(workload, "cpu", inputs(SMALL["BoundedLIF"], CPU))
    if not Path("/proc/self/clear_refs").exists():
        assert found is None
        return
    assert found is not None
    assert 15.0 < found < 60.0


def test_the_high_water_mark_is_reset(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By writing 5 into clear_refs; what came before would count otherwise."""
    status, mark = tmp_path / "status", tmp_path / "clear_refs"
    status.write_text("VmHWM:\t  4096 kB\nVmRSS:\t  1024 kB\n")
    monkeypatch.setattr(memory, "_STATUS", status)
    monkeypatch.setattr(memory, "_CLEAR_REFS", mark)
    assert memory.resident_peak_mb(SMALL["BRF"], "cpu") == 3.0
    assert mark.read_text() == "5"


def test_memory_where_the_system_does_not_tell(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    status = tmp_path / "status"
    monkeypatch.setattr(memory, "_STATUS", status)
    assert memory.resident_peak_mb(SMALL["BRF"], "cpu") is None
    status.write_text("Name:\tpython\n")
    assert memory.resident_peak_mb(SMALL["BRF"], "cpu") is None


def test_a_process_that_dies_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    dead = SimpleNamespace(returncode=-9, stdout="", stderr="")
    monkeypatch.setattr(memory.subprocess, "run", lambda *_, **__: dead)
    with pytest.raises(RunFailed, match=r"memory of BRF \(cpu\) stopped with exit code -9"):
        memory.peak_mb(SMALL["BRF"], "cpu", inputs(SMALL["BRF"], CPU))


# ---- table


def test_readme_gets_the_table_between_its_markers(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- core bench -->\nold\n<!-- end -->\nafter\n")
    found = {**row.measure(SMALL["BRF"], OPTIONS), "public_loop": "extrapolated"}
    found |= {"public_loop_seconds": 130.0, "seconds": 0.0125, "fastest_peer": "jax scan"}
    table.write_readme([found], "one machine", readme)
    text = readme.read_text()
    assert text.startswith("before\n<!-- core bench -->\none machine\n\n| workload | shape |")
    assert text.endswith("\n<!-- end -->\nafter\n")
    assert "old" not in text
    (line,) = [line for line in text.splitlines() if line.startswith("| BRF ")]
    assert line.startswith("| BRF | T=12 B=3 H=8 recurrent | cpu | 12.5 ms | ")
    assert "| ~130.00 s | jax scan |" in line
    assert f"- torch {torch.__version__}" in text


def test_a_readme_without_markers_is_refused_before_anything_runs(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("nothing\n")
    with pytest.raises(UserError, match="must hold the lines <!-- core bench -->"):
        quickly(["lif"], quick=False, readme=readme)


def test_the_benchmarks_readme_has_the_markers() -> None:
    readme = Path(__file__).parents[1] / "benchmarks" / "README.md"
    table.check_places(None, readme)
    text = readme.read_text(encoding="utf-8")
    assert [column for column in table.COLUMNS if f"`{column}`" not in text] == []
    assert [key for key in KEYS if f"`{key}`" not in text] == []


# ---- the linear layer


def test_open_neuromorphic_row() -> None:
    found = open_neuromorphic(8, CPU, 1, steps=5, batch=2)
    assert found["shape"] == "T=5 B=2 H=8"
    assert found["contestants"]["spikingjelly LIFNode"] == "not installed"
    assert found["contestants"]["core"]["forward_seconds"] > 0.0
    assert found["contestants"]["core"]["backward_seconds"] > 0.0
    assert found["contestants"]["core"]["peak_mb"] is None
    assert "linear-lif-8 (T=5 B=2 H=8, cpu): core forward" in table.text([found])
