"""Which backend runs a neuron over time, and the one contract they share."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from core.errors import UserError
from core.neurons.base import Neuron
from core.scan import reference

Unsupported = Callable[[Neuron, Tensor, Tensor | None, Tensor | None], str | None]
Run = Callable[[Neuron, Tensor, Tensor | None, Tensor | None, Any], tuple[Tensor, Any]]


@dataclass(frozen=True)
class Backend:
    """A way to run :func:`scan`.

    Attributes:
        name: What ``backend=`` and ``SNN_BACKEND`` call it.
        note: One line for ``core doctor``.
        unsupported: Why it cannot take a case ``(neuron, current_TBN, recurrent_weight,
            spike_mask_TBN)``, or None when it can.
        run: Takes ``(neuron, current_TBN, recurrent_weight, spike_mask_TBN, state)``.
    """

    name: str
    note: str
    unsupported: Unsupported
    run: Run


#: Fastest first: ``auto`` takes the first that supports the case.
BACKENDS: tuple[Backend, ...] = (
    Backend(
        "reference",
        "eager loop with autograd, any neuron, any device; the definition of truth",
        reference.unsupported,
        reference.run,
    ),
)


def choose(
    neuron: Neuron,
    current_TBN: Tensor,
    recurrent_weight: Tensor | None,
    backend: str = "auto",
    *,
    spike_mask_TBN: Tensor | None = None,
) -> Backend:
    """The backend that :func:`scan` takes for these arguments.

    ``backend`` names one, or is ``auto``; ``auto`` reads the environment variable
    ``SNN_BACKEND`` and, where that is unset or ``auto`` too, takes the fastest that supports the
    case. A backend asked for by name is never replaced by another.

    Raises:
        UserError: Unknown name, or the named backend does not support the case.
    """
    name = backend if backend != "auto" else os.environ.get("SNN_BACKEND", "auto")
    case = (neuron, current_TBN, recurrent_weight, spike_mask_TBN)
    if name == "auto":
        for candidate in BACKENDS:
            if candidate.unsupported(*case) is None:
                return candidate
    for candidate in BACKENDS:
        if candidate.name == name:
            reason = candidate.unsupported(*case)
            if reason is None:
                return candidate
            raise UserError(
                f"the scan backend {name!r} cannot run {type(neuron).__name__} here: {reason}; "
                "use backend=auto"
            )
    known = ", ".join(["auto", *(b.name for b in BACKENDS)])
    raise UserError(f"unknown scan backend {name!r}; there are {known} (see `core doctor`)")


def scan(
    neuron: Neuron,
    current_TBN: Tensor,
    *,
    recurrent_weight: Tensor | None = None,
    spike_mask_TBN: Tensor | None = None,
    state: Any = None,
    backend: str = "auto",
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Any]:
    """Run a neuron over time.

    For every step ``t``: ``current[t] += recurrent_weight @ spike[t-1]`` where there is a
    recurrent weight, then ``state, output[t] = neuron.step(coefficients, state, current[t])``,
    then ``output[t] = state.spike = spike_mask[t] * output[t]`` where there is a spike mask.

    Args:
        neuron: ``N`` neurons of one kind.
        current_TBN: Input current, ``T >= 1``; ``B`` may be zero.
        recurrent_weight: ``[N, N]``, from column to row (``torch.nn.Linear``'s convention).
        spike_mask_TBN: 1 keeps a spike, 0 deletes it on its way out of the neuron: what the step
            itself did with it (reset, refractory variable) stands, while the output, the
            recurrence and whatever the next step reads from ``state.spike`` see it deleted.
        state: State before the first step, None for the neuron's own initial state.
        backend: See :func:`choose`.
        generator: Passed to the neuron's ``initial_state``.

    Returns:
        ``output_TBN`` (spikes, or potentials of a neuron that does not spike) and the state
        after the last step.

    Raises:
        ValueError: Shapes that do not fit, or recurrence or a spike mask on a neuron that does
            not spike.
        UserError: A backend that is unknown or cannot take the case.
    """
    _check(neuron, current_TBN, recurrent_weight, spike_mask_TBN)
    chosen = choose(neuron, current_TBN, recurrent_weight, backend, spike_mask_TBN=spike_mask_TBN)
    if state is None:
        state = neuron.initial_state(current_TBN.shape[1], generator)
    return chosen.run(neuron, current_TBN, recurrent_weight, spike_mask_TBN, state)


def _check(
    neuron: Neuron,
    current_TBN: Tensor,
    recurrent_weight: Tensor | None,
    spike_mask_TBN: Tensor | None,
) -> None:
    if current_TBN.dim() != 3 or current_TBN.shape[2] != neuron.size:
        raise ValueError(
            f"current has shape {tuple(current_TBN.shape)}, expected [T, B, {neuron.size}]"
        )
    if current_TBN.shape[0] == 0:
        raise ValueError("current has no time step (T = 0)")
    expected = {
        "recurrent weight": (recurrent_weight, (neuron.size, neuron.size)),
        "spike mask": (spike_mask_TBN, tuple(current_TBN.shape)),
    }
    for what, (tensor, shape) in expected.items():
        if tensor is None:
            continue
        if not neuron.spiking:
            raise ValueError(f"{type(neuron).__name__} does not spike: it takes no {what}")
        if tensor.shape != shape:
            raise ValueError(f"{what} has shape {tuple(tensor.shape)}, expected {list(shape)}")
