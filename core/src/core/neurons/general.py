"""Leaky integrate-and-fire with every convention as an argument, for given or synaptic currents.

Libraries agree on the equation and differ in its discretisation: when the reset acts and what it
does, whether the threshold itself spikes, what scales the input. ``core/CONVENTIONS.md`` has their
recursions, :mod:`core.conventions` finds the arguments that say them.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from core.neurons.base import Neuron
from core.neurons.leaky import SpikeAndPotential
from core.surrogates import Surrogate, linear

Timing = Literal["at_once", "before_decay", "after_decay"]
Reset = float | Tensor | Literal["threshold", "none"]


class Membrane(NamedTuple):
    """What a step reads, each ``[N]`` or 0-d."""

    decay: Tensor
    gain: Tensor
    rest: Tensor
    threshold: Tensor
    reset_potential: Tensor


class GeneralLIF(Neuron):
    r"""Leaky integrate-and-fire, its conventions as arguments.

    With ``R(u, z) = u - z threshold`` or ``(1 - z) u + z reset``, ``d`` the decay clamped to
    ``[0, 1]`` and ``g`` the gain of the input:

        at_once        c_t = rest + d (u_{t-1} - rest) + g I_t
                       z_t = Theta(c_t - threshold);  u_t = R(c_t, z_t)
        before_decay   u_t = rest + d (R(u_{t-1}, z_{t-1}) - rest) + g I_t
        after_decay    u_t = R(rest + d (u_{t-1} - rest) + g I_t, z_{t-1})
                       z_t = Theta(u_t - threshold)    (of both)

    The potential starts at ``rest``. ``at_once`` and ``before_decay`` give equal spikes for a given
    current; what differs is the potential that is seen, after the reset or before it.

    A coefficient is a number, a tensor ``[N]`` or 0-d, which stays fixed, or an ``nn.Parameter`` of
    these shapes, which is trained; tensors are copied.

    Args:
        size: ``N``.
        decay: ``d``, the share of the potential that is left after a step.
        gain: ``g``; None for ``1 - d``.
        rest: Where the potential decays to.
        threshold: Where it spikes; at equality where ``surrogate.at_zero`` is 1.
        reset: The potential after a spike, or ``"threshold"`` to subtract it, or ``"none"``.
        timing: When the reset acts.
        detach_reset: Keep the gradient out of the spike in the reset.
        surrogate: Spike function.

    Raises:
        ValueError: For a coefficient of another shape, or a name that is none of these.
    """

    State: type[Any] = SpikeAndPotential

    def __init__(
        self,
        size: int,
        *,
        decay: float | Tensor = 0.9,
        gain: float | Tensor | None = None,
        rest: float | Tensor = 0.0,
        threshold: float | Tensor = 1.0,
        reset: Reset = "threshold",
        timing: Timing = "at_once",
        detach_reset: bool = False,
        surrogate: Surrogate = linear,
    ) -> None:
        super().__init__(size)
        if timing not in ("at_once", "before_decay", "after_decay"):
            raise ValueError(f"timing is at_once, before_decay or after_decay, not {timing!r}")
        if isinstance(reset, str) and reset not in ("threshold", "none"):
            raise ValueError(f"reset is a potential, threshold or none, not {reset!r}")
        self.reset = reset if isinstance(reset, str) else "potential"
        self.timing = timing
        self.detach_reset = detach_reset
        self.surrogate = surrogate
        self.scales_by_decay = gain is None
        self.rests_at_zero = not isinstance(rest, Tensor) and float(rest) == 0.0
        self._add("decay", decay)
        self._add("gain", 0.0 if gain is None else gain)
        self._add("rest", rest)
        self._add("threshold", threshold)
        self._add("reset_potential", 0.0 if isinstance(reset, str) else reset)

    decay: Tensor
    gain: Tensor
    rest: Tensor
    threshold: Tensor
    reset_potential: Tensor

    def _add(self, name: str, value: float | Tensor) -> None:
        if not isinstance(value, Tensor):
            self.add_number(name, value)
            return
        if value.shape not in ((), (self.size,)):
            raise ValueError(f"{name} has shape {tuple(value.shape)}, expected [{self.size}] or []")
        copy = value.detach().clone()
        if isinstance(value, nn.Parameter):
            self.register_parameter(name, nn.Parameter(copy, value.requires_grad))
        else:
            self.register_buffer(name, copy)

    def coefficients(self) -> Any:
        """The decay in its interval, and what scales the input."""
        decay = torch.clamp(self.decay, 0.0, 1.0)
        gain = 1.0 - decay if self.scales_by_decay else self.gain
        return Membrane(decay, gain, self.rest, self.threshold, self.reset_potential)

    def initial_state(self, batch: int, generator: torch.Generator | None = None) -> Any:
        """No spike, and the potential at rest; see :meth:`Neuron.initial_state`."""
        zero = super().initial_state(batch, generator)
        return zero._replace(potential=zero.potential + self.rest.detach())

    def step(
        self, coefficients: Any, state: SpikeAndPotential, current: Tensor
    ) -> tuple[Any, Tensor]:
        """The equations of the class."""
        spike, potential = self.fire(coefficients, state.spike, state.potential, current)
        return SpikeAndPotential(spike, potential), spike

    def fire(
        self, coefficients: Any, spike: Tensor, potential: Tensor, current: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Spike and potential of a step from those before, for a current that is still to scale."""
        decay, gain, rest, threshold, _ = coefficients[:5]
        if self.timing == "before_decay":
            potential = self._after(coefficients, potential, spike)
        if self.rests_at_zero:
            charged = decay * potential + gain * current
        else:
            charged = rest + decay * (potential - rest) + gain * current
        if self.timing == "after_decay":
            charged = self._after(coefficients, charged, spike)
        new = self.surrogate(charged - threshold)
        return new, self._after(coefficients, charged, new) if self.timing == "at_once" else charged

    def _after(self, coefficients: Any, potential: Tensor, spike: Tensor) -> Tensor:
        """The potential after the reset."""
        if self.reset == "none":
            return potential
        spike = spike.detach() if self.detach_reset else spike
        if self.reset == "threshold":
            return potential - spike * coefficients.threshold
        return (1.0 - spike) * potential + spike * coefficients.reset_potential


