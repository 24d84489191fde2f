"""Readouts: from the sequence of the last hidden layer to one score per class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from core.layers.normalization import Normalization, make_norm, normalize
from core.layers.sequence import SequenceModule, turned
from core.neurons.adaptive import BoundedLI
from core.neurons.initial import Initial
from core.projection import project
from core.scan import Traces, scan


class ReadoutOutput(NamedTuple):
    """What a readout gives.

    Attributes:
        y_BC: Score per class.
        state: After the last step; None where there is none.
    """

    y_BC: Tensor
    state: Any

    def turned(self) -> ReadoutOutput:
        """Itself: scores have no time."""
        return self

    def traced(self, traces: Traces) -> TracedReadout:
        """The same with traces."""
        return TracedReadout(*self, traces)


class TracedReadout(NamedTuple):
    """What a readout gives that is asked to record: a :class:`ReadoutOutput` with traces.

    Attributes:
        traces: See :class:`core.layers.sequence.TracedOutput`.
    """

    y_BC: Tensor
    state: Any
    traces: Traces

    def turned(self) -> TracedReadout:
        """The same with the first two dimensions of traces exchanged."""
        return self._replace(traces=turned(self.traces))


class SoftmaxSumReadout(SequenceModule):
    r"""Leaky integrators whose softmax is summed over time: every row of ``y`` sums to ``T``.

        u_t = alpha u_{t-1} + (1 - alpha) norm(W x_t + bias)
        y   = sum over t of softmax(u_t)

    Source: Bittar and Garner (2022) and their code.

    Args:
        inputs: ``I``.
        classes: ``C``.
        normalization: See :func:`core.layers.normalization.make_norm`.
        bias: Add a bias to the input current.
        initial: See :class:`core.neurons.BoundedLI`.
        batch_first: See :class:`core.layers.sequence.SequenceModule`.
        backend: For :func:`core.scan.scan`.
    """

    records = True

    def __init__(
        self,
        inputs: int,
        classes: int,
        *,
        normalization: Normalization = "none",
        bias: bool = False,
        initial: Initial = "zero",
        batch_first: bool = False,
        backend: str = "auto",
    ) -> None:
        super().__init__(inputs, batch_first=batch_first)
        self.W = nn.Linear(inputs, classes, bias=bias)
        self.neuron = BoundedLI(classes, initial=initial)
        self.norm = make_norm(normalization, classes)
        self.backend = backend

    def over_time(
        self,
        x_TBI: Tensor,
        state: Any,
        generator: torch.Generator | None,
        record: Sequence[str] | None = None,
    ) -> ReadoutOutput | TracedReadout:
        """Scores ``[B, C]`` and the final state."""
        current_TBC = normalize(self.norm, project(x_TBI, self.W.weight, self.W.bias))
        potential_TBC, state, traces = scan(
            self.neuron,
            current_TBC,
            state=state,
            backend=self.backend,
            generator=generator,
            record=record or (),
        )
        result = ReadoutOutput(torch.softmax(potential_TBC, dim=-1).sum(0), state)
        return result if record is None else result.traced(traces)


class PooledReadout(SequenceModule):
    r"""The readout of networks that do not spike.

        q = sum over t of softmax(x_t)      (over the features of the last hidden layer)
        y = norm(W q + bias)

    Batch norm sees ``[B, C]`` here. Source: the code of Bittar and Garner (2022).

    Args:
        inputs: ``I``.
        classes: ``C``.
        normalization: See :func:`core.layers.normalization.make_norm`.
        bias: Add a bias.
        batch_first: See :class:`core.layers.sequence.SequenceModule`.
    """

    def __init__(
        self,
        inputs: int,
        classes: int,
        *,
        normalization: Normalization = "none",
        bias: bool = False,
        batch_first: bool = False,
    ) -> None:
        super().__init__(inputs, batch_first=batch_first)
        self.W = nn.Linear(inputs, classes, bias=bias)
        self.norm = make_norm(normalization, classes)

    def over_time(
        self, x_TBI: Tensor, state: None, generator: torch.Generator | None
    ) -> ReadoutOutput:
        """Scores ``[B, C]``; it has no state and draws nothing."""
        pooled_BI = torch.softmax(x_TBI, dim=-1).sum(0)
        return ReadoutOutput(normalize(self.norm, self.W(pooled_BI)), None)
