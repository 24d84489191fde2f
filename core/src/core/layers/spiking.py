"""A hidden layer of spiking neurons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from core.layers.delay import AxonalDelay
from core.layers.normalization import Normalization
from core.layers.sequence import LayerOutput, TracedOutput
from core.layers.shell import Shell
from core.neurons.base import Neuron
from core.scan import scan


class SpikingLayer(Shell):
    r"""Any spiking neuron behind a normalised projection, with or without layer-wise recurrence.

        I_t = norm(W x_t + bias) + V0^T s_{t-1}
        s_t = neuron(I_t);  y_t = dropout(delay(s)_t)

    ``V0`` is ``V`` with a zero diagonal: ``V0[i, j]`` leads from neuron ``i`` to neuron ``j``. The
    diagonal exists, and its gradient is zero. ``W`` is ``U(+-1/sqrt(I))``, ``V`` orthogonal; they
    are drawn in the order W, V, neuron, V again. Source: Bittar and Garner (2022) and their code.

    Args:
        inputs: ``I``.
        size: ``N``.
        neuron: Makes ``size`` neurons.
        recurrent: Feed the spikes of the last step back through ``V0``, without ``delay``.
        delay: Makes ``size`` delays of what leaves the layer, such as
            ``partial(AxonalDelay, initial=Uniform(0, 10), longest=10, learnable=True)``.
        normalization: See :class:`core.layers.shell.Shell`, as for the next four.
        bias: See there.
        bidirectional: See there.
        dropout: See there.
        batch_first: See there.
        backend: For :func:`core.scan.scan`.
    """

    records = True

    def __init__(
        self,
        inputs: int,
        size: int,
        neuron: Callable[[int], Neuron],
        *,
        recurrent: bool = False,
        delay: Callable[[int], AxonalDelay] | None = None,
        normalization: Normalization = "none",
        bias: bool = False,
        bidirectional: bool = False,
        dropout: float = 0.0,
        batch_first: bool = False,
        backend: str = "auto",
    ) -> None:
        super().__init__(
            inputs,
            size,
            normalization=normalization,
            bias=bias,
            bidirectional=bidirectional,
            dropout=dropout,
            batch_first=batch_first,
        )
        self.W = self.projection()
        self.V = self.recurrence() if recurrent else None
        self.neuron = neuron(size)
        self.delay = None if delay is None else delay(size)
        if self.V is not None:
            nn.init.orthogonal_(self.V.weight)
        self.norm = self.norm_of_current()
        self.backend = backend

    def over_time(
        self,
        x_TBI: Tensor,
        state: Any,
        generator: torch.Generator | None,
        record: Sequence[str] | None = None,
    ) -> LayerOutput | TracedOutput:
        """Output, spikes and final state; a state has ``[B, N]`` per field.

        In a bidirectional layer that is ``[2 B, N]``, the reversed sequences second. The spikes are
        those of the neurons, before delay and dropout.

        Raises:
            ValueError: A state for a layer with delays: spikes on their way are in none.
        """
        if self.delay is not None and state is not None:
            raise ValueError(
                "a layer with delays runs whole sequences: no state holds the spikes on their way; "
                "leave the state out"
            )
        spikes_TBN, state, traces = scan(
            self.neuron,
            self.current(x_TBI, self.W, self.norm),
            recurrent_weight=self.recurrent_weight(),
            state=state,
            backend=self.backend,
            generator=generator,
            record=record or (),
        )
        spikes_TBH = self.joined(spikes_TBN)
        sent_TBH = spikes_TBH if self.delay is None else self.joined(self.delay(spikes_TBN))
        result = LayerOutput(self.drop(sent_TBH), spikes_TBH, state)
        if record is None:
            return result
        return result.traced({name: self.joined(trace) for name, trace in traces.items()})

    def recurrent_weight(self) -> Tensor | None:
        """``V0`` transposed, from column to row as :func:`core.scan.scan` takes it."""
        if self.V is None:
            return None
        return self.V.weight.clone().fill_diagonal_(0.0).t()
