"""Neurons of the surrogate-gradient baseline for speech commands, plain, adaptive and the readout.

Time constants are trained as the factor per step itself, kept inside an interval by a clamp in the
forward: a parameter outside its interval acts at the bound and gets no gradient. The reset is soft
and comes one step late: the spike of step ``t - 1`` takes 1 (not the threshold) off the potential
while step ``t`` is computed. Nothing is detached.

RLIF and RadLIF are these neurons with layer-wise recurrence: ``scan(..., recurrent_weight=V)``.
Source: Bittar, Garner, "A surrogate gradient spiking baseline for speech command recognition",
Frontiers in Neuroscience 2022, and the authors' code; cAdLIF: Deckers et al., Frontiers in
Neuroscience 2024, with the bounds of the SiLIF paper's code.
"""

from __future__ import annotations

import math
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from core.neurons.base import Potential, Uniform
from core.neurons.initial import Initial, RandomStart
from core.neurons.leaky import AdaptiveState, SpikeAndPotential
from core.surrogates import Surrogate, boxcar

Bounds = tuple[float, float]

ALPHA: Bounds = (math.exp(-1 / 5), math.exp(-1 / 25))


class Bounded(RandomStart):
    """Trainable ``[N]`` tensors, each drawn uniformly from the interval it is clamped to."""

    BOUNDS: ClassVar[dict[str, Bounds]]
    """Name of the tensor -> interval, in the order in which they are drawn."""

    def __init__(self, size: int, *, initial: Initial) -> None:
        super().__init__(size, initial=initial)
        for name, (low, high) in self.BOUNDS.items():
            self.add_coefficient(name, Uniform(low, high))

    def clamped(self, name: str) -> Tensor:
        """A tensor of :attr:`BOUNDS` in its interval; the gradient at a bound is that inside."""
        low, high = self.BOUNDS[name]
        return torch.clamp(getattr(self, name), low, high)


class DecayCoefficient(NamedTuple):
    """Decay of the potential, ``[N]``."""

    alpha: Tensor


class BoundedLI(Bounded):
    r"""Leaky integrator with a bounded decay: the readout of the baseline's networks.

        u_t = alpha u_{t-1} + (1 - alpha) I_t

    with ``alpha`` clamped to ``[exp(-1/5), exp(-1/25)]``. Its output is the potential ``u_t``.

    Args:
        size: ``N``.
        initial: ``uniform`` draws the potential from ``U[0, 1)`` in every forward, ``zero`` starts
            at rest.
    """

    State = Potential
    spiking = False
    BOUNDS: ClassVar[dict[str, Bounds]] = {"alpha": ALPHA}
    draw_order = (("potential",),)

    def __init__(self, size: int, *, initial: Initial = "zero") -> None:
        self.alpha: Tensor
        super().__init__(size, initial=initial)

    def coefficients(self) -> DecayCoefficient:
        """The decay in its interval."""
        return DecayCoefficient(self.clamped("alpha"))

    def step(
        self, coefficients: DecayCoefficient, state: Potential, current: Tensor
    ) -> tuple[Potential, Tensor]:
        """``u = alpha u + (1 - alpha) I``; returns ``u`` as the output."""
        (alpha,) = coefficients
        potential = alpha * state.potential + (1.0 - alpha) * current
        return Potential(potential), potential


class BoundedLIF(Bounded):
    r"""Leaky integrate-and-fire with a bounded decay and a delayed soft reset.

        u_t = alpha (u_{t-1} - s_{t-1}) + (1 - alpha) I_t
        s_t = Theta(u_t - threshold)

    with ``alpha`` clamped to ``[exp(-1/5), exp(-1/25)]``.

    Args:
        size: ``N``.
        threshold: Where it spikes; what a spike subtracts is 1 whatever the threshold.
        initial: ``uniform`` draws the state from ``U[0, 1)`` in every forward (potential, then
            spike), ``zero`` starts at rest.
        surrogate: Spike function.
    """

    State = SpikeAndPotential
    BOUNDS: ClassVar[dict[str, Bounds]] = {"alpha": ALPHA}
    draw_order = (("potential",), ("spike",))

    def __init__(
        self,
        size: int,
        *,
        threshold: float = 1.0,
        initial: Initial = "zero",
        surrogate: Surrogate = boxcar,
    ) -> None:
        self.alpha: Tensor
        super().__init__(size, initial=initial)
        self.threshold = threshold
        self.surrogate = surrogate

    def coefficients(self) -> DecayCoefficient:
        """The decay in its interval."""
        return DecayCoefficient(self.clamped("alpha"))

    def step(
        self, coefficients: DecayCoefficient, state: SpikeAndPotential, current: Tensor
    ) -> tuple[SpikeAndPotential, Tensor]:
        """The equations of the class."""
        (alpha,) = coefficients
        potential = alpha * (state.potential - state.spike) + (1.0 - alpha) * current
        spike = self.surrogate(potential - self.threshold)
        return SpikeAndPotential(spike, potential), spike


