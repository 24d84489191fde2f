"""Surrogates that are zero outside of a window: the backward product skips what nobody needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from core.neurons import ALIF, BRF, LIF, AdLIF, BoundedLIF, CSiLIF, Neuron
from core.scan import scan
from core.scan.cpu import backward, launch
from core.scan.graph import Node, StepGraph
from core.scan.kinds import graph_of
from core.scan.rules import Builder
from core.surrogates import boxcar, exponential


@pytest.mark.parametrize(
    ("neuron", "gate"),
    [
        (BoundedLIF(2), "to_float"),
        (AdLIF(2), "to_float"),
        (CSiLIF(2), "to_float"),
        (ALIF(2, surrogate=boxcar), "to_float"),
        (LIF(2), "maximum"),
        (LIF(2, surrogate=exponential), None),
        (BRF(2), None),
    ],
)
def test_which_neurons_have_a_window(neuron: Neuron, gate: str | None) -> None:
    for masked in (False, True):
        graph = graph_of(neuron, torch.float32, masked=masked)
        assert [graph.nodes[node].op for node in graph.gates] == ([] if gate is None else [gate])


def joint(formula: Callable[[Builder, int, int, int], int]) -> StepGraph:
    """A graph whose gradient of the current is a formula of gs0, go and the current."""
    builder = Builder(torch.float32)
    spike, x, gs0, go = (builder.add("input", name) for name in ("s0", "x", "gs0", "go"))
    result = formula(builder, gs0, go, x)
    zero = builder.constant(0.0)
    return StepGraph(tuple(builder.nodes), 0, 1, False, (spike, spike), (zero, result))


def window(b: Builder, x: int) -> int:
    return b.add("gt", x, b.constant(0.0))


def test_a_gate_may_stand_anywhere_on_the_way_of_the_gradient() -> None:
    def scaled(b: Builder, gs0: int, go: int, x: int) -> int:
        total = b.add("neg", b.add("mul", b.add("add", go, gs0), b.constant(3.0)))
        return b.add("mul", b.add("div", total, x), window(b, x))

    def chosen(b: Builder, gs0: int, go: int, x: int) -> int:
        return b.add("where", window(b, x), gs0, b.constant(0.0))

    def two(b: Builder, gs0: int, go: int, x: int) -> int:
        first = b.add("mul", gs0, window(b, x))
        return b.add("add", first, b.add("mul", gs0, b.add("lt", x, b.constant(-3.0))))

    assert len(joint(scaled).gates) == len(joint(chosen).gates) == 1
    assert len(joint(two).gates) == 2


def test_without_a_gate_on_every_way_there_is_none() -> None:
    def around(b: Builder, gs0: int, go: int, x: int) -> int:
        return b.add("add", b.add("mul", gs0, window(b, x)), gs0)

    def never_zero(b: Builder, gs0: int, go: int, x: int) -> int:
        return b.add("mul", gs0, b.add("exp", x))

    def other_branch(b: Builder, gs0: int, go: int, x: int) -> int:
        return b.add("where", window(b, x), b.constant(0.0), gs0)

    def divisor(b: Builder, gs0: int, go: int, x: int) -> int:
        return b.add("mul", b.add("div", x, gs0), window(b, x))

    def curved(b: Builder, gs0: int, go: int, x: int) -> int:
        return b.add("mul", b.add("abs", gs0), window(b, x))

    for formula in (around, never_zero, other_branch, divisor, curved):
        assert joint(formula).gates == ()
    assert Node("input", ("gs0",), False) in joint(around).nodes


@pytest.fixture
def share(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Sets the share of open gates, in tenths, up to which the listed product is taken."""

    def choose(tenths: int) -> None:
        monkeypatch.setattr(backward, "OPEN_TENTHS", tenths)
        launch._kernel.cache_clear()

    yield choose
    launch._kernel.cache_clear()


def gradients(neuron: Neuron, current: Tensor, weight: Tensor, backend: str) -> list[Tensor]:
    leaves = [current, weight, *neuron.parameters()]
    output, final = scan(neuron, current, recurrent_weight=weight, backend=backend)
    sensitivity = torch.linspace(-1.0, 2.0, output.numel(), dtype=output.dtype).view_as(output)
    return list(torch.autograd.grad((output * sensitivity).sum() + final.potential.sum(), leaves))


@pytest.mark.parametrize("kind", [BoundedLIF, AdLIF, LIF])
@pytest.mark.parametrize(("batch", "size"), [(1, 5), (3, 16), (17, 37), (9, 130)])
def test_both_products_give_the_reference_gradients(
    kind: type[Neuron], batch: int, size: int, share: Callable[[int], None]
) -> None:
    torch.manual_seed(0)
    neuron = kind(size, **({} if kind is LIF else {"initial": "zero"})).double()
    current = (2.0 * torch.randn(11, batch, size, dtype=torch.float64)).requires_grad_()
    weight = torch.randn(size, size, dtype=torch.float64, requires_grad=True)
    expected = gradients(neuron, current, weight, "reference")
    found = {}
    for tenths in (0, 11):
        share(tenths)
        found[tenths] = gradients(neuron, current, weight, "cpu")
        for ours, theirs in zip(found[tenths], expected, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    if size > 100:  # two kernels, which add in another order
        pairs = zip(found[0], found[11], strict=True)
        assert any(not torch.equal(whole, listed) for whole, listed in pairs)
