"""What a fused scan takes beside its sequences: little, since of few steps it would be half."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from core.neurons import PLIF
from core.neurons.leaky import SpikeAndPotential
from core.scan import scan
from core.scan.contract import Run, assert_same
from core.scan.cpu import arrays, launch, passes

STEPS, BATCH, SIZE = 8, 4, 2048


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Elements of every array that is taken."""
    sizes: list[int] = []
    take = passes.empty

    def counted(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        array = take(shape, dtype)
        sizes.append(array.numel())
        return array

    for module in (launch, passes, arrays):
        monkeypatch.setattr(module, "empty", counted)
    return sizes


@pytest.mark.parametrize(("train", "extra"), [("layer", 2.5), ("neuron", 3.5)])
def test_few_steps_take_little_beside_their_sequences(
    train: Any, extra: float, taken: list[int]
) -> None:
    """Beside output and gradient two fields after the last step, and parts of the gradient of k."""
    current = torch.randn(STEPS, BATCH, SIZE, requires_grad=True)
    spikes, _ = scan(PLIF(SIZE, train=train), current, backend="cpu")
    spikes.sum().backward()
    assert current.grad is not None
    assert sum(taken) < (2 * STEPS + extra) * BATCH * SIZE + 40_000  # scratch memory


@pytest.mark.parametrize("name", ["PLIF", "PLIF per neuron", "AdLIF"])
@pytest.mark.parametrize("shape", [(9, 3, 2500), (60, 5, 1030), (3, 70, 13)])
def test_tasks_add_up_to_the_gradient_of_a_shared_coefficient(
    name: str, shape: tuple[int, int, int]
) -> None:
    run = Run(name, shape, dtype=torch.float64)
    assert_same(run("cpu"), run("reference"), 1e-9)


@pytest.mark.parametrize("given", ["rows", "one row", "one number"])
def test_a_given_state_may_be_written_to_before_the_backward(given: str) -> None:
    torch.manual_seed(0)
    neurons, current = PLIF(6), torch.randn(5, 3, 6)
    start = {"rows": torch.rand(3, 6), "one row": torch.rand(6), "one number": torch.rand(())}
    found = []
    for written in (False, True):
        potential = start[given].clone()
        state = SpikeAndPotential(torch.zeros(3, 6), potential.expand(3, 6))
        spikes, _ = scan(neurons, current, state=state, backend="cpu")
        if written:
            potential.fill_(0.9)
        found.append(torch.autograd.grad(spikes.sum(), neurons.w)[0])
    assert float(found[0]) != 0.0
    assert torch.equal(*found)
