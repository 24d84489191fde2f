"""Excitatory and inhibitory currents of a recurrent layer, for all steps at once.

``T`` steps, ``B`` samples, ``I`` inputs, ``N`` neurons. A current is excitatory by the sign of its
weight, whatever the sign of the input: with inputs and spikes that are not negative, ``I_exc >= 0``
and ``I_inh <= 0``. No gradient comes from here.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from core.projection import project


class Currents(NamedTuple):
    """What drives each neuron, float32 ``[T, B, N]`` each."""

    excitatory: Tensor
    inhibitory: Tensor


class Source(NamedTuple):
    """A part of the currents.

    Attributes:
        x_TBI: What is weighed.
        weight_2NI: Positive weights, then negative ones.
        lag: Steps until a value has its effect.
    """

    x_TBI: Tensor
    weight_2NI: Tensor
    lag: int


@dataclass(frozen=True)
class Drive:
    """What reaches the neurons of one layer, from which :meth:`currents` computes.

    Attributes:
        x_TBI: Input.
        weight_NI: ``W``.
        spikes_TBN: Of the layer itself, before dropout.
        recurrent_NN: ``V`` as the cell has it (row k is what neuron k sends: ``s V``); without its
            diagonal where the cell leaves that out.
        slow_NN: ``V_slow``, likewise; None without slow currents.
        decay_N: Of the spike trace that the slow current comes from; None for the currents as
            published.
    """

    x_TBI: Tensor
    weight_NI: Tensor
    spikes_TBN: Tensor
    recurrent_NN: Tensor
    slow_NN: Tensor | None = None
    decay_N: Tensor | None = None

    @torch.no_grad()
    def currents(self, samples: slice = slice(None)) -> Currents:
        r"""Currents of some samples.

        As published, the current that the spikes of a step cause is booked at that very step,
        although the potential sees it one step later, and the slow current is taken from the
        spikes rather than from their trace:

            I_exc[t] = x_t max(W, 0)^T + s_t (max(V, 0) + max(V_slow, 0))

        With ``decay_N`` (corrected) they are those that the potential integrates at step ``t``:

            I_exc[t] = x_t max(W, 0)^T + s_{t-1} max(V, 0) + r_{t-1} max(V_slow, 0)
            r_t = decay r_{t-1} + s_t

        ``I_inh`` is the same with ``min``.
        """
        both: Tensor | None = None
        for x_TBI, weight_2NI, lag in self.sources():
            part = project(x_TBI[: len(x_TBI) - lag, samples], weight_2NI)
            if both is None:
                both = part
            else:
                both[lag:] += part
        assert both is not None
        neurons = len(self.weight_NI)
        return Currents(both[..., :neurons], both[..., neurons:])

    def sources(self) -> list[Source]:
        """What currents come from, the input first."""
        sources = [Source(self.x_TBI.detach(), _by_sign(self.weight_NI), 0)]
        fast = _by_sign(self.recurrent_NN.t())
        slow = None if self.slow_NN is None else _by_sign(self.slow_NN.t())
        if self.decay_N is None:
            both = fast if slow is None else fast + slow
            return [*sources, Source(self.spikes_TBN.detach(), both, 0)]
        sources.append(Source(self.spikes_TBN.detach(), fast, 1))
        if slow is not None:
            sources.append(Source(self._traces_TBN, slow, 1))
        return sources

    @cached_property
    def _traces_TBN(self) -> Tensor:
        assert self.decay_N is not None
        traces = self.spikes_TBN.detach().clone()
        for before, now in itertools.pairwise(traces):
            now.addcmul_(before, self.decay_N)
        return traces


def _by_sign(weight_NI: Tensor) -> Tensor:
    """Positive weights, then negative ones: ``[2 N, I]``."""
    weight_NI = weight_NI.detach()
    return torch.cat([weight_NI.clamp(min=0), weight_NI.clamp(max=0)])
