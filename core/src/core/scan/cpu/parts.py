"""Which of a scan's tensors are what, and whose gradients are wanted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.scan.graph import StepGraph


def parts(rest: Sequence[Any], graph: StepGraph) -> tuple[Sequence[Any], ...]:
    """What belongs to coefficients, to fields of the state, and to weights of pathways."""
    states = graph.coefficients + graph.states
    return rest[: graph.coefficients], rest[graph.coefficients : states], rest[states:]


@dataclass(frozen=True)
class Wants:
    """Whose gradients are wanted."""

    current: bool
    weight: bool
    coefficients: tuple[bool, ...]
    state: tuple[bool, ...]
    pathways: tuple[bool, ...]

    @classmethod
    def of(cls, current: bool, weight: bool, rest: Sequence[bool], graph: StepGraph) -> Wants:
        """From one flag for each input; ``rest`` as in :func:`parts`."""
        return cls(current, weight, *map(tuple, parts(rest, graph)))
