"""The hidden layer of the paper: balanced, recurrent, leaky integrate-and-fire."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from bsnn.config import Config
from bsnn.quantisation import noisy, quantised
from bsnn.theory import alpha_init, balanced, input_bound, refitted
from core.layers import LayerOutput, TracedOutput
from core.layers.normalization import normalize
from core.layers.shell import Shell
from core.neurons import Uniform
from core.neurons.balanced import BalancedLIF, Firing, Reset
from core.projection import project
from core.scan import scan
from core.spoken.networks import NORMALIZATIONS


def hold(module: nn.Module, name: str, value: Tensor, *, fixed: bool) -> None:
    """Register ``value`` as a buffer where it is fixed, else as a parameter."""
    if fixed:
        module.register_buffer(name, value)
    else:
        module.register_parameter(name, nn.Parameter(value))


def firing(config: Config) -> Firing:
    """How a layer fires, and with which gradient."""
    if not config.single_spike:
        return "multi"
    return "single_published" if config.surrogate == "published" else "single_intended"


class BalancedLayer(Shell):
    r"""Balanced neurons behind a normalised projection, with fast and slow recurrence.

        I_t = norm(W x_t + noise) + s_{t-1} V0 + r_{t-1} V_slow
        u_t, s_t, r_t = neuron(I_t);    y_t = dropout(s_t)

    ``neuron`` is :class:`core.neurons.balanced.BalancedLIF`, ``r`` its trace of spikes. A fixed
    ``V`` acts with its diagonal, which then is the reset; a trained one with zeros there
    (``V0``). All states start at zero.

    At the start, in the order of the draws: ``V_slow`` (with ``slow_dynamics``) orthogonal times
    ``V_slow_scale``, without its diagonal; ``W`` Bernoulli(0.7) times ``U(-a, a)``, or uniform;
    then, balanced, :func:`bsnn.theory.balanced`, else ``alpha`` uniform within its limits and ``V``
    orthogonal with thresholds 1.

    Args:
        inputs: ``I``.
        config: ``N`` is ``neurons``; all other settings of a layer as they are called there.
    """

    records = True
    W: Tensor
    V: Tensor
    V_slow: Tensor | None

    def __init__(self, inputs: int, config: Config) -> None:
        super().__init__(
            inputs,
            config.neurons,
            normalization=NORMALIZATIONS.get(config.normalization, "none"),
            bias=False,
            bidirectional=config.bidirectional,
            dropout=config.dropout,
            batch_first=False,
        )
        self.config = config
        size, start = config.neurons, alpha_init(config)
        slow = None
        if config.slow_dynamics:
            slow = nn.init.orthogonal_(torch.empty(size, size)) * config.V_slow_scale
            slow.fill_diagonal_(0.0)
        self.register_buffer("V_slow", slow)
        W = _input_weights(inputs, config)
        limits = _limits(config)
        alpha: Tensor | float = start
        threshold: Tensor | float = 1.0
        if config.balance:
            V, threshold = balanced(W, config)
        else:
            alpha = Uniform(*limits).sample(size)
            V = nn.init.orthogonal_(torch.empty(size, size))
        hold(self, "W", W, fixed=config.fix_w_in)
        hold(self, "V", V, fixed=config.fix_w_rec)
        self.neuron = BalancedLIF(
            size,
            alpha=alpha,
            train_alpha=not config.fix_tau_rec,
            threshold=threshold,
            repeat=config.repeat,
            reset=_reset(config),
            firing=firing(config),
        )
        self.neuron.limits = limits
        self.norm = self.norm_of_current()
        self.backend = config.backend

    def over_time(
        self,
        x_TBI: Tensor,
        state: Any,
        generator: torch.Generator | None,
        record: Sequence[str] | None = None,
    ) -> LayerOutput | TracedOutput:
        """Output, spikes and final state, ``[2 B, N]`` of which the reversed sequences are second.

        With ``quantize``, the weights themselves are overwritten.
        """
        spikes_TBN, state, traces = scan(
            self.neuron,
            self.input_current(x_TBI),
            recurrent_weight=self.recurrent_weight(),
            pathways={} if self.V_slow is None else {"trace": self.V_slow.t()},
            state=state,
            backend=self.backend,
            generator=generator,
            record=record or (),
            spend_current=True,
        )
        spikes_TBH = self.joined(spikes_TBN)
        result = LayerOutput(self.drop(spikes_TBH), spikes_TBH, state)
        if record is None:
            return result
        return result.traced({name: self.joined(trace) for name, trace in traces.items()})

    def input_current(self, x_TBI: Tensor) -> Tensor:
        """Normalised input current of all steps, noise and quantisation included."""
        config = self.config
        if config.weight_bits is not None:
            with torch.no_grad():
                self.W.copy_(quantised(self.W, config.weight_bits))
        current = project(x_TBI, self.W)
        if self.bidirectional:
            current = torch.cat([current, current.flip(0)], dim=1)
        with torch.no_grad():  # values alone: the gradient does not see it
            if config.gauss:
                current.copy_(noisy(current, config.gauss, multiply=config.gauss_mul))
            if config.current_bits is not None:
                current.copy_(quantised(current, config.current_bits))
        return normalize(self.norm, current)

    def recurrent_weight(self) -> Tensor:
        """``V`` or ``V0`` transposed, from column to row as :func:`core.scan.scan` takes it."""
        return self.acting_V().t()

    def acting_V(self) -> Tensor:
        """``V``, with zeros on its diagonal unless it is fixed; the diagonal gets no gradient."""
        return self.V if self.config.fix_w_rec else self.V.clone().fill_diagonal_(0.0)

    @torch.no_grad()
    def refit(self) -> None:
        """Let recurrent weights and thresholds follow, see :func:`bsnn.theory.refitted`."""
        V, theta = refitted(self.W, self.V, self.config)
        self.V.copy_(V)
        self.neuron.threshold.copy_(theta)


def _reset(config: Config) -> Reset:
    if config.reset != "default":
        return config.reset
    return "none" if config.fix_w_rec else "spike"


def _input_weights(inputs: int, config: Config) -> Tensor:
    shape = (config.neurons, inputs)
    if config.w_in_init == "uniform":
        bound = math.sqrt(2.0 / inputs)
        return torch.empty(shape).uniform_(-bound, bound)
    bound = input_bound(config)
    mask = torch.bernoulli(torch.full(shape, 0.7))
    return mask * torch.empty(shape).uniform_(-bound, bound)


def _limits(config: Config) -> tuple[float, float]:
    """``exp(-1 / tau)`` for time constants 5 % below and above the one at the start."""
    if config.alpha_init is None:
        low, high = 1900.0 * config.repeat, 2100.0 * config.repeat
    else:
        tau = -1.0 / math.log(config.alpha_init)
        low, high = 0.95 * tau, 1.05 * tau
    return math.exp(-1.0 / low), math.exp(-1.0 / high)
