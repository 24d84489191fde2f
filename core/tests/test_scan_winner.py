"""The one operation of a kernel that looks along a row: which neuron has the largest value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from core.errors import UserError
from core.neurons import AdLIF, BalancedLIF, Neuron, winner, winner_takes_all
from core.neurons.balanced import Firing
from core.neurons.base import Uniform
from core.scan import Case, choose, explain, scan
from core.scan.contract import WINNERS, Run, assert_same
from core.scan.cpu import workers
from core.scan.gpu import backend as gpu
from core.scan.graph import Unfusable
from core.scan.trace import trace
from core.surrogates import boxcar

Rule = Callable[[Tensor], Tensor]
NAN, INF = torch.nan, torch.inf


class Won(NamedTuple):
    spike: Tensor
    value: Tensor


class Coefficients(NamedTuple):
    rate: Tensor


class Contest(Neuron):
    """``value = rate value + current``; what ``rule`` makes of it is the spike."""

    State = Won
    across_layer = True

    def __init__(self, size: int, rule: Rule) -> None:
        super().__init__(size)
        self.rate: Tensor
        self.add_coefficient("rate", Uniform(0.1, 0.5))
        self.rule = rule

    def coefficients(self) -> Coefficients:
        return Coefficients(self.rate)

    def step(self, coefficients: Coefficients, state: Won, current: Tensor) -> Any:
        value = coefficients.rate * state.value + current
        spike = self.rule(value)
        return Won(spike, value), spike


def second(value: Tensor) -> Tensor:
    return winner(torch.where(winner(value) > 0, -INF, value))


@pytest.mark.parametrize(
    ("name", "recurrent", "masked"),
    [(name, recurrent, False) for name in WINNERS for recurrent in (False, True)]
    + [("BalancedLIF single_published spike", True, True)],
)
def test_every_reset_and_gradient(name: str, recurrent: bool, masked: bool) -> None:
    run = Run(name, (60, 11, 37), recurrent=recurrent, masked=masked, traced=True)
    found = run("cpu")
    assert 0 < found[0][0].sum(-1).mean() < 1
    assert_same(found, run("reference"), 1e-5)


@settings(max_examples=25, deadline=None)
@given(
    name=st.sampled_from([name for name in WINNERS if name.endswith(("voltage", "none"))]),
    steps=st.one_of(st.just(1), st.integers(1, 130)),
    batch=st.integers(1, 20),
    size=st.integers(1, 70),
    recurrent=st.booleans(),
    double=st.booleans(),
)
def test_any_shape(
    name: str, steps: int, batch: int, size: int, recurrent: bool, double: bool
) -> None:
    dtype, tolerance = (torch.float64, 1e-10) if double else (torch.float32, 2e-5)
    run = Run(name, (steps, batch, size), recurrent=recurrent, dtype=dtype, traced=True)
    assert_same(run("cpu"), run("reference"), tolerance)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 2, 5000), (6, 300, 3), (200, 1, 16)])
def test_rows_are_whole_whatever_their_length(shape: tuple[int, int, int]) -> None:
    run = Run("BalancedLIF single_published spike", shape, traced=True)
    assert_same(run("cpu"), run("reference"), 1e-5)


class _Shown(torch.autograd.Function):
    """The winner; its gradient is the winner, too."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        won = winner(x)
        ctx.save_for_backward(won)
        return won

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        won: Tensor = ctx.saved_tensors[0]
        return won + 0.0 * gradient


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [1, 2, 7, 8, 15, 16, 17, 33, 64, 100])
def test_ties_infinities_zeros_and_nan_in_both_directions(size: int, dtype: torch.dtype) -> None:
    torch.manual_seed(size)
    values = torch.tensor([NAN, INF, -INF, 0.0, -0.0, 1.0, 1.0, -1.0], dtype=dtype)
    rows = values[torch.randint(len(values), (400, size))]
    rows = torch.cat([rows, values[:, None].expand(-1, size), rows[:100].nan_to_num(-INF)])
    expected = torch.nn.functional.one_hot(rows.argmax(-1), size).to(dtype)
    rows, neuron = rows[None].requires_grad_(), Contest(size, _Shown.apply).to(dtype)
    for backend in ("cpu", "reference"):
        found, _ = scan(neuron, rows, backend=backend)
        assert torch.equal(found[0], expected), backend
        assert torch.equal(torch.autograd.grad(found.sum(), rows)[0][0], expected), backend


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [5, 9, 16, 31])
def test_the_way_back_meets_the_winners_of_the_way_there(size: int, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    neuron, rows = Contest(size, _Shown.apply).to(dtype), torch.randn(150, 5, size, dtype=dtype)
    coefficients = Coefficients(torch.zeros(size, dtype=dtype))
    neuron.coefficients = lambda: coefficients  # type: ignore[method-assign]
    found, _ = scan(neuron, rows.requires_grad_(), backend="cpu")
    assert torch.equal(found.argmax(-1), rows.argmax(-1))
    assert torch.equal(torch.autograd.grad(found.sum(), rows)[0], found)


@pytest.mark.parametrize("steps", [1, 5, 150])
def test_a_winner_that_depends_on_another(steps: int) -> None:
    torch.manual_seed(0)
    current = torch.randn(steps, 4, 19)
    neuron = Contest(19, second)
    found, _ = scan(neuron, current, backend="cpu")
    expected, final = scan(neuron, current, backend="reference")
    assert torch.equal(found, expected)
    assert torch.equal(found[-1].argmax(-1), final.value.topk(2).indices[:, 1])


def test_gradients_of_what_is_chosen_by_the_winner() -> None:
    def rule(value: Tensor) -> Tensor:
        return boxcar(torch.where(winner(value) > 0, value - 0.3, 0.1 * value) * 0.7)

    torch.manual_seed(0)
    neuron, current = Contest(21, rule), torch.randn(30, 3, 21, requires_grad=True)
    weight, results = torch.randn(30, 3, 21), []
    for backend in ("cpu", "reference"):
        output, final = scan(neuron, current, backend=backend)
        loss = (output * weight).sum() + final.value.square().sum()
        passed = torch.autograd.grad(loss, [current, neuron.rate])
        results.append(([output.detach()], dict(zip(("current", "rate"), passed, strict=True))))
    assert_same(results[0], results[1], 1e-5)


@pytest.mark.parametrize("published", [False, True])
def test_a_neuron_of_another_family_fires_one_at_a_time(published: bool) -> None:
    def one(x: Tensor) -> Tensor:
        return winner_takes_all(x, 0.0, published=published)

    torch.manual_seed(0)
    neuron = AdLIF(21, surrogate=one)  # type: ignore[arg-type]
    neuron.across_layer = True
    current, weight = 4.0 * torch.randn(30, 3, 21), torch.randn(30, 3, 21)
    results = []
    for backend in ("cpu", "reference"):
        output, _ = scan(neuron, current, backend=backend)
        parameters = dict(neuron.named_parameters())
        passed = torch.autograd.grad((output * weight).sum(), list(parameters.values()))
        results.append(([output.detach()], dict(zip(parameters, passed, strict=True))))
    assert 0 < results[0][0][0].sum(-1).mean() < 1
    assert_same(results[0], results[1], 1e-5)


def test_more_threads_than_rows_give_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "ELEMENTS_PER_THREAD", 1)
    name, found, before = "BalancedLIF single_intended voltage", [], torch.get_num_threads()
    for threads in (1, 5):
        torch.set_num_threads(threads)
        try:
            runs = [Run(name, (70, rows, 33), recurrent=True, traced=True) for rows in (1, 3, 20)]
            found.append([run("cpu") for run in runs])
        finally:
            torch.set_num_threads(before)
    for alone, together in zip(*found, strict=True):
        alone[1].pop("state spike")  # a dense product of PyTorch's
        together[1].pop("state spike")
        assert_same(alone, together, 0.0)


