"""Quantisation and noise of hidden layers: what the hardware of the paper would do to values."""

from __future__ import annotations

import torch
from torch import Tensor


def quantised(x: Tensor, bits: int) -> Tensor:
    """Values on ``2^bits`` levels between ``min(x, 0)`` and ``max(x, 0)``, one of them zero.

        scale = (hi - lo) / (2^bits - 1)        zero = clamp(-round(lo / scale))
        q(x)  = (clamp(round(x / scale + zero)) - zero) scale

    with ``clamp`` to ``0 ... 2^bits - 1``.

    Args:
        x: Any shape; one scale for all of it.
        bits: 1 to 16.
    """
    most = 2**bits - 1
    low, high = x.min().clamp(max=0.0), x.max().clamp(min=0.0)
    scale = ((high - low) / most).clamp(min=torch.finfo(torch.float32).eps)
    zero = (-torch.round(low / scale)).clamp(0, most)
    return (torch.round(x / scale + zero).clamp(0, most) - zero) * scale


def noisy(x_TBN: Tensor, sigma: float, *, multiply: bool) -> Tensor:
    """``x + sigma n`` or, with ``multiply``, ``x n sigma`` (whose mean is zero), ``n ~ N(0, 1)``.

    ``n`` is drawn from PyTorch's generator sample by sample, whatever dimension comes first here.
    """
    steps, batch, size = x_TBN.shape
    noise = torch.randn(batch, steps, size, dtype=x_TBN.dtype).transpose(0, 1).to(x_TBN.device)
    return x_TBN * noise * sigma if multiply else x_TBN + noise * sigma
