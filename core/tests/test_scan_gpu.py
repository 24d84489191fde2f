"""The GPU backend: the contract of scan in Triton's interpreter, and on a GPU where there is one.

Without a GPU the kernels run under Triton's interpreter, on the CPU, in a process of its own (the
variable is read when a kernel is defined), and are compiled for a GPU without being run there.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from core.neurons import BRF, LIF, Neuron
from core.scan import Case, Traces, reference
from core.scan.gpu import backend, function, kernels, module
from core.scan.kinds import graph_of

from .scan_cases import NEURONS as FUSABLE
from .scan_cases import drive, on_grid

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
HAS_TRITON = importlib.util.find_spec("triton") is not None
DEVICE = "cpu" if INTERPRETED else "cuda" if torch.cuda.is_available() else None
on_device = pytest.mark.skipif(
    DEVICE is None or not HAS_TRITON,
    reason="no CUDA device (test_the_contract_under_the_interpreter runs it without one)",
)
outside = pytest.mark.skipif(INTERPRETED, reason="runs outside of the interpreter")
needs_triton = pytest.mark.skipif(not HAS_TRITON, reason="Triton is not installed")
Leaves = dict[str, Tensor]


class EveryOperation(Neuron):
    """A neuron that no paper has: its step uses every operation of a graph that is rounded once."""

    class State(NamedTuple):
        spike: Tensor
        u: Tensor

    class Coefficients(NamedTuple):
        rate: Tensor

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.rate = torch.nn.Parameter(torch.linspace(0.2, 0.8, size))

    def coefficients(self) -> Coefficients:
        return self.Coefficients(self.rate)

    def step(
        self, coefficients: Coefficients, state: State, current: Tensor
    ) -> tuple[State, Tensor]:
        size = torch.sqrt(torch.abs(current) + 1.0) / (coefficients.rate + 3.0)
        u = torch.maximum(state.u * coefficients.rate + 0.2 * current, -size)
        u = u + torch.exp(-torch.abs(state.spike))
        u = torch.minimum(u, 2.0 * size) - 0.1 * torch.floor(current / 3.0) - state.spike
        # The currents of these tests lie on a grid, so that they meet every bound here.
        odd = ((current >= 1.0) & (current != 2.5)) | (current == 0.25) | (current <= -1.0)
        spike = torch.where(odd, u - u.detach() + 1.0, torch.zeros_like(u))
        middle = ~(current < 0.5) & ~(current > 3.0)
        return self.State(spike, torch.where(middle, u, -u)), spike


class EveryFunction(EveryOperation):
    """Its step uses the others, elementary functions."""

    def step(
        self, coefficients: Any, state: EveryOperation.State, current: Tensor
    ) -> tuple[EveryOperation.State, Tensor]:
        u = coefficients.rate * state.u + 0.1 * torch.log(current.abs() + 1.0)
        u = u + 0.3 * torch.sin(current) * torch.cos(state.u) + 0.1 * torch.erf(current)
        u = u + 0.1 * torch.fmod(current, 0.75) + torch.exp(-state.spike)
        spike = torch.where(current >= 1.0, u - u.detach() + 1.0, torch.zeros_like(u))
        return self.State(spike, u), spike


NEURONS: dict[str, Callable[..., Neuron]] = {
    "EveryOperation": EveryOperation,
    "EveryFunction": EveryFunction,
    **FUSABLE,
}
SPIKING = [name for name in NEURONS if name != "LI"]


@pytest.fixture(autouse=True)
def _small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several segments and several tiles in small shapes."""
    torch.manual_seed(0)
    monkeypatch.setattr(function, "SEGMENT", 2)
    monkeypatch.setattr(function, "BLOCK", 32)


def leaves_for(
    name: str, neuron: Neuron, *shape: int, recurrent: bool = False, masked: bool = False
) -> Leaves:
    """Inputs that want gradients (all but the mask), numbers that a dense product sums exactly."""
    scale = 2 * drive(name) if name in FUSABLE else 2.0
    dtype = next(iter(neuron.state_dict().values())).dtype
    leaves = {"current": on_grid(scale * torch.randn(shape), 1 / 8)}
    if recurrent:
        leaves["weight"] = on_grid(scale / 4 * torch.randn(neuron.size, neuron.size), 1 / 8)
    if masked:
        leaves["mask"] = (torch.rand(shape) > 0.3).float()
    for field in neuron.State._fields:
        start = torch.randint(-2, 3, shape[1:]) if field == "spike" else torch.rand(shape[1:])
        leaves[f"state.{field}"] = start / 4
    placed = {key: value.to(DEVICE, dtype) for key, value in leaves.items()}
    return {key: value.requires_grad_(key != "mask") for key, value in placed.items()}


def run(where: str, neuron: Neuron, leaves: Leaves) -> tuple[Tensor, Any]:
    """Output and final state."""
    return run_traced(where, neuron, leaves, ())[:2]