class _Largest(torch.autograd.Function):
    """The gradient goes where it is largest."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient * winner(gradient)


ROW = "core.neurons.winner is what a kernel knows of a row"


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (lambda v: winner(v) * v.amax(-1, keepdim=True), "aten.amax.default, which no kernel has"),
        (lambda v: v - v.mean(-1, keepdim=True), "aten.mean.dim, which no kernel has"),
        (lambda v: v.max(-1, keepdim=True).values + v, "aten.max.dim, which no kernel has"),
        (lambda v: v.softmax(-1), "aten._softmax.default, which no kernel has"),
        (lambda v: v.sort(-1).values, "aten.sort.default, which no kernel has"),
        (lambda v: v + v.argmax(-1, keepdim=True), f"computes with the place.*{ROW}"),
        (lambda v: v + v.argmax(0, keepdim=True), f"otherwise than along neurons; {ROW}"),
        (lambda v: v + v.argmax(), f"otherwise than along neurons; {ROW}"),
        (lambda v: v + v.argmax(-1), f"otherwise than along neurons; {ROW}"),
        (lambda v: v.scatter(0, v.argmax(-1, keepdim=True), 1.0), f"writes to places.*{ROW}"),
        (lambda v: v.scatter(-1, v.argmax(-1, keepdim=True), 2.0 * v), f"writes to places.*{ROW}"),
        (lambda v: v.flip(-1), "aten.flip.default, which no kernel has"),
        (_Largest.apply, "the derivative of its step looks at the whole layer"),
    ],
)
def test_other_looks_along_the_row_are_refused(rule: Rule, reason: str) -> None:
    neuron = Contest(4, rule)
    with pytest.raises(Unfusable, match=reason):
        trace(neuron, torch.float32)
    with pytest.raises(UserError, match=f"'cpu' cannot run Contest here: .*{reason}"):
        scan(neuron, torch.ones(2, 1, 4), backend="cpu")


def test_a_step_that_does_not_say_that_it_looks_along_the_row_is_refused() -> None:
    neuron = Contest(4, winner)
    neuron.across_layer = False
    with pytest.raises(UserError, match="the whole layer: say so with across_layer = True"):
        scan(neuron, torch.ones(2, 1, 4), backend="cpu")


def test_who_runs_it() -> None:
    neuron = BalancedLIF(6, firing="single_published")
    case = Case(neuron, torch.ones(3, 2, 6), torch.ones(6, 6))
    assert choose(case).name == "cpu"
    assert gpu.not_taken(case) == "it compares no neurons of a layer (winner)"

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.neuron = neuron

        def forward(self, x: Tensor) -> Tensor:
            slow, _ = scan(self.neuron, x, pathways={"trace": torch.eye(6)})
            return scan(self.neuron, x)[0] + slow

    found = explain(Model(), torch.ones(3, 2, 6))
    assert [str(line).partition(" on cpu (gpu: ")[0] for line in found] == [
        "neuron: recurrent BalancedLIF [3, 2, 6]",
        "neuron: BalancedLIF [3, 2, 6]",
    ]


def test_the_kept_graph_knows_how_it_fires() -> None:
    current = torch.full((4, 1, 3), 9000.0)
    firings: tuple[Firing, ...] = ("multi", "single_published")
    spikes = {}
    for firing in firings:
        neuron = BalancedLIF(3, firing=firing, alpha=torch.full((3,), 0.9995))
        spikes[firing] = scan(neuron, current, backend="cpu")[0]
        assert torch.equal(spikes[firing], scan(neuron, current, backend="reference")[0])
    assert spikes["multi"][0].sum() == 3
    assert spikes["single_published"][0].sum() == 1
