"""Leaky integrators: LI (a readout that does not spike), LIF and ALIF.

All use the exact decay ``alpha = exp(-1 / |tau|)``, tau in time steps, and a soft reset.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from core.neurons.base import Init, Neuron, Normal, Potential
from core.neurons.decay import Decay, keep_factor
from core.surrogates import Surrogate, double_gaussian, linear


class LI(Neuron):
    r"""Leaky integrator, the readout of every BRF network.

        u_t = alpha u_{t-1} + (1 - alpha) I_t

    Its output is the potential ``u_t``.

    Args:
        size: ``N``.
        tau_mem: Time constant in steps (a free parameter for ``decay="sigmoid"``).
        decay: How alpha follows from it, see :func:`core.neurons.decay.keep_factor`.
        fraction_bits: Quantise alpha to this many binary places (bit-precision study).
    """

    State = Potential
    spiking = False

    def __init__(
        self,
        size: int,
        *,
        tau_mem: Init = Normal(20.0, 5.0),
        decay: Decay = "exponential",
        fraction_bits: int | None = None,
    ) -> None:
        super().__init__(size)
        self.tau_mem: Tensor
        self.add_coefficient("tau_mem", tau_mem)
        self.decay: Decay = decay
        self.fraction_bits = fraction_bits

    class Coefficients(NamedTuple):
        """``alpha`` ``[N]``."""

        alpha: Tensor

    def coefficients(self) -> Coefficients:
        """Keep factor per step."""
        return self.Coefficients(keep_factor(self.tau_mem, self.decay, self.fraction_bits))

    def step(
        self, coefficients: Coefficients, state: Potential, current: Tensor
    ) -> tuple[Potential, Tensor]:
        """``u = alpha u + (1 - alpha) I``; returns ``u`` as the output."""
        (alpha,) = coefficients
        potential = alpha * state.potential + (1.0 - alpha) * current
        return Potential(potential), potential


class SpikeAndPotential(NamedTuple):
    """Last spike and membrane potential, each ``[B, N]``."""

    spike: Tensor
    potential: Tensor


class LIF(Neuron):
    r"""Leaky integrate-and-fire with a soft reset in the same step.

        u'  = alpha u_{t-1} + (1 - alpha) I_t
        z_t = Theta(u' - 1)
        u_t = u' - z_t

    Args:
        size: ``N``.
        tau_mem: Membrane time constant in steps.
        decay: How alpha follows from it.
        surrogate: Spike function.
    """

    State = SpikeAndPotential

    def __init__(
        self,
        size: int,
        *,
        tau_mem: Init = Normal(20.0, 5.0),
        decay: Decay = "exponential",
        surrogate: Surrogate = linear,
    ) -> None:
        super().__init__(size)
        self.tau_mem: Tensor
        self.add_coefficient("tau_mem", tau_mem)
        self.decay: Decay = decay
        self.surrogate = surrogate

    class Coefficients(NamedTuple):
        """``alpha`` ``[N]``."""

        alpha: Tensor

    def coefficients(self) -> Coefficients:
        """Keep factor per step."""
        return self.Coefficients(keep_factor(self.tau_mem, self.decay))

    def step(
        self, coefficients: Coefficients, state: SpikeAndPotential, current: Tensor
    ) -> tuple[SpikeAndPotential, Tensor]:
        """The equations of the class."""
        (alpha,) = coefficients
        charged = alpha * state.potential + (1.0 - alpha) * current
        spike = self.surrogate(charged - 1.0)
        return SpikeAndPotential(spike, charged - spike), spike


class AdaptiveState(NamedTuple):
    """Last spike, membrane potential and adaptation, each ``[B, N]``."""

    spike: Tensor
    potential: Tensor
    adaptation: Tensor


class ALIF(Neuron):
    r"""Adaptive leaky integrate-and-fire (Yin, Corradi, Bohte 2021), the baseline of BRF.

        a_t = rho a_{t-1} + (1 - rho) z_{t-1}
        th  = 0.01 + 1.8 a_t
        u'  = alpha u_{t-1} + (1 - alpha) I_t
        z_t = Theta(u' - th)
        u_t = u' - z_t th

    with ``alpha = exp(-1/|tau_mem|)`` and ``rho = exp(-1/|tau_adp|)``. The gradient flows through
    the reset, both by the spike and by the threshold.

    Args:
        size: ``N``.
        tau_mem: Membrane time constant in steps.
        tau_adp: Adaptation time constant in steps.
        decay: How alpha and rho follow from them.
        fraction_bits: Quantise alpha and rho to this many binary places.
        surrogate: Spike function.
    """

    State = AdaptiveState
    BASE_THRESHOLD = 0.01
    ADAPTATION_STRENGTH = 1.8

    def __init__(
        self,
        size: int,
        *,
        tau_mem: Init = Normal(20.0, 5.0),
        tau_adp: Init = Normal(20.0, 5.0),
        decay: Decay = "exponential",
        fraction_bits: int | None = None,
        surrogate: Surrogate = double_gaussian,
    ) -> None:
        super().__init__(size)
        self.tau_mem: Tensor
        self.tau_adp: Tensor
        self.add_coefficient("tau_mem", tau_mem)
        self.add_coefficient("tau_adp", tau_adp)
        self.decay: Decay = decay
        self.fraction_bits = fraction_bits
        self.surrogate = surrogate

    class Coefficients(NamedTuple):
        """``alpha`` and ``rho``, each ``[N]``."""

        alpha: Tensor
        rho: Tensor

    def coefficients(self) -> Coefficients:
        """Keep factors of potential and adaptation."""
        return self.Coefficients(
            keep_factor(self.tau_mem, self.decay, self.fraction_bits),
            keep_factor(self.tau_adp, self.decay, self.fraction_bits),
        )

    def step(
        self, coefficients: Coefficients, state: AdaptiveState, current: Tensor
    ) -> tuple[AdaptiveState, Tensor]:
        """The equations of the class."""
        alpha, rho = coefficients
        adaptation = rho * state.adaptation + (1.0 - rho) * state.spike
        threshold = self.BASE_THRESHOLD + self.ADAPTATION_STRENGTH * adaptation
        charged = alpha * state.potential + (1.0 - alpha) * current
        spike = self.surrogate(charged - threshold)
        return AdaptiveState(spike, charged - spike * threshold, adaptation), spike
