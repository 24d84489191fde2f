"""The fused GPU backend: a neuron's Triton kernels, made on first use, as an autograd function.

Written and tested without a GPU: the kernels ran under Triton's interpreter and were compiled for
NVIDIA's processors; how fast they are is not known.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from core.scan.gpu.function import Scan
from core.scan.graph import StepGraph, Unfusable
from core.scan.trace import graph_of

if TYPE_CHECKING:
    from core.scan.dispatch import Case

#: Neurons of a recurrent layer that one program still holds: beyond, registers and shared memory
#: are too small for a tile.
MOST_RECURRENT = {torch.float32: 512, torch.float64: 256}


def unsupported(case: Case) -> str | None:
    """Why this backend cannot take the case."""
    if importlib.util.find_spec("triton") is None:
        return "Triton is not installed"
    if not torch.cuda.is_available():
        return "no CUDA device"
    return not_taken(case)


def not_taken(case: Case) -> str | None:
    """Why no kernel takes the case, whatever the machine."""
    current, neuron = case.current_TBN, case.neuron
    tensors = {"recurrent weight": case.recurrent_weight, "spike mask": case.spike_mask_TBN}
    tensors |= neuron.state_dict(keep_vars=True)
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
    if case.pathways:
        return f"it has no further recurrent pathway ({', '.join(case.pathways)})"
    if case.spike_mask_TBN is not None and case.spike_mask_TBN.requires_grad:
        return "it gives no gradient of the spike mask"
    most = MOST_RECURRENT[current.dtype]
    if case.recurrent_weight is not None and neuron.size > most:
        return f"it takes recurrent layers of at most {most} neurons, not {neuron.size}"
    return _not_fused(case)


def _not_fused(case: Case) -> str | None:
    try:
        graph = _graph(case)
    except Unfusable as error:
        return str(error)
    if case.recurrent_weight is not None and graph.forward[0] != graph.forward[-1]:
        return "its output is not the spike that its state keeps"
    return None


def _graph(case: Case) -> StepGraph:
    masked = case.spike_mask_TBN is not None
    return graph_of(case.neuron, case.current_TBN.dtype, masked=masked)


def run(case: Case, state: Any) -> tuple[Tensor, Any]:
    """Run the sequence in one kernel. See :func:`core.scan.scan`."""
    current, neuron = case.current_TBN, case.neuron
    batch, neurons = current.shape[1:]
    coefficients = torch.stack([c.expand(neurons) for c in neuron.coefficients()])
    before = torch.stack([s.expand(batch, neurons) for s in state])
    if batch == 0:
        # Nothing to run, and yet part of the graph.
        output, after = current + coefficients.sum(), before
    else:
        output, after = Scan.apply(
            current, coefficients, before, case.recurrent_weight, case.spike_mask_TBN, _graph(case)
        )
    return output, neuron.State(*after.unbind(0))
