"""The reference backend: an eager loop recorded by autograd, the definition of truth."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from core.scan.case import Case, Traces


def here() -> str:
    """What this machine offers it."""
    return "everywhere"


def unsupported(case: Case) -> str | None:
    """Why this backend cannot take the case; the reference takes every case."""
    return None


def run(case: Case, state: Any) -> tuple[Tensor, Any, Traces]:
    """Step through time. See :func:`core.scan.scan` for arguments and result."""
    coefficients = case.coefficients
    weights = {name: weight.t() for name, weight in case.pathways.items()}
    if case.recurrent_weight is not None:
        weights = {"spike": case.recurrent_weight.t(), **weights}
    masks = None if case.spike_mask_TBN is None else case.spike_mask_TBN.unbind(0)
    outputs: list[Tensor] = []
    seen: dict[str, list[Tensor]] = {name: [] for name in case.record}
    # unbind, not current_TBN[t]: the backward of an index fills the whole sequence with zeros,
    # which makes a loop of T of them quadratic in T.
    for t, current in enumerate(case.current_TBN.unbind(0)):
        for name, transposed in weights.items():
            current = torch.addmm(current, getattr(state, name), transposed)
        state, output = case.neuron.step(coefficients, state, current)
        if masks is not None:
            output = output * masks[t]
            state = state._replace(spike=output)
        outputs.append(output)
        for name, values in seen.items():
            values.append(getattr(state, name))
    traces = {name: torch.stack(values) for name, values in seen.items()}
    return torch.stack(outputs), state, traces
