"""What a scan is asked to run."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from core.neurons.base import Neuron
from core.scan.currents import Pathways, ends_of, names_of_currents
from core.scan.graph import StepGraph, Unfusable
from core.scan.kinds import graph_of

Traces = dict[str, Tensor]
"""Field of the state -> its value after every step, ``[T, B, N]``."""


@dataclass(frozen=True)
class Case:
    """What :func:`core.scan.scan` is asked to run, apart from the state it starts from.

    Attributes:
        neuron: ``N`` neurons of one kind.
        current_TBN: Input current.
        recurrent_weight: ``[N, N]`` or None.
        spike_mask_TBN: 0 where a spike is deleted, or None.
        pathways: Field of the state, or field and current -> ``[N, N]``, beside the spike's
            ``recurrent_weight``.
        record: Fields of the state whose value after every step is wanted.
        spend: The current may be overwritten.
        further: The neuron's further currents, each ``[T, B, N]``.
    """

    neuron: Neuron
    current_TBN: Tensor
    recurrent_weight: Tensor | None = None
    spike_mask_TBN: Tensor | None = None
    pathways: Pathways = field(default_factory=dict)
    record: tuple[str, ...] = ()
    spend: bool = False
    further: tuple[Tensor, ...] = ()

    @property  # not kept: PyTorch's compiler does not follow a cached property
    def ends(self) -> tuple[tuple[int, int], ...]:
        """Where pathways start and end: fields of the state and currents, by number."""
        fields, currents = self.neuron.State._fields, names_of_currents(self.neuron)
        pairs = [ends_of(pathway, currents) for pathway in self.pathways]
        return tuple([(fields.index(field), currents.index(current)) for field, current in pairs])

    @cached_property
    def coefficients(self) -> Any:
        """The neuron's, made once: they may be drawn at random."""
        return self.neuron.coefficients()

    @cached_property
    def graph(self) -> StepGraph:
        """The neuron's step, for a fused backend; raises :class:`core.scan.graph.Unfusable`."""
        return fusable(
            self.neuron,
            self.current_TBN.dtype,
            masked=self.spike_mask_TBN is not None,
            recurrent=self.recurrent_weight is not None,
            coefficients=self.coefficients,
        )


def fusable(
    neuron: Neuron, dtype: torch.dtype, *, masked: bool, recurrent: bool, coefficients: Any = None
) -> StepGraph:
    """The graph of :func:`core.scan.kinds.graph_of`, where a kernel can run it.

    Raises:
        Unfusable: As there; also where what recurrence reads is not what the neuron gives.
    """
    graph = graph_of(neuron, dtype, masked=masked, coefficients=coefficients)
    if recurrent and graph.forward[0] != graph.forward[-1]:
        raise Unfusable("its output is not the spike that its state keeps")
    return graph
