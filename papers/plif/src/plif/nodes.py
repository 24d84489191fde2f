"""LIF and PLIF nodes for networks of SpikingJelly, run over time by :func:`core.scan.scan`.

They are SpikingJelly's own classes, with the same arguments, parameters, states and results::

    from plif.nodes import LIFNode, ParametricLIFNode

in place of ``from spikingjelly.activation_based.neuron import ...``. On a CPU, in float32 and
float64 and with the surrogates ATan and Sigmoid, all time steps are one kernel per direction, with
one time constant per layer, channel or neuron alike. Everything else (a GPU, other types and
surrogates) runs as SpikingJelly runs it. :func:`functional.reset_net`, ``step_mode``, ``v``,
``store_v_seq`` and ``detach`` mean what they mean there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import torch
from spikingjelly.activation_based import neuron, surrogate
from torch import Tensor, nn

from core import surrogates
from core.neurons import PLIF, LogNormalTau
from core.neurons.leaky import SpikeAndPotential
from core.neurons.parametric import ATAN
from core.scan import scan
from core.surrogates import Surrogate

States: TypeAlias = tuple[Any, ...]

_KNOWN: dict[type, Surrogate] = {surrogate.ATan: ATAN, surrogate.Sigmoid: surrogates.sigmoid}


class LearnableATan(surrogate.SurrogateFunctionBase):
    r"""The ATan surrogate with a trained slope, which SpikingJelly 2 no longer has.

    ``dS/dx = (alpha / 2) / (1 + (pi alpha x / 2)^2)`` and
    ``dS/dalpha = sum of (x / 2) / (1 + (pi alpha x / 2)^2)``, spikes at ``x >= 0``; in evaluation
    too (the code of 2020 takes a step without a gradient there).

    Args:
        alpha: Initial slope, above 0; the parameter ``alpha``, 0-d.
    """

    def __init__(self, alpha: float = 2.0) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.tensor(float(alpha)))

    def forward(self, x: Tensor) -> Tensor:
        """Spikes of the distance ``x`` to the threshold, of any shape."""
        return ATAN(self.alpha * x)


class _Slope(NamedTuple):
    """A surrogate as the scan takes it."""

    function: Surrogate
    alpha: float | nn.Parameter


class _Scanned(neuron.BaseNode):
    """What both nodes share: the scan where it can, the parent class's way where not."""

    decay_input: bool

    def _coefficients(self) -> dict[str, Any]:
        """Arguments ``tau`` and ``train`` of :class:`core.neurons.PLIF`."""
        raise NotImplementedError

    def _slope(self) -> _Slope | None:
        """The surrogate, or None where the scan does not know it."""
        given = self.surrogate_function
        if isinstance(given, LearnableATan):
            return _Slope(ATAN, given.alpha)
        function = _KNOWN.get(type(given))
        alpha = getattr(given, "alpha", None)
        if function is None or not given.spiking or not isinstance(alpha, int | float):
            return None
        return _Slope(function, float(alpha)) if alpha > 0 else None

    def _scan(
        self, x_seq: Tensor, v: Tensor, record: bool = False
    ) -> tuple[Tensor, Tensor, Tensor | None] | None:
        """Spikes, last voltage and, if asked for, all voltages; None where there is no kernel."""
        slope = self._slope()
        known = x_seq.device.type == "cpu" and x_seq.dtype in (torch.float32, torch.float64)
        if slope is None or not known or self._neuron_precision is not None or not x_seq.numel():
            return None
        shape = x_seq.shape[2:] if x_seq.dim() > 2 else x_seq.shape[1:]
        neurons = self._neurons(tuple(shape) or (1,), x_seq.dtype, slope)
        x_TBN = x_seq.reshape(len(x_seq), -1, neurons.size)
        v_BN = v.reshape(x_TBN.shape[1:])
        before = SpikeAndPotential(v_BN.new_zeros(()).expand_as(v_BN), v_BN)
        fields = ("potential",) if record else ()
        spikes, after, traces = scan(neurons, x_TBN, state=before, record=fields)
        v_seq = traces["potential"].view_as(x_seq) if record else None
        return spikes.view_as(x_seq), after.potential.view_as(v), v_seq

    def materialize_states(self, inputs: tuple[Any, ...], states: States, step_mode: str) -> States:
        """As SpikingJelly, but a number on a CPU takes no memory: a scan reads it as it is."""
        x, v = inputs[0], states[0]
        known = isinstance(x, Tensor) and x.device.type == "cpu"
        if not known or not isinstance(v, float) or self._neuron_precision is not None:
            return super().materialize_states(inputs, states, step_mode)
        one = x[0] if step_mode == "m" else x
        return one.new_full((), v).expand(one.shape), *states[1:]

    def _neurons(self, shape: tuple[int, ...], dtype: torch.dtype, slope: _Slope) -> PLIF:
        """Core's neurons for samples of this shape, with the node's own parameters."""
        neurons = PLIF(
            shape,
            threshold=self.v_threshold,
            reset=self.v_reset,
            detach_reset=self.detach_reset,
            alpha=slope.alpha if isinstance(slope.alpha, float) else 1.0,
            train_alpha=isinstance(slope.alpha, nn.Parameter),
            decay_input=self.decay_input,
            surrogate=slope.function,
            **self._coefficients(),
        ).to(dtype)
        if isinstance(slope.alpha, nn.Parameter):
            neurons.surrogate_function.alpha = slope.alpha
        if "w" in self._parameters:
            neurons.w = self.w
        return neurons

    def single_step_functional_forward(
        self, inputs: tuple[Tensor, ...], states: States, **kwargs: object
    ) -> tuple[tuple[Tensor, ...], States]:
        """One step: ``(x,), (v,)`` to ``(spikes,), (v,)``."""
        found = self._scan(inputs[0][None], states[0])
        if found is None:
            return super().single_step_functional_forward(inputs, states, **kwargs)
        return (found[0][0],), (found[1], *states[1:])

    def multi_step_functional_forward(
        self, inputs: tuple[Tensor, ...], states: States, **kwargs: object
    ) -> tuple[tuple[Tensor, ...], States]:
        """All steps: ``(x_seq,), (v,)`` to ``(spikes,), (v,)``, ``x_seq`` ``[T, N, ...]``."""
        found = self._scan(inputs[0], states[0])
        if found is None:
            return super().multi_step_functional_forward(inputs, states, **kwargs)
        return (found[0],), (found[1], *states[1:])

    def multi_step_forward(self, x_seq: Tensor, *args: Any, **kwargs: Any) -> Any:
        """All steps, ``[T, N, ...]``; keeps ``v``, and ``v_seq`` where ``store_v_seq`` says so."""
        if not self.store_v_seq:
            return super().multi_step_forward(x_seq, *args, **kwargs)
        states = self.materialize_states((x_seq,), tuple(self._memories.values()), "m")
        found = self._scan(x_seq, states[0], record=True)
        if found is None:
            return super().multi_step_forward(x_seq, *args, **kwargs)
        spikes, self.v, self.v_seq = found
        return spikes


