"""From a time constant to the factor that a leaky variable keeps per step."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Decay = Literal["exponential", "sigmoid", "linear"]


def keep_factor(tau: Tensor, decay: Decay, fraction_bits: int | None = None) -> Tensor:
    """``alpha`` in ``u <- alpha u + (1 - alpha) I``.

    ``exponential``: ``exp(-1 / |tau|)`` with tau in steps. ``sigmoid``: ``sigmoid(tau)``, an
    unconstrained parameter (readouts of the paper's BHRF). ``linear``:
    ``clip(1 - 1 / |tau|, 0, 1)`` (linear-decay extension of the seed repository).

    Args:
        tau: ``[N]`` parameter; its sign is removed except for ``sigmoid``.
        decay: Which of the three.
        fraction_bits: Round the factor to this many binary places, see :func:`quantise`.

    Raises:
        ValueError: For another name of ``decay``.
    """
    if decay == "exponential":
        alpha = torch.exp(-1.0 / tau.abs())
    elif decay == "sigmoid":
        alpha = torch.sigmoid(tau)
    elif decay == "linear":
        alpha = torch.clamp(1.0 - 1.0 / tau.abs(), 0.0, 1.0)
    else:
        raise ValueError(f"decay is exponential, sigmoid or linear, not {decay!r}")
    return alpha if fraction_bits is None else quantise(alpha, fraction_bits)


def quantise(x: Tensor, fraction_bits: int) -> Tensor:
    """``round(2^f x) 2^-f``, half to even; its gradient is zero."""
    scale = 2.0**fraction_bits
    return torch.round(x * scale) / scale
