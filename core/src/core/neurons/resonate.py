"""Resonate-and-fire neurons: a damped oscillation whose real part makes spikes.

``u`` and ``v`` are the real and imaginary part of a complex membrane, ``omega`` its angular
frequency in rad/s, ``b < 0`` its damping in 1/s, ``dt`` the duration of a step in seconds. Signs of
the parameters are removed in the forward pass (published checkpoints hold negative ones).
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from core.neurons.base import Init, Neuron, Uniform
from core.surrogates import Surrogate, double_gaussian

BOUNDARY_STEP = 0.01
"""Step in seconds at which the divergence boundary is taken, whatever ``dt`` the neuron has."""


def divergence_boundary(omega: Tensor, dt: float = BOUNDARY_STEP) -> Tensor:
    r"""``p(omega) = (-1 + sqrt(1 - (dt omega)^2)) / dt``, in 1/s.

    Below this damping the explicit Euler step of the oscillator does not grow (BRF paper, section
    3; arXiv 2406.00389). NaN for ``dt omega > 1``: no damping keeps such a frequency stable.
    """
    return (-1.0 + torch.sqrt(1.0 - (dt * omega) ** 2)) / dt


class Resonator(Neuron):
    """What the neurons of this file share: their two coefficients, step and spike function."""

    def __init__(
        self, size: int, *, omega: Init, b_offset: Init, dt: float, surrogate: Surrogate
    ) -> None:
        super().__init__(size)
        self.omega: Tensor
        self.b_offset: Tensor
        self.add_coefficient("omega", omega)
        self.add_coefficient("b_offset", b_offset)
        self.dt = dt
        self.surrogate = surrogate


class Oscillation(NamedTuple):
    """Last spike, real and imaginary part of the membrane, each ``[B, N]``."""

    spike: Tensor
    u: Tensor
    v: Tensor


class RF(Resonator):
    r"""Vanilla resonate-and-fire, without any reset.

    With ``w = |omega|`` and ``b = -|b_offset|``:

        u_t = u + b u dt - w v dt + I dt
        v_t = v + w u dt + b v dt              (old u)
        z_t = Theta(u_t - 1)

    ``decay="linear"`` replaces ``b u dt`` and ``b v dt`` by ``-b dt``, which is the linear-decay
    extension of the seed repository as its code has it: a constant increment ``+|b_offset| dt``.

    Args:
        size: ``N``.
        omega: Angular frequency in rad/s.
        b_offset: Damping offset in 1/s.
        dt: Step in seconds.
        decay: ``exponential`` (the paper) or ``linear``.
        surrogate: Spike function.
    """

    State: type[Any] = Oscillation

    def __init__(
        self,
        size: int,
        *,
        omega: Init = Uniform(5.0, 10.0),
        b_offset: Init = Uniform(0.0, 1.0),
        dt: float = 0.01,
        decay: Literal["exponential", "linear"] = "exponential",
        surrogate: Surrogate = double_gaussian,
    ) -> None:
        super().__init__(size, omega=omega, b_offset=b_offset, dt=dt, surrogate=surrogate)
        self.decay = decay

    class Coefficients(NamedTuple):
        """Angular frequency and damping before any refractory part, each ``[N]``."""

        omega: Tensor
        damping: Tensor

    def coefficients(self) -> Coefficients:
        """``w = |omega|``, ``b = -|b_offset|``."""
        return self.Coefficients(self.omega.abs(), -self.b_offset.abs())

    @torch.no_grad()
    def divergence_hint(self) -> str | None:
        """Neurons whose oscillation grows by itself: ``|1 + (b + i w) dt| > 1``."""
        omega, damping = self.coefficients()
        growth = torch.sqrt((1.0 + damping * self.dt) ** 2 + (omega * self.dt) ** 2)
        # A neuron on the boundary may exceed 1 by rounding; a real one does so clearly. NaN (no
        # stable damping exists) compares false, so it is counted apart.
        growing = int((~(growth <= 1.001)).sum())
        if growing == 0:
            return None
        return (
            f"{growing} of {self.size} neurons oscillate with growing amplitude (omega up to "
            f"{float(omega.max()):.1f} rad/s); lower omega, raise b_offset, or use BRF, whose "
            "damping stays stable below 100 rad/s"
        )

    def oscillate(
        self, omega: Tensor, damping: Tensor, u: Tensor, v: Tensor, current: Tensor
    ) -> tuple[Tensor, Tensor]:
        """One Euler step of the damped oscillator, in the order in which the paper's code adds."""
        dt = self.dt
        damped_u = damping * u if self.decay == "exponential" else -damping
        damped_v = damping * v if self.decay == "exponential" else -damping
        new_u = u + damped_u * dt - omega * v * dt + current * dt
        new_v = v + omega * u * dt + damped_v * dt
        return new_u, new_v

    def step(
        self, coefficients: Coefficients, state: Oscillation, current: Tensor
    ) -> tuple[Oscillation, Tensor]:
        """The equations of the class."""
        omega, damping = coefficients
        u, v = self.oscillate(omega, damping, state.u, state.v, current)
        spike = self.surrogate(u - 1.0)
        return Oscillation(spike, u, v), spike


