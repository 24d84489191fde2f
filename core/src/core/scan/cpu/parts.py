"""Which of a scan's tensors are what, and whose gradients are wanted."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.scan.graph import StepGraph


def parts(rest: Sequence[Any], graph: StepGraph) -> tuple[Sequence[Any], ...]:
    """What belongs to coefficients, fields of the state, weights of pathways, further currents."""
    states = graph.coefficients + graph.states
    further = len(rest) - (graph.currents - 1)
    ends = (0, graph.coefficients, states, further, len(rest))
    return tuple([rest[start:end] for start, end in itertools.pairwise(ends)])


@dataclass(frozen=True)
class Wants:
    """Whose gradients are wanted."""

    current: bool
    weight: bool
    coefficients: tuple[bool, ...]
    state: tuple[bool, ...]
    pathways: tuple[bool, ...]
    further: tuple[bool, ...]

    @classmethod
    def of(cls, current: bool, weight: bool, rest: Sequence[bool], graph: StepGraph) -> Wants:
        """From one flag for each input; ``rest`` as in :func:`parts`."""
        return cls(current, weight, *map(tuple, parts(rest, graph)))
