"""A scan in the graphs of ``torch.compile`` and ``torch.export``: one operator.

The step is traced while PyTorch compiles, and stands in the graph as text. What the step reads is
read once more by PyTorch's compiler, which then compiles anew when any of it changes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

from core.neurons.base import Neuron
from core.opaque import asked_once
from core.scan import fused
from core.scan.case import Case, Traces, fusable
from core.scan.cpu import operator
from core.scan.cpu.backend import missing
from core.scan.currents import together
from core.scan.graph import Unfusable
from core.scan.text import Plan, written


def run(case: Case, state: Any) -> tuple[Tensor, Any, Traces] | None:
    """What :func:`core.scan.scan` gives, of an operator; None where no kernel takes the case."""
    current, neuron, weight = case.current_TBN, case.neuron, case.recurrent_weight
    if current.device.type != "cpu" or current.shape[1] == 0 or missing() is not None:
        return None
    if fused.unlike(case) is not None:
        return None
    known = neuron.State._fields
    recorded = [name for name in known if name in case.record]
    # The gradient of a pathway's weight is one large product with what went through it.
    pairs = zip(case.ends, case.pathways.values(), strict=True)
    trained = dict.fromkeys([known[field] for (field, _), path in pairs if path.requires_grad])
    traced = [*recorded, *[n for n in trained if n not in recorded and torch.is_grad_enabled()]]
    plan = _plan(
        neuron,
        current.dtype,
        case.spike_mask_TBN is not None,
        weight is not None,
        torch.is_grad_enabled(),
        tuple([known.index(name) for name in traced]),
        case.ends,
    )
    if plan is None:
        return None
    coefficients = neuron.coefficients()
    before = neuron.initial_state(current.shape[1]) if state is None else state
    if torch.compiler.is_dynamo_compiling():
        # For what it reads, see above. A number must not become a variable of the graph.
        _numbers_are_constants(True)
        for name in _settings(neuron):
            hash(getattr(neuron, name))
        neuron.step(
            coefficients, before, together(neuron, [x[0] for x in (current, *case.further)])
        )
        _numbers_are_constants(False)
    plain, fields = fused.plain(coefficients, before, current)
    rest = [*plain, *fields, *case.pathways.values(), *case.further]
    inputs = [current, *rest, *([] if weight is None else [weight])]
    keep = torch.is_grad_enabled() and any([tensor.requires_grad for tensor in inputs])
    results = operator.scan(plan, current, weight, case.spike_mask_TBN, rest, keep)
    found = results[1 + len(fields) : -2]
    traces = dict(zip(traced, found, strict=True))
    after = neuron.State(*results[1 : 1 + len(fields)])
    return results[0], after, {name: traces[name] for name in case.record}


@asked_once
def _numbers_are_constants(always: bool) -> bool:
    torch._dynamo.config.specialize_float = always
    return always


@asked_once
def _settings(neuron: Neuron) -> tuple[str, ...]:
    """The plain attributes of a neuron, of which something else may have made variables before."""
    plain = (bool, int, float, str)
    return tuple(name for name, value in vars(neuron).items() if isinstance(value, plain))


@asked_once
def _plan(
    neuron: Neuron,
    dtype: torch.dtype,
    masked: bool,
    recurrent: bool,
    gradients: bool,
    traced: tuple[int, ...],
    pathways: tuple[tuple[int, int], ...],
) -> str | None:
    """What the operator runs, or None where no kernel takes it."""
    try:
        with _disable_current_modes(), torch.set_grad_enabled(gradients):
            step = fusable(neuron, dtype, masked=masked, recurrent=recurrent)
    except Unfusable:
        return None
    return written(Plan(type(neuron).__name__, step, traced, pathways))