class AdaptiveCoefficients(NamedTuple):
    """Decay of potential and adaptation, coupling of potential and spike, each ``[N]``."""

    alpha: Tensor
    beta: Tensor
    a: Tensor
    b: Tensor


class AdLIF(Bounded):
    r"""Adaptive leaky integrate-and-fire: the potential and the spikes feed a slow variable.

        w_t = beta w_{t-1} + a u_{t-1} + b s_{t-1}
        u_t = alpha (u_{t-1} - s_{t-1}) + (1 - alpha) (I_t - w_t)      (new w)
        s_t = Theta(u_t - threshold)

    with ``alpha`` clamped to ``[exp(-1/5), exp(-1/25)]``, ``beta`` to ``[exp(-1/30),
    exp(-1/120)]``, ``a`` to ``[-1, 1]`` and ``b`` to ``[0, 2]``. There is no factor ``1 - beta``.

    Args:
        size: ``N``.
        threshold: Where it spikes; what a spike subtracts is 1 whatever the threshold.
        initial: ``uniform`` draws the state from ``U[0, 1)`` in every forward (potential,
            adaptation, spike), ``zero`` starts at rest.
        surrogate: Spike function.
    """

    State = AdaptiveState
    BOUNDS: ClassVar[dict[str, Bounds]] = {
        "alpha": ALPHA,
        "beta": (math.exp(-1 / 30), math.exp(-1 / 120)),
        "a": (-1.0, 1.0),
        "b": (0.0, 2.0),
    }
    draw_order = (("potential",), ("adaptation",), ("spike",))

    def __init__(
        self,
        size: int,
        *,
        threshold: float = 1.0,
        initial: Initial = "zero",
        surrogate: Surrogate = boxcar,
    ) -> None:
        self.alpha: Tensor
        self.beta: Tensor
        self.a: Tensor
        self.b: Tensor
        super().__init__(size, initial=initial)
        self.threshold = threshold
        self.surrogate = surrogate

    def coefficients(self) -> AdaptiveCoefficients:
        """The four tensors in their intervals."""
        return AdaptiveCoefficients(*[self.clamped(name) for name in self.BOUNDS])

    def step(
        self, coefficients: AdaptiveCoefficients, state: AdaptiveState, current: Tensor
    ) -> tuple[AdaptiveState, Tensor]:
        """The equations of the class."""
        return adaptive_step(coefficients, state, current, self.threshold, self.surrogate)

    @torch.no_grad()
    def divergence_hint(self) -> str | None:
        """Neurons without a stable rest: below ``a = beta - 1`` adaptation feeds the potential."""
        coefficients = self.coefficients()
        growing = int((coefficients.a < coefficients.beta - 1.0).sum())
        if growing == 0:
            return None
        return (
            f"in {growing} of {self.size} neurons a < beta - 1 (a down to "
            f"{float(coefficients.a.min()):.2f}): their adaptation drives the potential away from "
            "rest; use CAdLIF, whose a is never negative"
        )


class CAdLIF(AdLIF):
    r"""Constrained :class:`AdLIF`: the same equations, stable by its bounds.

    ``alpha`` in ``[0.36, 0.96]``, ``beta`` in ``[0.96, 0.99]``, ``a`` in ``[0, 1]``, ``b`` in
    ``[0, 2]``.
    """

    BOUNDS: ClassVar[dict[str, Bounds]] = {
        "alpha": (0.36, 0.96),
        "beta": (0.96, 0.99),
        "a": (0.0, 1.0),
        "b": (0.0, 2.0),
    }


def adaptive_step(
    coefficients: AdaptiveCoefficients,
    state: AdaptiveState,
    current: Tensor,
    threshold: float,
    surrogate: Surrogate,
) -> tuple[AdaptiveState, Tensor]:
    """One step of :class:`AdLIF`'s equations, which SiLIF shares."""
    alpha, beta, a, b = coefficients
    adaptation = beta * state.adaptation + a * state.potential + b * state.spike
    reset = state.potential - state.spike
    potential = alpha * reset + (1.0 - alpha) * (current - adaptation)
    spike = surrogate(potential - threshold)
    return AdaptiveState(spike, potential, adaptation), spike
