"""The input currents of a neuron: one, or several by name, and where recurrent pathways end.

A neuron with several names them in ``Neuron.Currents``, a NamedTuple, as it names its state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from core.neurons.base import Neuron

Pathway = str | tuple[str, str]
"""A field of the state, whose pathway ends at the neuron's first current, or field and current."""

Pathways = Mapping[Any, Tensor]
"""Pathway -> ``[N, N]``. Not by the type of its keys: a mapping of some is none of all to mypy."""


def names_of_currents(neuron: Neuron) -> tuple[str, ...]:
    """What the neuron calls its input currents; a single one has no name of its own."""
    return ("current",) if neuron.Currents is None else tuple(neuron.Currents._fields)


def ends_of(pathway: Pathway, currents: Sequence[str]) -> tuple[str, str]:
    """The field and the current of a pathway."""
    return (pathway, currents[0]) if isinstance(pathway, str) else pathway


def together(neuron: Neuron, currents: Sequence[Tensor]) -> Any:
    """All currents as :meth:`core.neurons.Neuron.step` takes them."""
    return currents[0] if neuron.Currents is None else neuron.Currents(*currents)


def separate(neuron: Neuron, given: Any) -> tuple[Tensor, ...]:
    """The currents of ``neuron`` that :func:`core.scan.scan` was given.

    Raises:
        ValueError: One where there are several, several where there is one, or others.
    """
    kind = type(neuron).__name__
    if neuron.Currents is None:
        if isinstance(given, Tensor):
            return (given,)
        raise ValueError(f"{kind} has one input current: a tensor [T, B, N], not {_what(given)}")
    if isinstance(given, neuron.Currents):
        return tuple(given)
    names = ", ".join(f"{name}=..." for name in names_of_currents(neuron))
    raise ValueError(f"{kind} takes {neuron.Currents.__name__}({names}), not {_what(given)}")


def _what(given: Any) -> str:
    return "a tensor" if isinstance(given, Tensor) else type(given).__name__


def current_input(number: int) -> str:
    """What a current is called among the inputs of a step's graph and the arrays of a kernel."""
    return f"x{number}" if number else "x"
