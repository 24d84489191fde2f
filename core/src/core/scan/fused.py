"""What the fused backends share: which cases they take, and a case as plain tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from core.neurons.base import Neuron
from core.opaque import watched
from core.scan import reference
from core.scan.case import Case, Traces
from core.scan.currents import names_of_currents
from core.scan.graph import Unfusable
from core.scan.kinds import graph_of

Apply = Callable[..., Sequence[Tensor]]
"""``(graph, recorded fields by number, current, weight, mask, [coefficient, ...],
[state_BN, ...]) -> output, *state, *traces``; a coefficient is 0-d or ``[N]``."""

#: What whoever differentiates a gradient is told.
TWICE = "a fused scan has no gradients of gradients; run it with backend='reference'"


def refusal(case: Case) -> str | None:
    """Why no kernel takes the case, or None."""
    if reason := unlike(case):
        return reason
    coefficients = case.coefficients if isinstance(case.coefficients, tuple) else ()
    current, pathways = case.current_TBN, case.pathways.values()
    others = *case.further, case.recurrent_weight, case.spike_mask_TBN
    if reason := watched(current, *others, *pathways, *coefficients):
        return reason
    try:
        _ = case.graph
    except Unfusable as error:
        return str(error)
    return None


def unlike(case: Case) -> str | None:
    """Why no kernel takes tensors such as these, or None."""
    current = case.current_TBN
    tensors = {"recurrent weight": case.recurrent_weight, "spike mask": case.spike_mask_TBN}
    tensors |= {f"pathway {name!r}": weight for name, weight in case.pathways.items()}
    names = names_of_currents(case.neuron)[1:]
    tensors |= {f"current {n!r}": more for n, more in zip(names, case.further, strict=True)}
    tensors |= dict(case.neuron.named_parameters()) | dict(case.neuron.named_buffers())
    for what, tensor in tensors.items():
        if tensor is None or not tensor.is_floating_point():
            continue
        if (tensor.dtype, tensor.device) != (current.dtype, current.device):
            return (
                f"{what} is {tensor.dtype} on {tensor.device}, "
                f"the current {current.dtype} on {current.device}"
            )
    if current.dtype not in (torch.float32, torch.float64):
        return f"it computes in float32 and float64, not {current.dtype}"
    if case.spike_mask_TBN is not None and case.spike_mask_TBN.requires_grad:
        return "it gives no gradient of the spike mask"
    return None


def has_kernels(neuron: Neuron, dtype: torch.dtype) -> bool:
    """Whether the neuron's step can be a kernel."""
    try:
        graph_of(neuron, dtype, masked=False)
    except Unfusable:
        return False
    return True


def run(case: Case, state: Any, apply: Apply) -> tuple[Tensor, Any, Traces]:
    """Run a case that :func:`refusal` lets pass. See :func:`core.scan.scan`."""
    current, neuron = case.current_TBN, case.neuron
    if current.shape[1] == 0:  # nothing to compute, and yet part of autograd's graph
        return reference.run(case, state)
    coefficients, before = plain(case.coefficients, state, current)
    # In the order of the state, whatever was asked for first: it is the same kernel.
    names = [name for name in neuron.State._fields if name in case.record]
    recorded = tuple(map(neuron.State._fields.index, names))
    output, *rest = apply(
        *(case.graph, recorded, current, case.recurrent_weight, case.spike_mask_TBN),
        *(coefficients, before),
    )
    after, found = rest[: len(before)], dict(zip(names, rest[len(before) :], strict=True))
    return output, neuron.State(*after), {name: found[name] for name in case.record}


def plain(coefficients: Any, state: Any, current_TBN: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Coefficients as 0-d or ``[N]``, fields of the state as ``[B, N]``."""
    batch, neurons = current_TBN.shape[1:]
    made = [c if c.dim() == 0 or c.shape == (neurons,) else c.expand(neurons) for c in coefficients]
    return made, [field.expand(batch, neurons) for field in state]
