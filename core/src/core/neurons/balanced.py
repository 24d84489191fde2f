"""The cell of balanced spiking networks: thresholds per neuron, reset modes, one spike at a time.

Its slow current comes from the spike trace: ``scan(..., pathways={"trace": V_slow})``. With a fixed
recurrent weight that keeps its diagonal, the diagonal is the reset and ``reset="none"``.
Weights and thresholds from balance theory are the caller's. Source: "Balanced and Efficient Spiking
Neural Networks" (RWTH-IDS), the authors' code.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from core.neurons.base import Neuron, Uniform
from core.neurons.competition import winner_takes_all
from core.surrogates import boxcar

Firing = Literal["multi", "single_published", "single_intended"]
Reset = Literal["spike", "voltage", "threshold", "none"]


def alpha_limits(repeat: int) -> tuple[float, float]:
    """``exp(-1 / (1900 R))`` and ``exp(-1 / (2100 R))`` for ``R`` steps per step of the data.

    ``alpha`` in between is ``exp(-1 / (2000 R))``: 2 s at the cue task's 1 ms.
    """
    return math.exp(-1.0 / (1900.0 * repeat)), math.exp(-1.0 / (2100.0 * repeat))


class TracedState(NamedTuple):
    """Last spike, membrane potential and filtered spikes, each ``[B, N]``."""

    spike: Tensor
    potential: Tensor
    trace: Tensor


class BalancedLIF(Neuron):
    r"""Leaky integrate-and-fire with a threshold per neuron and a trace of its spikes.

        u_t = alpha (u_{t-1} - reset) + (1 - alpha) I_t
        s_t = 1 if u_t > threshold (strictly) else 0
        r_t = alpha r_{t-1} + s_t

    where ``reset`` is ``s_{t-1}`` ("spike"), ``s_{t-1} u_{t-1}`` ("voltage"), ``s_{t-1} threshold``
    ("threshold") or nothing ("none"). All states start at zero; nothing is detached. Gradient of
    the spike: :data:`core.surrogates.boxcar`.

    A trained ``alpha`` is clamped to :func:`alpha_limits` in the forward, an interval narrower
    than one step of most optimisers: outside it acts at the bound and gets no gradient. A fixed
    one is taken as it is.

    Args:
        size: ``N``.
        alpha: Factor per step, a number or ``[N]``; None draws it uniformly within the limits.
        train_alpha: A parameter rather than a buffer.
        threshold: A number or ``[N]``; a buffer without gradient.
        repeat: ``R``, simulation steps per step of the data.
        reset: Which of the four.
        firing: ``multi``: whoever is above its threshold; ``single_published``,
            ``single_intended``: at most one neuron per layer and step, see
            :func:`winner_takes_all` for the two gradients.

    Raises:
        ValueError: For shapes that do not fit, or a name that is none of these.
    """

    State = TracedState

    def __init__(
        self,
        size: int,
        *,
        alpha: float | Tensor | None = None,
        train_alpha: bool = True,
        threshold: float | Tensor = 1.0,
        repeat: int = 1,
        reset: Reset = "spike",
        firing: Firing = "multi",
    ) -> None:
        super().__init__(size)
        if reset not in ("spike", "voltage", "threshold", "none"):
            raise ValueError(f"reset is spike, voltage, threshold or none, not {reset!r}")
        if firing not in ("multi", "single_published", "single_intended"):
            raise ValueError(
                f"firing is multi, single_published or single_intended, not {firing!r}"
            )
        if repeat < 1:
            raise ValueError(f"repeat is at least 1, got {repeat}")
        self.limits = alpha_limits(repeat)
        start = Uniform(*self.limits).sample(size) if alpha is None else alpha
        self.alpha: Tensor
        self.threshold: Tensor
        if train_alpha:
            self.alpha = nn.Parameter(_per_neuron("alpha", start, size))
        else:
            self._register("alpha", start)
        self._register("threshold", threshold)
        self.reset = reset
        self.firing = firing
        self.across_layer = firing != "multi"

    def _register(self, name: str, value: float | Tensor) -> None:
        if isinstance(value, Tensor):
            self.register_buffer(name, _per_neuron(name, value, self.size))
        else:
            self.add_number(name, value, self.size)

    class Coefficients(NamedTuple):
        """``alpha`` and threshold, each ``[N]``."""

        alpha: Tensor
        threshold: Tensor

    def coefficients(self) -> Coefficients:
        """A trained ``alpha`` within its limits, a fixed one as it is; the thresholds."""
        trained = isinstance(self.alpha, nn.Parameter)
        alpha = torch.clamp(self.alpha, *self.limits) if trained else self.alpha
        return self.Coefficients(alpha, self.threshold)

    def step(
        self, coefficients: Coefficients, state: TracedState, current: Tensor
    ) -> tuple[TracedState, Tensor]:
        """The equations of the class."""
        alpha, threshold = coefficients
        kept = state.potential
        if self.reset == "spike":
            kept = kept - state.spike
        elif self.reset == "voltage":
            kept = kept - state.spike * state.potential
        elif self.reset == "threshold":
            kept = kept - state.spike * threshold
        potential = alpha * kept + (1.0 - alpha) * current
        if self.firing == "multi":
            spike = boxcar(potential - threshold)
        else:
            published = self.firing == "single_published"
            spike = winner_takes_all(potential, threshold, published=published)
        return TracedState(spike, potential, alpha * state.trace + spike), spike


def _per_neuron(name: str, value: float | Tensor, size: int) -> Tensor:
    if not isinstance(value, Tensor):
        return torch.full((size,), float(value))
    if value.shape != (size,):
        raise ValueError(f"{name} has shape {tuple(value.shape)}, expected [{size}]")
    return value.detach().clone()