class RefractoryOscillation(NamedTuple):
    """Last spike, membrane (``u``, ``v``) and refractory variable ``q``, each ``[B, N]``."""

    spike: Tensor
    u: Tensor
    v: Tensor
    q: Tensor


class BRF(RF):
    r"""Balanced resonate-and-fire (Higuchi et al., ICML 2024, Algorithm 1).

    RF with a refractory variable ``q`` that raises the threshold and, as a smooth reset, the
    damping, and a damping that never leaves the stable region. With ``p`` the
    :func:`divergence_boundary`:

        b   = p(w) - |b_offset| - q_{t-1}
        u_t = u + b u dt - w v dt + I dt
        v_t = v + w u dt + b v dt              (old u)
        z_t = Theta(u_t - 1 - q_{t-1})
        q_t = 0.9 q_{t-1} + z_t

    The gradient flows through ``q`` into threshold and damping. The boundary is always that of
    0.01 s steps, also for another ``dt``, as in the authors' code.
    """

    State = RefractoryOscillation
    REFRACTORY_DECAY = 0.9

    def coefficients(self) -> RF.Coefficients:
        """``w = |omega|`` and the damping at rest, ``p(w) - |b_offset|``."""
        omega = self.omega.abs()
        return self.Coefficients(omega, divergence_boundary(omega) - self.b_offset.abs())

    def step(  # type: ignore[override]
        self, coefficients: RF.Coefficients, state: RefractoryOscillation, current: Tensor
    ) -> tuple[RefractoryOscillation, Tensor]:
        """The equations of the class."""
        omega, damping = coefficients
        u, v = self.oscillate(omega, damping - state.q, state.u, state.v, current)
        spike = self.surrogate(u - 1.0 - state.q)
        q = self.REFRACTORY_DECAY * state.q + spike
        return RefractoryOscillation(spike, u, v, q), spike


class HRF(Resonator):
    r"""Balanced harmonic resonate-and-fire (BHRF of the paper): a damped harmonic oscillator.

        b   = 0.005 w^2 + |b_offset| + q_{t-1}
        v_t = v + u dt
        u_t = u + I dt - b u (2 dt) - w^2 v_t dt     (new v)
        z_t = Theta(u_t - 1 - q_{t-1})
        q_t = 0.9 q_{t-1} + z_t

    Differs from the paper's Algorithm 2, which uses the old ``v`` and writes the damping with the
    other sign; the authors' code is as above.

    Args:
        size: ``N``.
        omega: Angular frequency in rad/s.
        b_offset: Damping offset in 1/s.
        dt: Step in seconds.
        surrogate: Spike function.
    """

    State = RefractoryOscillation

    def __init__(
        self,
        size: int,
        *,
        omega: Init = Uniform(10.0, 50.0),
        b_offset: Init = Uniform(1.0, 6.0),
        dt: float = 0.01,
        surrogate: Surrogate = double_gaussian,
    ) -> None:
        super().__init__(size, omega=omega, b_offset=b_offset, dt=dt, surrogate=surrogate)

    class Coefficients(NamedTuple):
        """Squared angular frequency and damping at rest, each ``[N]``."""

        omega_squared: Tensor
        damping: Tensor

    def coefficients(self) -> Coefficients:
        """``w^2`` and ``0.005 w^2 + |b_offset|``."""
        omega_squared = self.omega.abs() ** 2
        return self.Coefficients(omega_squared, 0.005 * omega_squared + self.b_offset.abs())

    def step(
        self, coefficients: Coefficients, state: RefractoryOscillation, current: Tensor
    ) -> tuple[RefractoryOscillation, Tensor]:
        """The equations of the class."""
        omega_squared, damping = coefficients
        dt = self.dt
        b = damping + state.q
        v = state.v + state.u * dt
        u = state.u + current * dt - b * state.u * (2.0 * dt) - omega_squared * v * dt
        spike = self.surrogate(u - 1.0 - state.q)
        q = BRF.REFRACTORY_DECAY * state.q + spike
        return RefractoryOscillation(spike, u, v, q), spike


class IzhikevichRF(RF):
    r"""Izhikevich's resonate-and-fire (2001) with its hard reset of the complex membrane.

    With the complex membrane ``m = u + i v`` and ``b = -|b_offset|``:

        m'  = m + m (b + i w) dt + I dt
        z_t = Theta(Im m' - 1)
        m_t = m' - m' z_t + i z_t

    The spike is read off the imaginary part, and a spike sets the membrane to ``i``.
    """

    def step(
        self, coefficients: RF.Coefficients, state: Oscillation, current: Tensor
    ) -> tuple[Oscillation, Tensor]:
        """The equations of the class, in real arithmetic."""
        omega, damping = coefficients
        u, v = self.oscillate(omega, damping, state.u, state.v, current)
        spike = self.surrogate(v - 1.0)
        return Oscillation(spike, u - u * spike, v - v * spike + spike), spike
