"""The GPU backend: the contract of scan in Triton's interpreter, and on a GPU where there is one.

Without a GPU the kernels run under Triton's interpreter, on the CPU, in a process of its own (the
variable is read when a kernel is defined).
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from core.neurons import BRF, LIF
from core.scan.gpu import geometry, launch

from .gpu_cases import (
    DEVICE,
    NEURONS,
    SPIKING,
    EveryOperation,
    assert_contract,
    gradients,
    leaves_for,
    needs_triton,
    on_device,
    outside,
    run,
    run_traced,
    weighted,
)


@pytest.fixture(autouse=True)
def _small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several segments and several tiles in small shapes."""
    torch.manual_seed(0)
    monkeypatch.setattr(launch, "SEGMENT", 2)
    monkeypatch.setattr(geometry, "BLOCK", 32)


# --- the contract, interpreted or on a GPU ------------------------------------------------------


@on_device
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", NEURONS)
def test_feed_forward(name: str, dtype: torch.dtype) -> None:
    neuron = NEURONS[name](17).to(DEVICE, dtype)
    masked = neuron.spiking and dtype == torch.float64
    output = assert_contract(neuron, leaves_for(name, neuron, 6, 3, 17, masked=masked))
    assert not neuron.spiking or 0 < output.count_nonzero() < output.numel()


@on_device
@pytest.mark.parametrize(
    ("masked", "dtype"), [(False, torch.float32), (True, torch.float64)], ids=["plain", "masked"]
)
@pytest.mark.parametrize("name", SPIKING)
def test_recurrent(name: str, masked: bool, dtype: torch.dtype) -> None:
    neuron = NEURONS[name](17).to(DEVICE, dtype)
    leaves = leaves_for(name, neuron, 6, 3, 17, recurrent=True, masked=masked)
    output = assert_contract(neuron, leaves)
    assert 0 < output.count_nonzero() < output.numel()


@on_device
@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 2, 5), (2, 1, 16), (3, 18, 3), (4, 2, 1)])
def test_shapes(shape: tuple[int, int, int], recurrent: bool) -> None:
    # 18 samples are more than one recurrent tile has.
    neuron = LIF(shape[2]).to(DEVICE)
    assert_contract(neuron, leaves_for("LIF", neuron, *shape, recurrent=recurrent), dense=False)


@on_device
def test_empty_batch() -> None:
    neuron = LIF(3).to(DEVICE)
    assert_contract(neuron, leaves_for("LIF", neuron, 2, 0, 3, recurrent=True), dense=False)


