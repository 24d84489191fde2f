"""Fused backends against the reference: spikes to the bit, gradients to rounding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.func import functional_call

from core.neurons import BRF, LIF, AdLIF
from core.scan import scan
from core.scan.contract import DRIVE, NEURONS, SMOOTH, Run, assert_same, current_for
from core.scan.cpu import launch, machine, passes
from core.scan.cpu.kernel import CpuVariant
from core.scan.cpu.machine import this_machine

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}
CASES = [(name, recurrent) for name in NEURONS for recurrent in (False, True) if name != "LI"]
CASES.append(("LI", False))
FUSED = "cpu"


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=["float32", "float64"])
@pytest.mark.parametrize(("name", "recurrent"), CASES)
def test_every_neuron(name: str, recurrent: bool, dtype: torch.dtype) -> None:
    # 37 neurons: whole vectors and a part of one; 11 samples: more than one task.
    run = Run(name, (30, 11, 37), recurrent=recurrent, dtype=dtype)
    expected = run("reference")
    assert name == "LI" or 0.005 < expected[0][0].mean() < 0.95
    assert_same(run(FUSED), expected, TOLERANCE[dtype])


@pytest.mark.parametrize("name", ["LIF", "ALIF", "BRF", "AdLIF"])
@pytest.mark.parametrize("recurrent", [False, True])
def test_deleted_spikes(name: str, recurrent: bool) -> None:
    run = Run(name, (25, 4, 20), recurrent=recurrent, masked=True)
    assert_same(run(FUSED), run("reference"), 1e-5)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    name=st.sampled_from(["LIF", "BRF", "AdLIF"]),
    steps=st.integers(1, 130),
    batch=st.integers(1, 20),
    size=st.integers(1, 70),
    recurrent=st.booleans(),
    masked=st.booleans(),
)
def test_any_shape(
    name: str, steps: int, batch: int, size: int, recurrent: bool, masked: bool
) -> None:
    # In double precision: where a sum cancels, single precision keeps few of its digits.
    run = Run(name, (steps, batch, size), recurrent=recurrent, masked=masked, dtype=torch.float64)
    assert_same(run(FUSED), run("reference"), 1e-9)


@pytest.mark.parametrize(
    ("shape", "recurrent"),
    [
        ((1, 1, 1), True),
        ((3, 2, 5000), False),  # more than one task along the neurons
        ((6, 40, 300), True),  # wider than a panel; the last task has fewer rows
        ((70, 3, 17), False),  # more than one segment
        ((9, 130, 3), False),
    ],
)
def test_shapes_at_the_seams(shape: tuple[int, int, int], recurrent: bool) -> None:
    run = Run("AdLIF", shape, recurrent=recurrent)
    assert_same(run(FUSED), run("reference"), 2e-5)


@pytest.mark.parametrize(("vector_bytes", "fma"), [(16, False), (32, True)])
def test_narrower_processors(vector_bytes: int, fma: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    narrow = replace(this_machine(), vector_bytes=vector_bytes, fma=fma, registers=16)
    for module in (launch, passes, machine):
        monkeypatch.setattr(module, "this_machine", lambda: narrow)
    launch._kernel.cache_clear()
    try:
        for name, recurrent in (("AdLIF", True), ("BRF", True), ("BRF", False)):
            run = Run(name, (30, 11, 37), recurrent=recurrent, masked=True)
            assert_same(run(FUSED), run("reference"), 1e-5)
    finally:
        launch._kernel.cache_clear()


def test_both_directions_and_repeated_steps() -> None:
    # A bidirectional layer runs a flipped copy, substeps are repeated inputs: no case of their own.
    run = Run("AdLIF", (12, 4, 6), recurrent=True)
    forth = run.current.detach()
    for current in (forth.flip(0), forth.repeat_interleave(3, 0)):
        run.current = current.requires_grad_()
        run.gradients[0] = torch.randn(current.shape)
        assert_same(run(FUSED), run("reference"), 1e-5)


@pytest.mark.parametrize("size", [64, 60])
def test_large_sequences_are_written_past_the_caches(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "LARGE", 0)
    seen: list[bool] = []
    kernel = launch._kernel

    def watched(direction: str, variant: CpuVariant, name: str) -> Any:
        seen.append(variant.stream)
        return kernel(direction, variant, name)

    monkeypatch.setattr(launch, "_kernel", watched)
    run = Run("BRF", (40, 50, size))
    assert_same(run(FUSED), run("reference"), 1e-5)
    assert seen == [size == 64] * 2  # rows of 60 are no whole vectors


def test_dense_spikes_take_one_large_product_for_the_weight() -> None:
    run = Run("RF", (60, 5, 24), recurrent=True)
    expected = run("reference")
    assert expected[0][0].mean() > 0.25
    assert_same(run(FUSED), expected, 1e-5)


def test_values_that_are_no_numbers_pass_as_in_the_reference() -> None:
    for neuron in (LIF(4), BRF(4), AdLIF(4, initial="zero")):
        current = torch.tensor([[[1.0, torch.inf, -torch.inf, torch.nan]]]).expand(5, 1, 4)
        expected, final = scan(neuron, current, backend="reference")
        found, found_final = scan(neuron, current, backend=FUSED)
        torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)
        for a, b in zip(found_final, final, strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=0, equal_nan=True)


# --- gradients ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in SMOOTH if name != "LI"])
def test_gradients_agree_with_finite_differences(name: str) -> None:
    torch.manual_seed(0)
    neuron = NEURONS[name](3, surrogate=torch.sigmoid).double()
    names, parameters = zip(*neuron.named_parameters(), strict=True)
    weight = torch.randn(3, 3).double().requires_grad_()
    state = [torch.rand(2, 3).double().requires_grad_() for _ in neuron.State._fields]
    current = torch.randn(6, 2, 3).double().requires_grad_()

    class Whole(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.neuron = neuron

        def forward(self, current: Tensor, weight: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
            output, final = scan(
                self.neuron,
                current,
                recurrent_weight=weight,
                state=neuron.State(*state),
                backend=FUSED,
            )
            return (output, *final)

    def whole(current: Tensor, weight: Tensor, *rest: Tensor) -> Any:
        values = {f"neuron.{k}": v for k, v in zip(names, rest[: len(names)], strict=True)}
        return functional_call(Whole(), values, (current, weight, *rest[len(names) :]))

    assert torch.autograd.gradcheck(whole, (current, weight, *parameters, *state))


@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("wanted", ["current", "parameters", "weight", "state", "nothing"])
def test_only_what_is_wanted_gets_a_gradient(wanted: str, recurrent: bool) -> None:
    if wanted == "weight" and not recurrent:
        pytest.skip("there is no weight")
    run = Run("AdLIF", (20, 3, 9), recurrent=recurrent)
    _, expected = run("reference")
    choices: dict[str, list[Any]] = {
        "current": [run.current],
        "parameters": list(run.neuron.parameters()),
        "weight": [run.weight],
        "state": list(run.state),
        "nothing": [],
    }
    keep = choices[wanted]
    everything = [run.current, *run.neuron.parameters(), *run.state]
    everything += [] if run.weight is None else [run.weight]
    kept = {id(tensor) for tensor in keep}
    for tensor in everything:
        tensor.requires_grad_(id(tensor) in kept)
    outputs = run.outputs(FUSED)
    assert outputs[0].requires_grad == bool(keep)
    if keep:
        found = torch.autograd.grad(outputs, keep, run.gradients)
        names = {id(run.current): "current", id(run.weight): "recurrent weight"}
        names |= {id(p): name for name, p in run.neuron.named_parameters()}
        names |= {id(s): f"state {name}" for name, s in run.state._asdict().items()}
        for tensor, gradient in zip(keep, found, strict=True):
            reference = expected[names[id(tensor)]]
            worst = (gradient - reference).abs().max()
            assert worst <= 1e-5 * reference.abs().max(), names[id(tensor)]


def test_gradient_of_the_output_alone_and_of_the_state_alone() -> None:
    run = Run("BRF", (15, 3, 8), recurrent=True)
    for which in ([0], [2], [0, 4]):
        pair = []
        for backend in ("reference", FUSED):
            outputs = run.outputs(backend)
            chosen = [outputs[i] for i in which]
            pair.append(
                torch.autograd.grad(chosen, run.current, [run.gradients[i] for i in which])[0]
            )
        torch.testing.assert_close(pair[1], pair[0], rtol=1e-4, atol=1e-5)


def test_gradients_and_currents_of_any_memory_layout() -> None:
    run = Run("AdLIF", (12, 4, 6))
    expected = run("reference")
    wide = torch.zeros(12, 4, 12)
    layouts = {
        "batch first": run.current.detach().transpose(0, 1).contiguous().transpose(0, 1),
        "every other": wide[..., ::2].copy_(run.current.detach()),
        "neurons first": run.current.detach().permute(2, 0, 1).contiguous().permute(1, 2, 0),
    }
    for name, view in layouts.items():
        assert not view.is_contiguous(), name
        run.current = view.detach().requires_grad_()
        run.gradients[0] = run.gradients[0].transpose(0, 1).contiguous().transpose(0, 1)
        assert_same(run(FUSED), expected, 1e-5)


@pytest.mark.parametrize("shape", [(1, 1, 1), (12, 1, 6), (1, 4, 1), (12, 4, 1)])
def test_inputs_and_gradients_that_repeat(shape: tuple[int, int, int]) -> None:
    run = Run("LIF", (12, 4, 6))
    run.current = current_for("LIF", *shape).expand(12, 4, 6).detach().requires_grad_()
    run.gradients[0] = torch.randn(shape).expand(12, 4, 6)
    assert_same(run(FUSED), run("reference"), 1e-5)


def test_a_current_changed_before_backward_is_noticed() -> None:
    run = Run("LIF", (5, 2, 3))
    current = run.current * 1.0
    output, _ = scan(run.neuron, current, backend=FUSED)
    current.add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        output.sum().backward()


# --- determinism --------------------------------------------------------------------------------


@pytest.mark.parametrize("recurrent", [False, True])
def test_results_do_not_depend_on_threads_or_repetition(recurrent: bool, threads: None) -> None:
    run = Run("AdLIF", (60, 48, 64), recurrent=recurrent, exact=False)
    torch.set_num_threads(1)
    first = run(FUSED)
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        assert_same(run(FUSED), first, 0.0)


def test_denormal_numbers_are_treated_as_in_the_callers_thread(threads: None) -> None:
    neuron = LIF(2100, tau_mem=1.0)
    current = torch.zeros(70, 2, 2100)
    state = neuron.initial_state(2)._replace(potential=torch.full((2, 2100), 1e-30))
    torch.set_num_threads(2)
    for flush in (False, True):
        torch.set_flush_denormal(flush)
        for steps in (20, 70):
            _, final = scan(neuron, current[:steps], state=state, backend=FUSED)
            _, expected = scan(neuron, current[:steps], state=state, backend="reference")
            assert torch.equal(final.potential, expected.potential)
            assert (final.potential > 0).all() == (steps == 20 and not flush)


def test_few_spikes_flip_with_weights_that_are_on_no_grid(
    record_property: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    flipped = {}
    for name in DRIVE:
        if name != "LI":
            run = Run(name, (60, 8, 40), recurrent=True, exact=False)
            with torch.no_grad():
                found, expected = run.outputs(FUSED)[0], run.outputs("reference")[0]
            flipped[name] = float((found != expected).float().mean())
    record_property("flip_rate", flipped)
    # A flipped spike changes what follows it, so that a chaotic network drifts apart.
    assert sum(flipped.values()) / len(flipped) < 0.01, flipped
