"""What drove one neuron of a simulation, and whether it cancels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import signal

from bsnn.boerlin.network import Simulation
from bsnn.boerlin.signals import Array, integrated

SETTLED = 1500
"""Step from which currents are compared."""
TOLERANCE = 0.005


@dataclass(frozen=True)
class NeuronCurrents:
    """Currents of one neuron at each step, ``[T]``; nothing follows the last, where they are zero.

    Attributes:
        slow: From the rates.
        fast: From the spikes of the step before.
        input: From the noisy signal.
        excitatory: Sum of all positive products of weight and what it weighs, so that a negative
            signal through a negative weight excites.
        inhibitory: Of all negative ones.
    """

    slow: Array
    fast: Array
    input: Array
    excitatory: Array
    inhibitory: Array

    def smooth(self) -> tuple[Array, Array]:
        """Excitatory and inhibitory current, low-passed forwards and backwards."""
        b, a = signal.butter(4, 0.05)
        padding = min(3 * len(b), len(self.excitatory) - 1)
        exc, inh = (
            signal.filtfilt(b, a, current, padlen=padding)
            for current in (self.excitatory, self.inhibitory)
        )
        return exc, inh

    def verdict(self, *, two_sided: bool) -> Literal["balanced", "not balanced"]:
        """Whether the smooth currents cancel on average, from step 1500 on (where there is one).

        Args:
            two_sided: Too much excitation counts, too; as published only inhibition does.
        """
        exc, inh = self.smooth()
        start = SETTLED if len(exc) > SETTLED else 0
        excess = float(np.mean((-inh - exc)[start:]))
        return "balanced" if (abs(excess) if two_sided else excess) < TOLERANCE else "not balanced"


def currents_of(simulation: Simulation, neuron: int) -> NeuronCurrents:
    """Currents of one neuron, from signal and spikes."""
    weights, c = simulation.weights, simulation.noisy
    received = weights.decoder[:, neuron]
    fast = _sent(simulation, weights.fast[neuron])
    slow = np.zeros_like(fast)
    if weights.slow is not None:
        slow = _sent(simulation, weights.slow[neuron])
    slow_parts = [integrated(part(slow), simulation.alpha) for part in (_positive, _negative)]
    above, below = np.maximum(c, 0), np.minimum(c, 0)
    exc = above @ _positive(received) + below @ _negative(received) + _positive(fast)
    inh = above @ _negative(received) + below @ _positive(received) + _negative(fast)
    last = len(c) - 1
    whole = (sum(slow_parts), fast, c @ received, exc + slow_parts[0], inh + slow_parts[1])
    return NeuronCurrents(*(np.where(np.arange(len(c)) < last, part, 0.0) for part in whole))


def _sent(simulation: Simulation, weight_N: Array) -> Array:
    """What a neuron gets at every step from the spike before it, ``[T]``."""
    sent = np.zeros(len(simulation.target))
    steps, neurons = simulation.spikes.T
    sent[steps] = weight_N[neurons]
    return sent


def _positive(x: Array) -> Array:
    return np.maximum(x, 0)


def _negative(x: Array) -> Array:
    return np.minimum(x, 0)
