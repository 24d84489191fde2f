"""The reference backend: an eager loop recorded by autograd, the definition of truth."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from core.scan.case import Case, Traces
from core.scan.currents import together


def here() -> str:
    """What this machine offers it."""
    return "everywhere"


def unsupported(case: Case) -> str | None:
    """Why this backend cannot take the case; the reference takes every case."""
    return None


def run(case: Case, state: Any) -> tuple[Tensor, Any, Traces]:
    """Step through time. See :func:`core.scan.scan` for arguments and result."""
    coefficients = case.coefficients
    # (field, current, weight) in the order in which they add.
    weights = [weight.t() for weight in case.pathways.values()]
    paths = [(*ends, weight) for ends, weight in zip(case.ends, weights, strict=True)]
    if case.recurrent_weight is not None:
        paths = [(0, 0, case.recurrent_weight.t()), *paths]
    masks = None if case.spike_mask_TBN is None else case.spike_mask_TBN.unbind(0)
    outputs: list[Tensor] = []
    seen: dict[str, list[Tensor]] = {name: [] for name in case.record}
    # unbind, not current_TBN[t]: the backward of an index fills the whole sequence with zeros,
    # which makes a loop of T of them quadratic in T.
    sequences = [current.unbind(0) for current in (case.current_TBN, *case.further)]
    for t, step in enumerate(zip(*sequences, strict=True)):
        currents = list(step)
        for field, current, transposed in paths:
            currents[current] = torch.addmm(currents[current], state[field], transposed)
        state, output = case.neuron.step(coefficients, state, together(case.neuron, currents))
        if masks is not None:
            output = output * masks[t]
            state = state._replace(spike=output)
        outputs.append(output)
        for name, values in seen.items():
            values.append(getattr(state, name))
    traces = {name: torch.stack(values) for name, values in seen.items()}
    return torch.stack(outputs), state, traces
