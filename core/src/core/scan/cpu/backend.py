"""The fused CPU backend: a neuron's kernels, made on first use, as an autograd function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from core.neurons.base import Neuron
from core.scan.cpu.function import Scan
from core.scan.graph import Unfusable
from core.scan.trace import graph_of

if TYPE_CHECKING:
    from core.scan.dispatch import Case


def unsupported(case: Case) -> str | None:
    """Why this backend cannot take the case."""
    current = case.current_TBN
    tensors = {"current": current, "recurrent weight": case.recurrent_weight}
    tensors |= {"spike mask": case.spike_mask_TBN}
    for what, tensor in tensors.items():
        if tensor is not None and tensor.dtype != current.dtype:
            return f"the {what} is {tensor.dtype} and the current {current.dtype}"
    if current.dtype not in (torch.float32, torch.float64):
        return f"it computes in float32 and float64, not {current.dtype}"
    if case.pathways:
        return f"it has no further recurrent pathway ({', '.join(case.pathways)})"
    if case.spike_mask_TBN is not None and case.spike_mask_TBN.requires_grad:
        return "it gives no gradient of the spike mask"
    return reason_not_fused(case.neuron, current.dtype)


def reason_not_fused(neuron: Neuron, dtype: torch.dtype) -> str | None:
    """Why the neuron has no kernel, or None when it has one."""
    for tensor in neuron.state_dict(keep_vars=True).values():
        if tensor.is_floating_point() and (tensor.dtype != dtype or tensor.device.type != "cpu"):
            return f"a parameter is {tensor.dtype} on {tensor.device}, the current {dtype} on cpu"
    try:
        graph_of(neuron, dtype, masked=False)
    except Unfusable as error:
        return str(error)
    return None


def run(case: Case, state: Any) -> tuple[Tensor, Any]:
    """Run the sequence in one kernel. See :func:`core.scan.scan`."""
    current, neuron = case.current_TBN, case.neuron
    masked = case.spike_mask_TBN is not None
    graph = graph_of(neuron, current.dtype, masked=masked)
    batch, neurons = current.shape[1:]
    coefficients = torch.stack([c.expand(neurons) for c in neuron.coefficients()])
    before = torch.stack([s.expand(batch, neurons) for s in state])
    if batch == 0:
        # Nothing to run, and yet part of the graph.
        output, after = current + coefficients.sum(), before
    else:
        name = type(neuron).__name__
        output, after = Scan.apply(
            current, coefficients, before, case.recurrent_weight, case.spike_mask_TBN, graph, name
        )
    return output, neuron.State(*after.unbind(0))
