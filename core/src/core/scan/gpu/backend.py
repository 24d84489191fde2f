"""The fused GPU backend: a neuron's Triton kernels, made on first use, as an autograd function.

Written and tested without a GPU: the kernels ran under Triton's interpreter and were compiled for
NVIDIA's processors; how fast they are is not known.
"""

from __future__ import annotations

import importlib.util
import math
from typing import Any

import torch
from torch import Tensor

from core.scan import fused
from core.scan.case import Case, Traces
from core.scan.gpu.function import Scan
from core.scan.gpu.geometry import MOST_RECURRENT, MOST_VALUES
from core.scan.graph import StepGraph


def missing() -> str | None:
    """What this machine lacks, or None."""
    if importlib.util.find_spec("triton") is None:
        return "Triton is not installed"
    return None if torch.cuda.is_available() else "no CUDA device"


def here() -> str:
    """What this machine offers it."""
    return missing() or torch.cuda.get_device_name()


def unsupported(case: Case) -> str | None:
    """Why this backend cannot take the case."""
    return missing() or not_taken(case)


def not_taken(case: Case) -> str | None:
    """Why no kernel takes the case, whatever the machine."""
    most = MOST_RECURRENT.get(case.current_TBN.dtype, 0)
    if case.recurrent_weight is not None and case.neuron.size > most > 0:
        return f"it takes recurrent layers of at most {most} neurons, not {case.neuron.size}"
    if math.prod(case.current_TBN.shape[1:]) > MOST_VALUES:
        return f"it takes at most {MOST_VALUES} samples x neurons"
    if case.pathways:
        return f"it has no further recurrent pathway ({', '.join(map(str, case.pathways))})"
    if case.further:
        return "it takes neurons with one input current"
    if reason := fused.refusal(case):
        return reason
    graph = case.graph
    if any(graph.nodes[i].op == "fmod" for i in graph.needed((*graph.forward, *graph.backward))):
        return "it has no exact remainder (fmod)"
    return "it compares no neurons of a layer (winner)" if graph.all_winners else None


def run(case: Case, state: Any) -> tuple[Tensor, Any, Traces]:
    """Run the sequence in one kernel. See :func:`core.scan.scan`."""

    def apply(graph: StepGraph, recorded: tuple[int, ...], x: Tensor, *rest: Any) -> Any:
        weight, mask, coefficients, before = rest
        each = [c.expand(case.neuron.size) for c in coefficients]
        stacked = torch.stack(each), torch.stack(before)
        output, after, *traces = Scan.apply(x, *stacked, weight, mask, graph, recorded)
        after = [field.clone() for field in after]  # no views: see the CPU's function
        return output, *after, *traces

    return fused.run(case, state, apply)
