"""Leaky integrate-and-fire whose conventions are arguments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from core.neurons import LIF, PLIF, BoundedLIF, CubaLIF, GeneralLIF, Neuron
from core.scan import scan
from core.surrogates import boxcar, linear, piecewise_quadratic

T, B, N = 30, 2, 4


def current(mean: float = 0.3, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return mean + torch.randn(T, B, N, generator=generator, dtype=torch.float64)


def by_hand(x: Any, timing: str, reset: Any, rest: float) -> tuple[Any, Any]:
    """Spikes and potentials with NumPy; decay 0.8, gain 0.5, threshold 0.6."""
    u, z = np.full((B, N), rest), np.zeros((B, N))
    spikes, potentials = [], []

    def after(u: Any, z: Any) -> Any:
        if reset == "threshold":
            return u - 0.6 * z
        return u if reset == "none" else np.where(z > 0, reset, u)

    for one in x:
        u = after(u, z) if timing == "before_decay" else u
        u = rest + 0.8 * (u - rest) + 0.5 * one
        u = after(u, z) if timing == "after_decay" else u
        z = (u > 0.6).astype(float)
        u = after(u, z) if timing == "at_once" else u
        spikes.append(z)
        potentials.append(u)
    return np.stack(spikes), np.stack(potentials)


@pytest.mark.parametrize("rest", [0.0, -0.2])
@pytest.mark.parametrize("reset", ["threshold", "none", -0.3])
@pytest.mark.parametrize("timing", ["at_once", "before_decay", "after_decay"])
def test_the_equations(timing: Any, reset: Any, rest: float) -> None:
    neuron = GeneralLIF(
        N, decay=0.8, gain=0.5, rest=rest, threshold=0.6, reset=reset, timing=timing
    ).double()
    x = current()
    spikes, _, traces = scan(neuron, x, backend="reference", record=("potential",))
    expected, potentials = by_hand(x.numpy(), timing, reset, rest)
    assert 0 < expected.sum() < expected.size
    np.testing.assert_array_equal(spikes.numpy(), expected)
    np.testing.assert_allclose(traces["potential"].numpy(), potentials, atol=1e-12)


def test_a_synapse_takes_the_place_of_the_current() -> None:
    x = current()
    options: dict[str, Any] = {"decay": 0.7, "timing": "after_decay", "surrogate": boxcar}
    neuron = CubaLIF(N, synapse_decay=0.6, synapse_gain=0.5, **options).double()
    filtered, i = [], torch.zeros(B, N, dtype=torch.float64)
    for one in x:
        i = 0.6 * i + 0.5 * one
        filtered.append(i)
    found, state, traces = scan(neuron, x, record=("synapse",))
    expected, _ = scan(GeneralLIF(N, **options).double(), torch.stack(filtered))
    assert 0 < found.sum() < found.numel()
    assert torch.equal(found, expected)
    torch.testing.assert_close(traces["synapse"], torch.stack(filtered))
    assert torch.equal(state.synapse, traces["synapse"][-1])


def same(ours: Neuron, other: Neuron, x: Tensor, potential: bool = True) -> None:
    outcomes = []
    for neuron in (ours, other):
        y = x.clone().requires_grad_()
        spikes, _, traces = scan(neuron, y, backend="reference", record=("potential",))
        weights = torch.linspace(-1.0, 1.0, spikes.numel(), dtype=x.dtype).view_as(spikes)
        (gradient,) = torch.autograd.grad((spikes * weights).sum(), y)
        outcomes.append((spikes, gradient, *(traces.values() if potential else ())))
    assert 0 < outcomes[0][0].sum() < outcomes[0][0].numel()
    assert torch.equal(outcomes[0][0], outcomes[1][0])
    for mine, theirs in zip(*outcomes, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-12)


def test_published_neurons_are_members() -> None:
    lif = LIF(N, tau_mem=4.0).double()
    decay = torch.exp(-1.0 / lif.tau_mem)
    same(GeneralLIF(N, decay=decay), lif, 3.0 * current())
    bounded = BoundedLIF(N).double()
    options: dict[str, Any] = {"decay": bounded.alpha.detach(), "surrogate": boxcar}
    same(GeneralLIF(N, timing="before_decay", **options), bounded, 8.0 * current())
    plif: dict[str, Any] = {"alpha": 1.0, "surrogate": piecewise_quadratic, "detach_reset": True}
    own = {name: plif[name] for name in ("surrogate", "detach_reset")}
    for reset in (None, -0.5):
        neuron = PLIF(N, tau=2.5, train="nothing", reset=reset, threshold=0.7, **plif).double()
        membrane: dict[str, Any] = {
            "rest": reset or 0.0,
            "reset": "threshold" if reset is None else reset,
        }
        ours = GeneralLIF(N, decay=1.0 - 1.0 / 2.5, threshold=0.7, **membrane, **own).double()
        same(ours, neuron, 2.0 * current())


def test_before_the_decay_is_at_once_seen_earlier() -> None:
    early = GeneralLIF(N, decay=0.8, timing="at_once").double()
    late = GeneralLIF(N, decay=0.8, timing="before_decay").double()
    same(early, late, 5.0 * current(), potential=False)


def test_trained_coefficients_get_their_gradients() -> None:
    def parameter(*values: float) -> nn.Parameter:
        return nn.Parameter(torch.tensor(values[0] if len(values) == 1 else values).double())

    made: dict[str, Any] = {
        "decay": parameter(0.5, 0.6, 0.7, 0.8),
        "threshold": parameter(0.4),
        "rest": torch.tensor(0.1, dtype=torch.float64),
        "synapse_decay": parameter(0.5),
        "synapse_gain": parameter(0.9),
    }
    x = current()[:5]
    neuron = CubaLIF(N, reset="none", **made)  # potentials are smooth where nothing resets them
    smooth = [neuron.decay, neuron.synapse_decay, neuron.synapse_gain]

    def potential(*_: Tensor) -> Tensor:
        return scan(neuron, x, backend="reference")[1].potential

    torch.autograd.gradcheck(potential, smooth)
    neuron = CubaLIF(N, reset=parameter(-0.1), **made)
    scan(neuron, x)[0].sum().backward()
    gradients = {name: value.grad for name, value in neuron.named_parameters()}
    assert len(gradients) == 5
    assert all(g is not None and g.abs().sum() > 0.0 for g in gradients.values())


def test_a_decay_stays_in_its_interval() -> None:
    decay = torch.tensor([1.5, 1.0, 0.0, -0.5])
    coefficients = GeneralLIF(4, decay=decay).coefficients()
    assert coefficients.decay.tolist() == [1.0, 1.0, 0.0, 0.0]
    assert coefficients.gain.tolist() == [0.0, 0.0, 1.0, 1.0]


def test_it_copies_what_it_is_given() -> None:
    decay = nn.Parameter(torch.full((N,), 0.5))
    neuron = GeneralLIF(N, decay=decay, threshold=torch.ones(N))
    assert neuron.decay is not decay
    assert isinstance(neuron.decay, nn.Parameter)
    assert set(neuron.state_dict()) == {"decay", "gain", "rest", "threshold", "reset_potential"}


def test_at_equality_the_spike_function_decides() -> None:
    x = torch.ones(1, 1, 1)
    for surrogate, spikes in ((linear, 0.0), (piecewise_quadratic, 1.0)):
        found, _ = scan(GeneralLIF(1, decay=0.5, gain=1.0, surrogate=surrogate), x)
        assert float(found) == spikes


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="timing is at_once"):
        GeneralLIF(N, decay=0.5, timing="later")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="reset is a potential, threshold or none"):
        GeneralLIF(N, decay=0.5, reset="zero")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"threshold has shape \(3,\), expected \[4\] or \[\]"):
        GeneralLIF(N, decay=0.5, threshold=torch.ones(3))
