"""Tensors that are not finite: found by one norm, named one by one only when that says so."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from core.errors import NotFinite
from core.neurons import Neuron

OVERFLOWED = "an update overflowed; lower --lr or clip gradients (--clip_norm 1)"
"""Why parameters are not finite, and what to do."""


def require_finite(tensors: Mapping[str, Tensor], cause: str) -> None:
    """Refuse tensors with an entry that is NaN, infinite, or too large to be squared.

    Nothing can be trained that far out: an optimiser squares gradients, and float32 ends at
    3.4e38, the square of 1.8e19.

    Args:
        tensors: By the name that a message gives them; integers are finite.
        cause: Goes into the message.

    Raises:
        NotFinite: Names the tensors; the place is left to the caller.
    """
    real = {name: t.detach() for name, t in tensors.items() if t.is_floating_point()}
    if not math.isfinite(total_norm(list(real.values()))):
        raise NotFinite(name_broken(real), "", cause)


def total_norm(tensors: Sequence[Tensor]) -> Tensor:
    """Norm of all entries together; infinite where one of them is too large to be squared.

    Many that can be squared may have squares whose sum cannot be held: float64 holds it.
    """
    norm = nn.utils.get_total_norm(tensors)
    if math.isfinite(norm) or not all(bool(t.square().isfinite().all()) for t in tensors):
        return norm
    return nn.utils.get_total_norm([tensor.double() for tensor in tensors])


def name_broken(tensors: Mapping[str, Tensor]) -> str:
    """Names of the tensors that are not finite; of the largest one where each of them is."""
    broken = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    if not broken:
        largest = {name: float(tensor.abs().max()) for name, tensor in tensors.items()}
        name = max(largest, key=lambda key: largest[key])
        return f"the norm of {name} (largest entry {largest[name]:.3g})"
    more = f" (and {len(broken) - 3} more)" if len(broken) > 3 else ""
    return ", ".join(broken[:3]) + more


def likely_cause(model: nn.Module, *, forward: bool = True) -> str:
    """Why a loss or a gradient may have become NaN, as far as the model's tensors tell.

    Args:
        model: As it was in the step.
        forward: It was the loss; else a gradient alone, behind a loss that is finite.
    """
    broken = [name for name, p in model.named_parameters() if not torch.isfinite(p).all()]
    if broken:
        return (
            f"parameters {', '.join(broken)} are not finite, so an earlier update overflowed; "
            "lower --lr or clip gradients (--clip_norm 1)"
        )
    for module in model.modules():
        hint = module.divergence_hint() if isinstance(module, Neuron) else None
        if hint:
            return hint
    if not forward:
        return (
            "all parameters and the loss are finite, so the gradient grew without bound on its way "
            "back through the sequence; clipping comes too late for that: lower --lr if earlier "
            "steps led here, else start from other weights or decays, or shorten the sequence"
        )
    return (
        "all parameters are finite, so a potential overflowed within the sequence; lower --lr or "
        "clip gradients (--clip_norm 1)"
    )
