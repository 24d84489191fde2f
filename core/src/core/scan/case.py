"""What a scan is asked to run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from core.neurons.base import Neuron
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
        pathways: Field of the state -> ``[N, N]``, beside the spike's ``recurrent_weight``.
        record: Fields of the state whose value after every step is wanted.
        spend: The current may be overwritten.
    """

    neuron: Neuron
    current_TBN: Tensor
    recurrent_weight: Tensor | None = None
    spike_mask_TBN: Tensor | None = None
    pathways: Mapping[str, Tensor] = field(default_factory=dict)
    record: tuple[str, ...] = ()
    spend: bool = False

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
