"""Neurons of other libraries as neurons of this one, with equal parameters or not at all.

Each module takes the neuron of one library: :mod:`.snntorch`, :mod:`.spikingjelly`, :mod:`.norse`,
and graphs of :mod:`.nir`. What comes back computes the same spikes and gradients to rounding; what
cannot be said exactly is refused by name, with what comes nearest. ``core/CONVENTIONS.md`` has the
recursions of all. The libraries are no dependencies: who has their neurons has them.
"""

from __future__ import annotations

from core.errors import UserError


def refusal(what: str, why: str, nearest: str) -> UserError:
    """The error where ``what`` has no exact counterpart."""
    return UserError(f"{what} has no exact counterpart: {why}; nearest is {nearest}")
