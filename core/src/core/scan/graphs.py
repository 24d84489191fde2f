"""Step graphs of neurons, traced once."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch

from core.neurons.base import Neuron
from core.scan.graph import StepGraph, Unfusable, trace


class _Kind:
    """A neuron as the key of a cache: equal for neurons whose step computes the same.

    That is decided by class and plain attributes (``dt``, ``surrogate``, ...); sizes and tensors
    do not matter, as a step reads tensors from its coefficients alone.
    """

    def __init__(self, neuron: Neuron) -> None:
        self.neuron = neuron
        own = {k: v for k, v in vars(neuron).items() if not k.startswith("_") and k != "size"}
        self._key: tuple[Any, ...] = (type(neuron), tuple(sorted(own.items())))

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Kind) and self._key == other._key


@lru_cache(maxsize=256)
def _traced(kind: _Kind, dtype: torch.dtype, masked: bool) -> StepGraph | str:
    try:
        return trace(kind.neuron, dtype, masked=masked)
    except Unfusable as error:
        return str(error)


def graph_of(neuron: Neuron, dtype: torch.dtype, *, masked: bool) -> StepGraph:
    """:func:`core.scan.graph.trace`, once per kind of neuron.

    Raises:
        Unfusable: As ``trace``; also where an attribute of the neuron cannot be compared.
    """
    try:
        result = _traced(_Kind(neuron), dtype, masked)
    except TypeError as error:
        raise Unfusable(f"an attribute of the neuron cannot be a key ({error})") from error
    if isinstance(result, str):
        raise Unfusable(result)
    return result