class SynapticState(NamedTuple):
    """Last spike, membrane potential and synaptic current, each ``[B, N]``."""

    spike: Tensor
    potential: Tensor
    synapse: Tensor


class Synaptic(NamedTuple):
    """What a step with a synapse reads, each ``[N]`` or 0-d."""

    decay: Tensor
    gain: Tensor
    rest: Tensor
    threshold: Tensor
    reset_potential: Tensor
    synapse_decay: Tensor
    synapse_gain: Tensor


class CubaLIF(GeneralLIF):
    r""":class:`GeneralLIF` behind a synapse that decays by itself (current-based, "CuBa").

        i_t = d_syn i_{t-1} + g_syn I_t

    with ``d_syn`` clamped to ``[0, 1]``; ``i_t``, with this step's input, takes the place of
    ``I_t`` in the equations there.

    Args:
        size: ``N``.
        synapse_decay: ``d_syn``, as all coefficients there.
        synapse_gain: ``g_syn``.
        arguments: Those of :class:`GeneralLIF`.
    """

    State = SynapticState

    def __init__(
        self,
        size: int,
        *,
        synapse_decay: float | Tensor = 0.8,
        synapse_gain: float | Tensor = 1.0,
        **arguments: Any,
    ) -> None:
        super().__init__(size, **arguments)
        self._add("synapse_decay", synapse_decay)
        self._add("synapse_gain", synapse_gain)

    synapse_decay: Tensor
    synapse_gain: Tensor

    def coefficients(self) -> Any:
        """Those of the membrane and of the synapse."""
        decay = torch.clamp(self.synapse_decay, 0.0, 1.0)
        membrane: Membrane = super().coefficients()
        return Synaptic(*membrane, synapse_decay=decay, synapse_gain=self.synapse_gain)

    def step(self, coefficients: Any, state: Any, current: Tensor) -> tuple[Any, Tensor]:
        """The equations of the class."""
        synapse = coefficients.synapse_decay * state.synapse + coefficients.synapse_gain * current
        spike, potential = self.fire(coefficients, state.spike, state.potential, synapse)
        return SynapticState(spike, potential, synapse), spike
