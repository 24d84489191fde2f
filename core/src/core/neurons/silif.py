"""The SiLIF paper's neurons: leaky integration with the parametrisations of state space models.

Time steps are trained in logarithm and nothing is clamped that the exponentials keep stable. All
share the delayed soft reset of :mod:`core.neurons.adaptive`: the spike of step ``t - 1`` acts on
step ``t``. A complex membrane ``u + i v`` is two real fields. Source: Fabre, Dudchenko, Neftci,
"Structured State Space Model Dynamics and Parametrization for Spiking Neural Networks", arXiv
2506.06374, and the authors' code.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from core.neurons.adaptive import AdaptiveCoefficients, adaptive_step
from core.neurons.base import Uniform
from core.neurons.initial import Initial, RandomStart
from core.neurons.leaky import AdaptiveState
from core.neurons.resonate import Oscillation
from core.surrogates import Surrogate, boxcar


class SiLIF(RandomStart):
    r"""Adaptive leaky integrate-and-fire with log-decays and a trained step.

    The trained ``alpha``, ``beta`` (rates in 1/s) and ``dt`` (step in s) are logarithms:

        alpha_t = exp(-exp(alpha) exp(dt)),   beta_t = exp(-exp(beta) exp(dt))
        w_t = beta_t w_{t-1} + a u_{t-1} + b s_{t-1}
        u_t = alpha_t (u_{t-1} - s_{t-1}) + (1 - alpha_t) (I_t - w_t)      (new w)
        s_t = Theta(u_t - 1)

    with ``a`` clamped to ``[0, 1]`` and ``b`` to ``[0, 2]`` in the forward. Every neuron starts at
    a step of 4 ms, whatever the width of the bins.

    Args:
        size: ``N``.
        initial: ``uniform`` draws the state from ``U[0, 1)`` in every forward (potential,
            adaptation, spike), ``zero`` starts at rest.
        surrogate: Spike function.
    """

    State = AdaptiveState
    draw_order = (("potential",), ("adaptation",), ("spike",))

    def __init__(
        self, size: int, *, initial: Initial = "zero", surrogate: Surrogate = boxcar
    ) -> None:
        super().__init__(size, initial=initial)
        self.alpha: Tensor
        self.beta: Tensor
        self.a: Tensor
        self.b: Tensor
        self.dt = nn.Parameter(torch.full((size,), math.log(0.004)))
        self.add_coefficient("alpha", Uniform(math.log(10.0), math.log(250.0)))
        self.add_coefficient("beta", Uniform(math.log(2.5), math.log(10.0)))
        self.add_coefficient("a", Uniform(0.0, 1.0))
        self.add_coefficient("b", Uniform(0.0, 2.0))
        self.surrogate = surrogate

    def coefficients(self) -> AdaptiveCoefficients:
        """Decays per step and couplings in their intervals."""
        step = torch.exp(self.dt)
        return AdaptiveCoefficients(
            alpha=torch.exp(-torch.exp(self.alpha) * step),
            beta=torch.exp(-torch.exp(self.beta) * step),
            a=torch.clamp(self.a, 0.0, 1.0),
            b=torch.clamp(self.b, 0.0, 2.0),
        )

    def step(
        self, coefficients: AdaptiveCoefficients, state: AdaptiveState, current: Tensor
    ) -> tuple[AdaptiveState, Tensor]:
        """The equations of the class."""
        return adaptive_step(coefficients, state, current, 1.0, self.surrogate)


class CSiLIF(RandomStart):
    r"""Complex SiLIF: one mode of a diagonal state space model that spikes.

        alpha_c = exp(exp(log_dt) (-exp(log_log_alpha) + i alpha_img))
        u_t = alpha_c (u_{t-1} - 0.5 s_{t-1}) + b I_t          (u complex; I, b, s real)
        s_t = Theta(2 Re u_t - threshold)

    ``2 Re u`` adds the mode and its conjugate, hence the half in the reset. The state holds the
    parts of the complex ``u`` as ``u`` and ``v``. ``|alpha_c| < 1`` for all parameters.

    Args:
        size: ``N``.
        threshold: Where it spikes.
        dt_min: Smallest initial step; ``log_dt`` starts uniform between both logarithms.
        dt_max: Largest initial step.
        initial: ``uniform`` draws the state from ``U[0, 1)`` in every forward (both parts of the
            membrane, then the spike), ``zero`` starts at rest.
        surrogate: Spike function.

    Raises:
        ValueError: Unless ``0 < dt_min <= dt_max``.
    """

    State = Oscillation
    draw_order = (("u", "v"), ("spike",))

    def __init__(
        self,
        size: int,
        *,
        threshold: float = 1.0,
        dt_min: float = 0.01,
        dt_max: float = 0.5,
        initial: Initial = "zero",
        surrogate: Surrogate = boxcar,
    ) -> None:
        super().__init__(size, initial=initial)
        if not 0.0 < dt_min <= dt_max:
            raise ValueError(f"dt_min and dt_max must satisfy 0 < {dt_min} <= {dt_max}")
        self.b: Tensor
        self.log_log_alpha = nn.Parameter(torch.full((size,), math.log(0.5)))
        low, high = math.log(dt_min), math.log(dt_max)
        # Not U(low, high): the authors' code rounds in this order, and so a seed gives its values.
        self.log_dt = nn.Parameter(torch.rand(size) * (high - low) + low)
        self.alpha_img = nn.Parameter(torch.full((size,), math.pi))
        self.add_coefficient("b", Uniform(0.0, 1.0))
        self.threshold = threshold
        self.surrogate = surrogate

    class Coefficients(NamedTuple):
        """Real and imaginary part of ``alpha_c``, and the input gain ``b``, each ``[N]``."""

        real: Tensor
        imaginary: Tensor
        b: Tensor

    def coefficients(self) -> Coefficients:
        """``alpha_c`` of a whole step."""
        dt = torch.exp(self.log_dt)
        modulus = torch.exp(-torch.exp(self.log_log_alpha) * dt)
        angle = self.alpha_img * dt
        return self.Coefficients(modulus * torch.cos(angle), modulus * torch.sin(angle), self.b)

    def step(
        self, coefficients: Coefficients, state: Oscillation, current: Tensor
    ) -> tuple[Oscillation, Tensor]:
        """The equations of the class, in real arithmetic."""
        real, imaginary, b = coefficients
        reset = state.u - 0.5 * state.spike
        u = real * reset - imaginary * state.v + b * current
        v = real * state.v + imaginary * reset
        spike = self.surrogate(2.0 * u - self.threshold)
        return Oscillation(spike, u, v), spike


class SoftResetRF(RandomStart):
    r"""The SiLIF paper's resonate-and-fire baseline (its ``ResonateFire``).

        u_t = u + 0.004 (lambda u + I_t) - s_{t-1}             (u complex; I, s real)
        s_t = Theta(Re u_t - 1)

    with ``lambda = min(alpha_real, -0.1) + i alpha_im``. Unlike :class:`core.neurons.RF` it has a
    reset, which takes 1 off the real part, and its step is fixed at 4 ms.

    Args:
        size: ``N``.
        initial: ``uniform`` draws the state from ``U[0, 1)`` in every forward (both parts of the
            membrane, then the spike), ``zero`` starts at rest.
        surrogate: Spike function.
    """

    State = Oscillation
    DT = 0.004
    draw_order = (("u", "v"), ("spike",))

    def __init__(
        self, size: int, *, initial: Initial = "zero", surrogate: Surrogate = boxcar
    ) -> None:
        super().__init__(size, initial=initial)
        self.alpha_real: Tensor
        self.alpha_im: Tensor
        self.add_coefficient("alpha_real", Uniform(-10.0, -1.0))
        self.add_coefficient("alpha_im", Uniform(5.0, 10.0))
        self.surrogate = surrogate

    class Coefficients(NamedTuple):
        """Damping and angular frequency, in 1/s and rad/s, each ``[N]``."""

        damping: Tensor
        omega: Tensor

    def coefficients(self) -> Coefficients:
        """The parts of ``lambda``."""
        return self.Coefficients(torch.clamp(self.alpha_real, max=-0.1), self.alpha_im)

    def step(
        self, coefficients: Coefficients, state: Oscillation, current: Tensor
    ) -> tuple[Oscillation, Tensor]:
        """The equations of the class, in real arithmetic."""
        damping, omega = coefficients
        u = state.u + self.DT * (damping * state.u - omega * state.v + current) - state.spike
        v = state.v + self.DT * (damping * state.v + omega * state.u)
        spike = self.surrogate(u - 1.0)
        return Oscillation(spike, u, v), spike

    @torch.no_grad()
    def divergence_hint(self) -> str | None:
        """Neurons whose oscillation grows by itself: ``|1 + 0.004 lambda| > 1``."""
        damping, omega = self.coefficients()
        growth = torch.sqrt((1.0 + damping * self.DT) ** 2 + (omega * self.DT) ** 2)
        growing = int((growth > 1.0).sum())
        if growing == 0:
            return None
        return (
            f"{growing} of {self.size} neurons oscillate with growing amplitude (alpha_im up to "
            f"{float(omega.abs().max()):.1f} rad/s); lower alpha_im or alpha_real"
        )
