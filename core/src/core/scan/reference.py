"""The reference backend: an eager loop recorded by autograd, the definition of truth."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from core.neurons.base import Neuron


def unsupported(
    neuron: Neuron,
    current_TBN: Tensor,
    recurrent_weight: Tensor | None,
    spike_mask_TBN: Tensor | None,
) -> str | None:
    """Why this backend cannot take the case; the reference takes every case."""
    return None


def run(
    neuron: Neuron,
    current_TBN: Tensor,
    recurrent_weight: Tensor | None,
    spike_mask_TBN: Tensor | None,
    state: Any,
) -> tuple[Tensor, Any]:
    """Step through time. See :func:`core.scan.scan` for arguments and result."""
    coefficients = neuron.coefficients()
    transposed = None if recurrent_weight is None else recurrent_weight.t()
    masks = None if spike_mask_TBN is None else spike_mask_TBN.unbind(0)
    outputs = []
    # unbind, not current_TBN[t]: the backward of an index fills the whole sequence with zeros,
    # which makes a loop of T of them quadratic in T.
    for t, current in enumerate(current_TBN.unbind(0)):
        if transposed is not None:
            current = torch.addmm(current, state.spike, transposed)
        state, output = neuron.step(coefficients, state, current)
        if masks is not None:
            output = output * masks[t]
            state = state._replace(spike=output)
        outputs.append(output)
    return torch.stack(outputs), state