@on_device
@pytest.mark.parametrize("recurrent", [False, True])
def test_a_forced_geometry(recurrent: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    preferred = geometry.candidates(recurrent, 20, 5, torch.float32)[0]
    other = dataclasses.replace(preferred, columns=2 * preferred.columns, rows=2 * preferred.rows)
    used: list[geometry.Geometry] = []
    programs = geometry.Geometry.programs

    def noted(self: geometry.Geometry, batch: int, neurons: int) -> int:
        used.append(self)
        return programs(self, batch, neurons)

    monkeypatch.setattr(geometry.Geometry, "programs", noted)
    neuron = BRF(5).to(DEVICE)
    leaves = leaves_for("BRF", neuron, 4, 20, 5, recurrent=recurrent)
    with geometry.forced(other):
        assert_contract(neuron, leaves)
        assert used == [other] * 2
        assert geometry.chosen(not recurrent, 20, 5, torch.float32) != other
        output, _ = run("gpu", neuron, leaves)
    output.sum().backward()
    assert used[2:] == [other] * 2, "the way back runs outside, as in another thread"
    run("gpu", neuron, leaves)
    assert used[4:] == [preferred]


@on_device
@pytest.mark.parametrize("recurrent", [False, True])
def test_memory_layout_does_not_matter(recurrent: bool) -> None:
    neuron = BRF(5).to(DEVICE)
    leaves = leaves_for("BRF", neuron, 4, 3, 5, recurrent=recurrent, masked=True)
    turned = {key: value.detach().mT.contiguous().mT for key, value in leaves.items()}
    assert not turned["current"].is_contiguous()
    turned = {key: value.requires_grad_(key != "mask") for key, value in turned.items()}
    assert torch.equal(assert_contract(neuron, turned), run("gpu", neuron, leaves)[0])


@on_device
@pytest.mark.parametrize("wanted", ["current", "weight", "state.u", "omega", None])
@pytest.mark.parametrize("recurrent", [False, True])
def test_gradients_of_some_inputs_only(wanted: str | None, recurrent: bool) -> None:
    if wanted == "weight" and not recurrent:
        return
    neuron = BRF(5).to(DEVICE)
    leaves = leaves_for("BRF", neuron, 4, 3, 5, recurrent=recurrent)
    everything = gradients(neuron, leaves, *run("gpu", neuron, leaves))
    for key, value in (leaves | dict(neuron.named_parameters())).items():
        value.requires_grad_(key == wanted)
    output, final = run("gpu", neuron, leaves)
    assert output.requires_grad == (wanted is not None)
    if wanted is not None:
        weighted(output, final).backward()
        found = (leaves | dict(neuron.named_parameters()))[wanted].grad
        torch.testing.assert_close(found, everything[wanted])


@on_device
@pytest.mark.parametrize("part", ["output", "final"])
def test_gradients_of_a_part_of_the_results(part: str) -> None:
    neuron = BRF(5).to(DEVICE)
    leaves = leaves_for("BRF", neuron, 4, 3, 5, recurrent=True)
    found = []
    for where in ("reference", "gpu"):
        output, final = run(where, neuron, leaves)
        total = output.sum() if part == "output" else final.u.sum()
        found.append(torch.autograd.grad(total, [leaves["current"], leaves["weight"]]))
    for ours, expected in zip(found[1], found[0], strict=True):
        torch.testing.assert_close(ours, expected)


@on_device
@pytest.mark.parametrize(
    ("name", "recurrent", "masked"),
    [
        ("LI", False, False),
        ("BRF", True, True),
        ("EveryOperation", False, True),
        ("LIF", True, False),
    ],
)
def test_traces(name: str, recurrent: bool, masked: bool) -> None:
    neuron = NEURONS[name](17).to(DEVICE)
    leaves = leaves_for(name, neuron, 6, 3, 17, recurrent=recurrent, masked=masked)
    fields, found = neuron.State._fields[::-1], []
    for where in ("reference", "gpu"):
        output, final, traces = run_traced(where, neuron, leaves, fields)
        assert tuple(traces) == fields
        found.append((gradients(neuron, leaves, output, [*final, *traces.values()]), traces))
    for field in fields:
        torch.testing.assert_close(found[1][1][field], found[0][1][field], msg=field)
    for key, expected in found[0][0].items():
        assert ((found[1][0][key] - expected).abs() <= 1e-5 * expected.abs().max()).all(), key


@on_device
def test_the_gradient_of_one_of_two_traces() -> None:
    neuron = BRF(5).to(DEVICE)
    leaves = leaves_for("BRF", neuron, 4, 3, 5, recurrent=True)
    found = []
    for where in ("reference", "gpu"):
        traces = run_traced(where, neuron, leaves, ("u", "v"))[2]
        inputs = [leaves["current"], leaves["weight"], leaves["state.v"], *neuron.parameters()]
        found.append(torch.autograd.grad(traces["v"].square().sum(), inputs))
    for ours, expected in zip(found[1], found[0], strict=True):
        assert expected.any()
        torch.testing.assert_close(ours, expected)


@on_device
def test_two_runs_in_one_graph() -> None:
    neuron = BRF(5).to(DEVICE)
    leaves = leaves_for("BRF", neuron, 4, 3, 5, recurrent=True)
    found = []
    for where in ("reference", "gpu"):
        output, final = run(where, neuron, leaves)
        again = leaves | {"current": 64.0 * output, "state.u": final.u}
        output, final = run(where, neuron, again)
        found.append(gradients(neuron, leaves, output, final))
    for key, expected in found[0].items():
        torch.testing.assert_close(found[1][key], expected, msg=key)


@on_device
def test_not_a_number_stays_one() -> None:
    neuron = EveryOperation(4).to(DEVICE)
    leaves = leaves_for("EveryOperation", neuron, 2, 1, 4)
    leaves["state.u"].data[0, 2] = torch.nan
    _, final = run("gpu", neuron, leaves)
    assert final.u.isnan().tolist() == [[False, False, True, False]]


@on_device
def test_the_same_result_every_time() -> None:
    neuron = BRF(5).to(DEVICE)
    leaves = leaves_for("BRF", neuron, 4, 20, 5, recurrent=True)
    first, second = (gradients(neuron, leaves, *run("gpu", neuron, leaves)) for _ in range(2))
    assert all(torch.equal(first[key], second[key]) for key in first)


# --- without a GPU -------------------------------------------------------------------------------


@outside
@needs_triton
@pytest.mark.parametrize("name", ["test_scan_gpu.py", "test_scan_gpu_split.py"])
def test_the_contract_under_the_interpreter(name: str, tmp_path: Path) -> None:
    options = ["-q", "-p", "no:cacheprovider", "--import-mode=importlib", "-W", "error"]
    result = subprocess.run(
        [sys.executable, "-m", "pytest", *options, Path(__file__).with_name(name)],
        env={**os.environ, "TRITON_INTERPRET": "1", "XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert " passed" in result.stdout
    assert "no CUDA device" not in result.stdout
