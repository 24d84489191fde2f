"""Fields of the state at every step: what is recorded, by whom, and its gradients."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from core.buffers import empty
from core.neurons import BRF, LI, LIF
from core.neurons.base import Neuron
from core.scan import scan
from core.scan.contract import NEURONS, Run, assert_same
from core.scan.cpu import launch, passes
from core.scan.cpu.kernel import CpuVariant

CASES = [(name, recurrent) for name in NEURONS for recurrent in (False, True) if name != "LI"]
CASES.append(("LI", False))
BACKENDS = ("reference", "cpu")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("name", "recurrent"), [("LI", False), ("AdLIF", False), ("AdLIF", True)])
def test_a_trace_is_the_state_after_every_step(name: str, recurrent: bool, backend: str) -> None:
    run = Run(name, (9, 3, 5), recurrent=recurrent, masked=recurrent)
    fields = run.neuron.State._fields
    state: Any = run.state
    _, _, traces = scan(
        run.neuron,
        run.current,
        recurrent_weight=run.weight,
        spike_mask_TBN=run.mask,
        state=state,
        backend=backend,
        record=fields,
    )
    assert tuple(traces) == fields
    for t in range(9):
        now = slice(t, t + 1)
        _, state = scan(
            run.neuron,
            run.current[now],
            recurrent_weight=run.weight,
            spike_mask_TBN=None if run.mask is None else run.mask[now],
            state=state,
            backend="reference",
        )
        for field, expected in state._asdict().items():
            assert torch.equal(traces[field][t], expected), (field, t)


@pytest.mark.parametrize(("name", "recurrent"), CASES)
def test_every_neuron(name: str, recurrent: bool) -> None:
    run = Run(name, (30, 11, 37), recurrent=recurrent, traced=True)
    assert_same(run("cpu"), run("reference"), 1e-5)


@settings(max_examples=25, deadline=None)
@given(
    name=st.sampled_from(["LIF", "BRF", "AdLIF"]),
    steps=st.one_of(st.just(1), st.integers(1, 130)),
    batch=st.integers(1, 20),
    size=st.integers(1, 70),
    recurrent=st.booleans(),
    masked=st.booleans(),
    double=st.booleans(),
)
def test_any_shape(
    name: str, steps: int, batch: int, size: int, recurrent: bool, masked: bool, double: bool
) -> None:
    dtype, tolerance = (torch.float64, 1e-10) if double else (torch.float32, 2e-5)
    shape = (steps, batch, size)
    run = Run(name, shape, recurrent=recurrent, masked=masked, dtype=dtype, traced=True)
    assert_same(run("cpu"), run("reference"), tolerance)


@pytest.mark.parametrize(
    ("shape", "recurrent"),
    [((1, 1, 1), True), ((3, 2, 5000), False), ((6, 40, 300), True), ((70, 3, 17), False)],
)
def test_shapes_at_the_seams(shape: tuple[int, int, int], recurrent: bool) -> None:
    run = Run("AdLIF", shape, recurrent=recurrent, traced=True)
    assert_same(run("cpu"), run("reference"), 2e-5)


@pytest.mark.parametrize("size", [64, 60])
def test_large_traces_are_written_past_the_caches(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "LARGE", 0)
    run = Run("BRF", (40, 50, size), traced=True)
    assert_same(run("cpu"), run("reference"), 1e-5)


def test_dense_spikes_take_one_large_product_for_the_weight() -> None:
    run = Run("RF", (60, 5, 24), recurrent=True, traced=True)
    assert_same(run("cpu"), run("reference"), 1e-5)


@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("field", LIF.State._fields)
def test_the_gradient_of_one_trace_alone(field: str, recurrent: bool) -> None:
    # The other is recorded, too: its gradient is not given.
    found = []
    for backend in BACKENDS:
        run = Run("LIF", (20, 3, 9), recurrent=recurrent, traced=True)
        place = 1 + len(run.state) + run.record.index(field)
        trace = run.outputs(backend)[place]
        gradient = run.gradients[place].transpose(0, 1).contiguous().transpose(0, 1)
        wanted = [run.current, *run.neuron.parameters()]
        found.append(torch.autograd.grad(trace, wanted, gradient))
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_a_loss_on_the_potential_that_repeats_along_every_dimension() -> None:
    neuron, current = BRF(6), torch.randn(12, 4, 6, requires_grad=True)
    found = []
    for backend in BACKENDS:
        potential = scan(neuron, current, backend=backend, record=("u",))[2]["u"]
        found.append(torch.autograd.grad(potential.sum(), current)[0])
    torch.testing.assert_close(found[0], found[1], rtol=1e-5, atol=1e-6)


def test_traces_may_be_written_to_and_change_nothing_else() -> None:
    run = Run("LIF", (10, 2, 4), recurrent=True)
    for backend in BACKENDS:
        output, final, traces = scan(run.neuron, run.current, backend=backend, record=("spike",))
        expected, kept = output.detach().clone(), final.spike.detach().clone()
        traces["spike"].detach_().zero_()
        assert torch.equal(output, expected)
        assert torch.equal(final.spike, kept)
        output.sum().backward()


@pytest.mark.parametrize("backend", BACKENDS)
def test_without_record_there_are_two_results_and_with_an_empty_one_three(backend: str) -> None:
    neuron, current = LIF(4), torch.rand(5, 2, 4)
    assert len(scan(neuron, current, backend=backend)) == 2
    assert scan(neuron, current, backend=backend, record=())[2] == {}
    named_twice = scan(neuron, current, backend=backend, record=["potential", "potential"])[2]
    assert list(named_twice) == ["potential"]
    nobody = scan(neuron, current[:, :0], backend=backend, record=("potential",))[2]
    assert nobody["potential"].shape == (5, 0, 4)


def test_names_that_are_no_fields_are_refused_with_those_that_are() -> None:
    current = torch.rand(5, 2, 4)
    with pytest.raises(ValueError, match=r"'voltage'.*LI has potential"):
        scan(LI(4), current, record=("voltage",))
    with pytest.raises(ValueError, match=r"LIF has spike, potential; did you mean 'potential'\?"):
        scan(LIF(4), current, record=("Potentials",))
    for odd in ("potential", True):
        with pytest.raises(ValueError, match=r"record=\('potential',\)"):
            scan(LI(4), current, record=odd)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"\['potential'\]"):
        scan(LI(4), current, record=[["potential"]])  # type: ignore[list-item]


def test_the_order_of_names_is_that_of_traces_and_of_no_kernel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    directions: list[tuple[int, ...]] = []
    kernel = launch._kernel

    def seen(direction: str, variant: CpuVariant, name: str) -> Any:
        directions.append(variant.traces)
        return kernel(direction, variant, name)

    monkeypatch.setattr(launch, "_kernel", seen)
    neuron, current = BRF(4), torch.rand(5, 2, 4)
    onward = scan(neuron, current, backend="cpu", record=("u", "v"))[2]
    back = scan(neuron, current, backend="cpu", record=("v", "u"))[2]
    assert (list(onward), list(back)) == (["u", "v"], ["v", "u"])
    assert all(torch.equal(onward[name], back[name]) for name in "uv")
    assert directions[0] == directions[1] == tuple(sorted(directions[0]))


def test_only_what_was_asked_for_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[int, ...]] = []

    def counted(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        made.append(tuple(shape))
        return empty(shape, dtype)

    monkeypatch.setattr(passes, "empty", counted)
    sequences = []
    for fields in ((), ("u",), ("u", "v")):
        made.clear()
        scan(BRF(5), torch.rand(9, 3, 5), backend="cpu", record=fields)
        sequences.append(made.count((9, 3, 5)))
    assert sequences == [1, 2, 3]


def test_a_gradient_of_a_gradient_is_refused() -> None:
    neuron, current = LIF(4), torch.rand(5, 2, 4, requires_grad=True)
    potential = scan(neuron, current, backend="cpu", record=("potential",))[2]["potential"]
    (gradient,) = torch.autograd.grad(potential.sum(), current, create_graph=True)
    with pytest.raises(RuntimeError, match="no gradients of gradients"):
        torch.autograd.grad(gradient.square().sum(), neuron.tau_mem)


def test_fields_of_a_neuron_that_no_kernel_takes_are_recorded_by_the_reference() -> None:
    class State(NamedTuple):
        spike: Tensor
        rotating: Tensor

    class Rotating(Neuron):
        def initial_state(self, batch: int, generator: torch.Generator | None = None) -> State:
            rotating = torch.zeros(batch, self.size, dtype=torch.complex64)
            return self.State(rotating.real, rotating)

        def coefficients(self) -> tuple[()]:
            return ()

        def step(self, _: Any, state: State, current: Tensor) -> tuple[State, Tensor]:
            rotating = 0.9j * state.rotating + current
            spike = (rotating.real > 1.0).to(current.dtype)
            return self.State(spike, rotating), spike

    Rotating.State = State
    current = torch.rand(6, 2, 4, requires_grad=True)
    spikes, final, traces = scan(Rotating(4), current, record=("rotating", "spike"))
    assert torch.equal(traces["rotating"][-1], final.rotating)
    assert torch.equal(traces["spike"], spikes)
    assert traces["rotating"].is_complex()
    traces["rotating"].imag.sum().backward()
    assert current.grad is not None
