"""Dropout whose random numbers cost less than the matrix products around it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from core.buffers import empty

_RESOLUTION = 1 << 16


class Dropout(nn.Module):
    """``torch.nn.Dropout``; on the CPU, an element takes 16 random bits instead of a real number.

    The chance is rounded to a multiple of ``2^-16`` there (0.1 becomes 0.100006); what is kept is
    scaled by ``1 / (1 - p)`` for the given ``p``. Draws come from PyTorch's global generator.

    Args:
        p: Chance with which an element is zeroed in training.

    Raises:
        ValueError: ``p`` is not in ``[0, 1)``.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0.0 <= p < 1.0:
            raise ValueError(f"dropout is a probability from 0 to below 1, not {p}")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """``x`` with zeros while training, ``x`` itself otherwise."""
        if not self.training or self.p == 0.0:
            return x
        if x.device.type != "cpu":
            return nn.functional.dropout(x, self.p)
        result: Tensor = _Dropout.apply(x, self.p)
        return result

    def extra_repr(self) -> str:
        """For ``print(model)``."""
        return f"p={self.p}"


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, p: float) -> Tensor:
        ctx.scale = 1.0 / (1.0 - p)
        kept = empty(tuple(x.shape), x.dtype).copy_(_kept(x.shape, p))
        ctx.save_for_backward(kept)
        return _scaled_product(x, kept, ctx.scale)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (kept,) = ctx.saved_tensors
        return _scaled_product(gradient, kept, ctx.scale), None


def _kept(shape: torch.Size, p: float) -> Tensor:
    """True with probability ``1 - p``."""
    # Drawn as 64 bits, which the generator makes four times as fast as 16.
    words = empty((-(-shape.numel() // 4),), torch.int64).random_(-(1 << 63), None)
    threshold = round(p * _RESOLUTION) - _RESOLUTION // 2
    kept = words.view(torch.int16)[: shape.numel()] >= min(threshold, _RESOLUTION // 2 - 1)
    return kept.view(shape)


def _scaled_product(x: Tensor, kept: Tensor, scale: float) -> Tensor:
    zero = torch.zeros((), dtype=x.dtype)
    return torch.addcmul(zero, x, kept, value=scale, out=empty(tuple(x.shape), x.dtype))