def run_traced(
    where: str, neuron: Neuron, leaves: Leaves, record: tuple[str, ...]
) -> tuple[Tensor, Any, Traces]:
    state = neuron.State(*[leaves[f"state.{field}"] for field in neuron.State._fields])
    weight, mask = leaves.get("weight"), leaves.get("mask")
    case = Case(neuron, leaves["current"], weight, mask, record=record)
    assert backend.not_taken(case) is None
    return (backend if where == "gpu" else reference).run(case, state)


def weighted(output: Tensor, final: Any) -> Tensor:
    """A sum in which every element of every result has another weight."""
    torch.manual_seed(1)
    return torch.cat([(r * torch.randn(r.shape).to(r)).flatten() for r in (output, *final)]).sum()


def gradients(neuron: Neuron, leaves: Leaves, output: Tensor, final: Any) -> Leaves:
    """Of :func:`weighted`, for everything that has one."""
    inputs = {k: v for k, v in (leaves | dict(neuron.named_parameters())).items() if k != "mask"}
    found = torch.autograd.grad(weighted(output, final), list(inputs.values()), allow_unused=True)
    return {
        key: torch.zeros_like(inputs[key]) if value is None else value
        for key, value in zip(inputs, found, strict=True)
    }


def assert_contract(neuron: Neuron, leaves: Leaves, *, dense: bool = True) -> Tensor:
    """Equal results, gradients to 1e-5 of the largest; the output.

    ``dense``: none of the gradients is zero throughout (but of a state that nothing reads).
    """
    expected, expected_final = run("reference", neuron, leaves)
    output, final = run("gpu", neuron, leaves)
    if neuron.spiking:
        assert torch.equal(output, expected)
    torch.testing.assert_close(output, expected)
    assert isinstance(final, neuron.State)
    for field, value in final._asdict().items():
        torch.testing.assert_close(value, getattr(expected_final, field), msg=field)
    wanted = gradients(neuron, leaves, expected, expected_final)
    for key, value in gradients(neuron, leaves, output, final).items():
        scale = wanted[key].abs().sum() and wanted[key].abs().max()
        assert ((value - wanted[key]).abs() <= 1e-5 * scale).all(), key
        assert scale > 0 or not dense or key.startswith("state."), key
    return output


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
def test_the_contract_under_the_interpreter(tmp_path: Path) -> None:
    options = ["-q", "-p", "no:cacheprovider", "--import-mode=importlib", "-W", "error"]
    result = subprocess.run(
        [sys.executable, "-m", "pytest", *options, __file__],
        env={**os.environ, "TRITON_INTERPRET": "1", "XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert " passed" in result.stdout
    assert "no CUDA device" not in result.stdout


@outside
@needs_triton
@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize(
    ("name", "recurrent", "double", "neurons"),
    [
        ("LIF", False, False, 256),
        ("EveryOperation", False, False, 1),
        ("EveryOperation", False, True, 256),
        ("EveryFunction", False, False, 256),
        ("BRF", True, False, 17),
        ("LIF", True, False, 512),
        ("LIF", True, True, 256),
    ],
)
def test_kernels_compile_and_round_every_operation(
    name: str, recurrent: bool, double: bool, neurons: int, direction: str,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    # For an NVIDIA GPU (compute capability 8.0) that need not be there. One neuron stands for a
    # batch and a sequence of one as well, which Triton makes constants.
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    # By name: Triton has no types and may be missing where types are checked.
    compiler = importlib.import_module("triton.compiler")
    target = importlib.import_module("triton.backends.compiler").GPUTarget("cuda", 80, 32)
    dtype = torch.float64 if double else torch.float32
    graph = graph_of(NEURONS[name](neurons).to(dtype), dtype, masked=False)
    traces = tuple(range(graph.states)) if recurrent or neurons == 1 else ()
    variant = kernels.GpuVariant(graph, double, recurrent, parameters=True, traces=traces)
    kernel = getattr(module.imported(kernels.module_text(variant)), direction)
    launch = function.geometry(recurrent, 1, neurons)
    fixed = {"KEEP": True, "WANTS_CURRENT": True, "SEGMENT": 16} | launch.tile
    fixed |= dict.fromkeys("TBN", 1) if neurons == 1 else {}
    fixed = {key: value for key, value in fixed.items() if key in kernel.arg_names}
    kinds = dict.fromkeys(kernel.arg_names, "*fp64" if double else "*fp32")
    kinds |= dict.fromkeys("TBN", "i32") | dict.fromkeys(fixed, "constexpr")
    places = {(kernel.arg_names.index(key),): value for key, value in fixed.items()}
    options = {**function.OPTIONS, "num_warps": launch.warps}
    source = compiler.ASTSource(kernel, kinds, constexprs=places)
    compiled = compiler.compile(source, target=target, options=options)
    assert compiled.asm["cubin"]
    # What every GPU since Turing has.
    assert compiled.metadata.shared <= 64 << 10
    ptx = compiled.asm["ptx"]
    approximate = [word for word in ("div.full", "div.approx", "sqrt.approx") if word in ptx]
    assert not approximate
    # Double precision's quotient and elementary functions are made of such instructions.
    assert recurrent or double or name == "EveryFunction" or "fma." not in ptx
