"""Neurons of snnTorch beside ours."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from core.conventions.snntorch import from_snntorch
from core.errors import UserError
from core.neurons import CubaLIF

from .parity import Forward, N, assert_equal, current, library

snn = library("snntorch")
surrogate = library("snntorch.surrogate")

PER_NEURON = torch.linspace(0.5, 0.95, N)
LEAKY: dict[str, dict[str, Any]] = {
    "defaults": {"beta": 0.9},
    "learned": {"beta": 0.8, "learn_beta": True, "learn_threshold": True},
    "per neuron": {"beta": PER_NEURON, "learn_beta": True, "threshold": 0.7},
    "thresholds": {"beta": 0.9, "threshold": PER_NEURON.flip(0), "learn_threshold": True},
    "to zero": {"beta": PER_NEURON, "learn_beta": True, "reset_mechanism": "zero"},
    "never reset": {"beta": 0.6, "reset_mechanism": "none"},
    "to zero at once": {"beta": 0.9, "reset_mechanism": "zero", "reset_delay": False},
    "clamped": {"beta": torch.tensor([1.2, 1.0, 0.5, 0.0, -0.3, 0.9]), "learn_beta": True},
}
SURROGATES = {
    "atan": lambda: surrogate.atan(alpha=1.3),
    "fast_sigmoid": lambda: surrogate.fast_sigmoid(slope=10),
    "sigmoid": lambda: surrogate.sigmoid(slope=5),
    "straight_through_estimator": lambda: surrogate.straight_through_estimator(),
}


def run(module: Any, states: int = 1, potential: bool = True) -> Forward:
    """A module over time from zero states, of which the potential is the last."""

    def forward(current_TBN: Tensor) -> tuple[Tensor, Tensor | None]:
        state = [torch.zeros_like(current_TBN[0]) for _ in range(states)]
        spikes, potentials = [], []
        for one in current_TBN.unbind(0):
            spike, *rest = module(one, *state)
            state = [spike, *rest][-states:]
            spikes.append(spike)
            potentials.append(state[-1])
        return torch.stack(spikes), torch.stack(potentials) if potential else None

    return forward


def trained(module: Any, ours: Any) -> list[tuple[Tensor, Tensor]]:
    """Pairs of trained tensors."""
    names = {"alpha": "synapse_decay", "beta": "decay", "threshold": "threshold"}
    own = dict(ours.named_parameters())
    theirs = {names[n]: p for n, p in module.named_parameters() if n in names}
    assert own.keys() == theirs.keys()
    assert all(own[name].numel() == theirs[name].numel() for name in own)
    return [(theirs[name], own[name]) for name in own]


@pytest.mark.parametrize("name", LEAKY)
def test_leaky(name: str) -> None:
    module = snn.Leaky(**LEAKY[name])
    ours = from_snntorch(module, N)
    assert_equal(run(module), ours, current(0.7), trained(module, ours))


@pytest.mark.parametrize("name", SURROGATES)
def test_surrogates(name: str) -> None:
    module = snn.Leaky(beta=0.8, spike_grad=SURROGATES[name]())
    assert_equal(run(module), from_snntorch(module, N), current(0.7))


@pytest.mark.parametrize("reset", ["subtract", "zero", "none"])
def test_synaptic(reset: str) -> None:
    module = snn.Synaptic(
        alpha=0.6, beta=PER_NEURON, learn_alpha=True, learn_beta=True, reset_mechanism=reset
    )
    ours = from_snntorch(module, N)
    assert isinstance(ours, CubaLIF)
    assert_equal(run(module, 2), ours, current(0.4, 0.1), trained(module, ours))


@pytest.mark.parametrize("reset", ["subtract", "zero"])
@pytest.mark.parametrize(
    "how", [{"beta": 0.9}, {"R": 2.0, "C": 3.0}, {"beta": 0.8, "R": 3.0}, {"beta": 0.8, "C": 3.0}]
)
def test_lapicque(how: dict[str, float], reset: str) -> None:
    module = snn.Lapicque(**how, time_step=0.5, threshold=0.3, reset_mechanism=reset)
    ours = from_snntorch(module, N)
    assert_equal(run(module), ours, current(0.25) / ours.gain)


@pytest.mark.parametrize("reset", ["subtract", "zero"])
@pytest.mark.parametrize("delayed", [True, False])
def test_recurrent(reset: str, delayed: bool) -> None:
    if not delayed and reset == "subtract":
        return  # refused, see below
    torch.manual_seed(0)
    options = {"linear_features": N, "reset_mechanism": reset, "reset_delay": delayed}
    module = snn.RLeaky(beta=0.8, **options)
    weight, bias = module.recurrent.weight, module.recurrent.bias
    ours = from_snntorch(module, N)

    def shifted(current_TBN: Tensor) -> tuple[Tensor, Tensor | None]:
        return run(module, 2)(current_TBN - bias.detach())

    assert_equal(shifted, ours, current(0.7), recurrent_weight=weight.detach())


REFUSED = {
    "inhibition": (lambda: snn.Leaky(0.9, inhibition=True), "inhibition"),
    "rounding": (lambda: snn.Leaky(0.9, state_quant=torch.round), "state_quant"),
    "grades": (lambda: snn.Leaky(0.9, graded_spikes_factor=2.0), "graded_spikes_factor"),
    "below zero": (lambda: snn.Leaky(0.9, threshold=-0.1), "threshold below 0"),
    "double reset": (lambda: snn.Leaky(0.9, reset_delay=False), "equal below twice the threshold"),
    "no gradient": (lambda: snn.Leaky(0.9, surrogate_disable=True), "_surrogate_bypass"),
    "at random": (lambda: snn.Leaky(0.9, spike_grad=surrogate.SSO()), "SSO"),
    "own function": (lambda: snn.Leaky(0.9, spike_grad=torch.sigmoid), "known are atan"),
    "alpha": (lambda: snn.Alpha(0.9, 0.8), "Alpha"),
    "learned beta": (lambda: snn.Lapicque(beta=0.8, learn_beta=True), "second backward"),
    "overshoot": (lambda: snn.Lapicque(R=1.0, C=0.5), "overshoots"),
    "a layer": (lambda: torch.nn.Linear(2, 3), "Linear"),
}


@pytest.mark.filterwarnings("ignore:Inhibition is an unstable feature")
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str) -> None:
    make, words = REFUSED[name]
    with pytest.raises(UserError, match="has no exact counterpart") as error:
        from_snntorch(make(), N)
    assert words in str(error.value)
    assert "nearest is" in str(error.value)
