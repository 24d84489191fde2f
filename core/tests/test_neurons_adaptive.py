"""The speech-command baseline's neurons against arrays made with the authors' code."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from core.neurons import AdLIF, BoundedLI, BoundedLIF, CAdLIF
from core.scan import scan as scan_on

scan = partial(scan_on, backend="reference")
GOLDEN = Path(__file__).parent / "golden" / "sparch"
FIELDS = {"u": "potential", "w": "adaptation", "s": "spike"}
KINDS: dict[str, type[Any]] = {
    "LIF": BoundedLIF,
    "RLIF": BoundedLIF,
    "adLIF": AdLIF,
    "RadLIF": AdLIF,
}
NAMES = ["alpha", "beta", "a", "b"]
close: dict[str, Any] = {"rtol": 1e-7, "atol": 1e-9}


def golden(name: str) -> dict[str, Tensor]:
    with np.load(GOLDEN / f"{name}.npz") as arrays:
        return {key: torch.from_numpy(arrays[key]) for key in arrays.files}


def in_steps(
    neuron: Any, current: Tensor, state: Any, weight: Tensor | None
) -> tuple[Tensor, dict[str, Tensor]]:
    """Run step by step, so that every state can be compared."""
    spikes, states = [], []
    for current_BN in current:
        spike, state = scan(neuron, current_BN[None], recurrent_weight=weight, state=state)
        spikes.append(spike[0])
        states.append(state)
    history = {name: torch.stack([getattr(s, name) for s in states]) for name in states[0]._fields}
    return torch.stack(spikes), history


@pytest.mark.parametrize("norm", ["bn", "none_thr08"])
@pytest.mark.parametrize("kind", KINDS)
def test_authors_layers(kind: str, norm: str) -> None:
    data = golden(f"layer_{kind}_{norm}")
    leaves = {key: data[key].requires_grad_() for key in data if key.startswith("before__")}
    x = data["x"].requires_grad_()
    current = functional.linear(x, leaves["before__W.weight"])
    if norm == "bn":
        flat = functional.batch_norm(
            current.flatten(0, 1),
            None,
            None,
            leaves["before__norm.weight"],
            leaves["before__norm.bias"],
            training=True,
        )
        current = flat.view_as(current)
    neuron = KINDS[kind](current.shape[2], threshold=0.8 if norm == "none_thr08" else 1.0).double()
    trainable = dict(neuron.named_parameters())
    for name, parameter in trainable.items():
        parameter.data.copy_(leaves[f"before__{name}"])
    weight = None
    if "before__V.weight" in leaves:
        stored = leaves["before__V.weight"]
        weight = (stored - torch.diag(torch.diag(stored))).t()
    state = neuron.State(
        **{FIELDS[key]: data[f"init_{key}"] for key in FIELDS if f"init_{key}" in data}
    )

    spikes, history = in_steps(neuron, current.transpose(0, 1), state, weight)
    whole, _ = scan(neuron, current.transpose(0, 1), recurrent_weight=weight, state=state)
    (whole.transpose(0, 1) * data["G"]).sum().backward()

    assert torch.equal(spikes, whole)
    assert torch.equal(spikes.transpose(0, 1), data["out"])
    for key in ("u", "w"):
        if key in data:
            torch.testing.assert_close(history[FIELDS[key]].transpose(0, 1), data[key], **close)
    torch.testing.assert_close(x.grad, data["grad_x"], **close)
    for key, leaf in leaves.items():
        name = key.removeprefix("before__")
        gradient = trainable[name].grad if name in trainable else leaf.grad
        torch.testing.assert_close(gradient, data[f"grad__{name}"], msg=name, **close)


def test_outside_its_interval_a_parameter_acts_at_the_bound_without_gradient() -> None:
    clamped = 0
    for kind in ("adLIF", "RadLIF"):
        data = golden(f"layer_{kind}_bn")
        for name, (low, high) in AdLIF.BOUNDS.items():
            value = data[f"before__{name}"]
            outside = (value < low) | (value > high)
            clamped += int(outside.sum())
            assert not data[f"grad__{name}"][outside].any(), "the golden arrays hold such cases"
    assert clamped > 0
    current = torch.rand(20, 2, 3)
    for name, (_, high) in AdLIF.BOUNDS.items():
        runs = []
        for start in (high + 0.5, high):
            torch.manual_seed(0)
            neuron = AdLIF(3, initial="zero")
            getattr(neuron, name).data.fill_(start)
            _, final = scan(neuron, 20 * current)
            final.potential.sum().backward()
            runs.append((final.potential, getattr(neuron, name).grad))
        (beyond, no_gradient), (at_bound, gradient) = runs
        assert torch.equal(beyond, at_bound)
        assert not no_gradient.any()
        assert gradient.any(), f"the bound of {name} itself belongs to the interval"


@pytest.mark.parametrize("kind", KINDS)
def test_construction_draws_in_the_authors_order(kind: str) -> None:
    data = golden(f"seeded_{kind}")
    torch.manual_seed(123)
    torch.nn.Linear(9, 7, bias=False)
    if "init__snn.0.V.weight" in data:
        torch.nn.Linear(7, 7, bias=False)
    neuron = KINDS[kind](7)
    assert [name for name, _ in neuron.named_parameters()] == NAMES[: len(neuron.BOUNDS)]
    for name, parameter in neuron.named_parameters():
        assert torch.equal(parameter.data, data[f"init__snn.0.{name}"])


@pytest.mark.parametrize("kind", [BoundedLIF, AdLIF, CAdLIF])
def test_parameters_start_uniform_over_their_intervals(kind: type[AdLIF]) -> None:
    torch.manual_seed(0)
    neuron = kind(2000)
    for name, (low, high) in kind.BOUNDS.items():
        value = getattr(neuron, name)
        assert low <= value.min() < low + 0.01 * (high - low)
        assert high - 0.01 * (high - low) < value.max() <= high


@pytest.mark.parametrize("kind", [BoundedLIF, AdLIF])
def test_initial_state_is_drawn_potential_first_and_spike_last(kind: type[AdLIF]) -> None:
    neuron = kind(5, initial="uniform").double()
    state = neuron.initial_state(3, torch.Generator().manual_seed(9))
    generator = torch.Generator().manual_seed(9)
    order = ["potential", "adaptation", "spike"] if kind is AdLIF else ["potential", "spike"]
    for name in order:
        expected = torch.rand(3, 5, generator=generator)
        drawn = getattr(state, name)
        assert drawn.dtype == torch.float64
        assert torch.equal(drawn, expected.double())
    torch.manual_seed(9)
    assert torch.equal(neuron.initial_state(3).spike, state.spike), "the global generator serves"
    assert not torch.equal(neuron.initial_state(3).spike, state.spike), "drawn anew every time"
    assert neuron.initial_state(0).spike.shape == (0, 5)


def test_initial_state_may_be_zero() -> None:
    assert all(not field.any() for field in AdLIF(4).initial_state(2))
    with pytest.raises(ValueError, match="uniform or zero, not 'ones'"):
        AdLIF(4, initial="ones")  # type: ignore[arg-type]


def test_threshold_is_where_it_spikes_and_not_what_a_spike_subtracts() -> None:
    neuron = BoundedLIF(1, threshold=0.5, initial="zero").double()
    neuron.alpha.data.fill_(0.9)
    spikes, states = in_steps(
        neuron, torch.tensor([[[6.0]], [[0.0]]], dtype=torch.float64), neuron.initial_state(1), None
    )
    assert spikes.flatten().tolist() == [1.0, 0.0]
    assert states["potential"].flatten().tolist() == pytest.approx([0.6, 0.9 * (0.6 - 1.0)])


def test_divergence_hint_tells_a_growing_neuron_from_a_stable_one() -> None:
    for a, stable in ((-0.03, False), (-0.01, True)):  # the limit is beta - 1 = -0.02
        torch.manual_seed(0)
        neuron = AdLIF(2, initial="zero").double()
        with torch.no_grad():
            neuron.alpha.fill_(0.9)
            neuron.beta.fill_(0.98)
            neuron.a.fill_(a)
            neuron.b.fill_(0.0)
        current = torch.zeros(2000, 1, 2, dtype=torch.float64)
        current[0] = -1.0  # below rest no spike interferes
        _, final = scan(neuron, current)
        assert bool(final.potential.abs().max() < 1.0) == stable
        assert (neuron.divergence_hint() is None) == stable
    assert CAdLIF(50).divergence_hint() is None


# --- the readout's leaky integrator -------------------------------------------------------------


@pytest.mark.parametrize("backend", ["reference", "auto"])
def test_leaky_integrator(backend: str) -> None:
    torch.manual_seed(0)
    neuron = BoundedLI(4).double()
    current = torch.randn(12, 3, 4, dtype=torch.float64)
    state = neuron.initial_state(3)
    potential, alpha = state.potential.numpy(), neuron.alpha.detach().numpy()
    expected = []
    for step in current.numpy():
        potential = alpha * potential + (1.0 - alpha) * step
        expected.append(potential)
    output, final = scan_on(neuron, current, state=state, backend=backend)
    np.testing.assert_allclose(output.detach().numpy(), np.stack(expected), rtol=1e-12)
    assert torch.equal(final.potential, output[-1])


def test_leaky_integrator_is_clamped_without_gradient() -> None:
    current = torch.rand(20, 2, 3)
    low, high = BoundedLI.BOUNDS["alpha"]
    for outside, bound in ((0.5, low), (1.5, high)):
        neurons = [BoundedLI(3, initial="zero") for _ in range(2)]
        for neuron, value in zip(neurons, (outside, bound), strict=True):
            neuron.alpha.data.fill_(value)
            scan(neuron, current)[0].sum().backward()
        finals = [scan(neuron, current)[1].potential for neuron in neurons]
        assert torch.equal(*finals)
        assert neurons[0].alpha.grad is not None
        assert not neurons[0].alpha.grad.any()
        assert neurons[1].alpha.grad is not None
        assert neurons[1].alpha.grad.any()


def test_leaky_integrator_starts_at_random_or_at_rest() -> None:
    neuron = BoundedLI(5, initial="uniform").double()
    state = neuron.initial_state(3, torch.Generator().manual_seed(9))
    drawn = torch.rand(3, 5, generator=torch.Generator().manual_seed(9))
    assert torch.equal(state.potential, drawn.double())
    assert not BoundedLI(5).initial_state(3).potential.any()
    low, high = BoundedLI.BOUNDS["alpha"]
    alpha = BoundedLI(2000).alpha
    assert low <= alpha.min() < low + 0.002
    assert high - 0.002 < alpha.max() <= high
