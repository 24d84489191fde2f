"""What the tests of the GPU backend share: their neurons, inputs, and the contract of scan."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from core.neurons import Neuron
from core.scan import Case, Traces, reference
from core.scan.contract import NEURONS as FUSABLE
from core.scan.contract import drive, on_grid
from core.scan.gpu import backend

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
        u = u + torch.exp(-state.spike)
        spike = torch.where(current >= 1.0, u - u.detach() + 1.0, torch.zeros_like(u))
        return self.State(spike, u), spike


NEURONS: dict[str, Callable[..., Neuron]] = {
    "EveryOperation": EveryOperation,
    "EveryFunction": EveryFunction,
    **FUSABLE,
}
SPIKING = [name for name in NEURONS if name != "LI"]


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