def _above_one(tau: float) -> float:
    """A membrane time constant, where SpikingJelly has an assertion."""
    if not tau > 1.0:
        raise ValueError(f"a membrane time constant must be above 1 step, got {tau}")
    return float(tau)


class LIFNode(_Scanned, neuron.LIFNode):
    """SpikingJelly's LIFNode; see there for the arguments.

    Raises:
        ValueError: A time constant of 1 or below.
    """

    def __init__(self, tau: float = 2.0, *arguments: Any, **keywords: Any) -> None:
        super().__init__(_above_one(tau), *arguments, **keywords)

    def _coefficients(self) -> dict[str, Any]:
        return {"tau": self.tau, "train": "nothing"}


class ParametricLIFNode(_Scanned, neuron.ParametricLIFNode):
    """SpikingJelly's ParametricLIFNode, with one time constant per layer, channel or neuron.

    Args:
        init_tau: Initial time constant above 1, a float; or a distribution for ``tau_shape``.
        arguments: Those of SpikingJelly.
        tau_shape: Shape of one sample, such as ``(C, H, W)``, for one time constant per neuron:
            ``w`` is then ``[1, C, H, W]``. ``(C, 1, 1)`` gives one per channel. None for one per
            layer, 0-d.
        keywords: Those of SpikingJelly.

    Raises:
        ValueError: A time constant of 1 or below, a distribution without ``tau_shape``, or samples
            of another shape.
    """

    def __init__(
        self,
        init_tau: float | LogNormalTau = 2.0,
        *arguments: Any,
        tau_shape: Sequence[int] | None = None,
        **keywords: Any,
    ) -> None:
        mean = init_tau.mean if isinstance(init_tau, LogNormalTau) else init_tau
        super().__init__(_above_one(mean), *arguments, **keywords)
        if tau_shape is not None:
            shape = (1, *tau_shape)
            if isinstance(init_tau, LogNormalTau):
                self.w = nn.Parameter(-torch.log(init_tau.sample(shape) - 1.0))
            else:
                self.w = nn.Parameter(torch.full(shape, -math.log(mean - 1.0)))
        elif isinstance(init_tau, LogNormalTau):
            raise ValueError("a distribution of tau needs tau_shape, the shape of a sample")

    def extra_repr(self) -> str:
        """As SpikingJelly's, but many time constants by their shape and range."""
        tau = 1.0 + torch.exp(-self.w.detach())
        if not tau.dim():
            return super().extra_repr()
        told = neuron.BaseNode.extra_repr(self)
        shape = tuple(tau.shape[1:])
        return f"{told}, tau of shape {shape} from {tau.min():.3g} to {tau.max():.3g}"

    def _neurons(self, shape: tuple[int, ...], dtype: torch.dtype, slope: _Slope) -> PLIF:
        own = tuple(self.w.shape[1:])
        fits = len(own) == len(shape) and all(a in (1, b) for a, b in zip(own, shape, strict=True))
        if self.w.dim() and not fits:
            raise ValueError(
                f"tau_shape is {own}, a sample has the shape {shape}; give it one number per "
                "dimension, 1 or that of the sample"
            )
        return super()._neurons(shape, dtype, slope)

    def _coefficients(self) -> dict[str, Any]:
        return {"train": "layer"}  # its w is replaced by that of the node
