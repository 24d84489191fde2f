"""``W x_t + bias`` for all steps at once, into memory that is used again."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from core.buffers import empty


def project(x_TBI: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``torch.nn.functional.linear``; on the CPU its large results lie in :mod:`core.buffers`.

    Args:
        x_TBI: Input of every step.
        weight: ``[N, I]``.
        bias: ``[N]``.

    Returns:
        ``[T, B, N]``.
    """
    if x_TBI.device.type != "cpu":
        return nn.functional.linear(x_TBI, weight, bias)
    result: Tensor = _Linear.apply(x_TBI, weight, bias)
    return result


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_TBI: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        steps, batch, inputs = x_TBI.shape
        x = x_TBI.reshape(steps * batch, inputs)
        result = empty((steps * batch, len(weight)), x.dtype)
        if bias is None:
            torch.mm(x, weight.t(), out=result)
        else:
            torch.addmm(bias, x, weight.t(), out=result)
        ctx.save_for_backward(x, weight)
        return result.view(steps, batch, len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_TBN: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        steps, batch, size = gradient_TBN.shape
        gradient = gradient_TBN.reshape(steps * batch, size)
        wants_x, wants_weight, wants_bias = ctx.needs_input_grad
        x_gradient = None
        if wants_x:
            x_gradient = empty((steps * batch, x.shape[1]), x.dtype)
            torch.mm(gradient, weight, out=x_gradient)
            x_gradient = x_gradient.view(steps, batch, x.shape[1])
        return (
            x_gradient,
            gradient.t() @ x if wants_weight else None,
            gradient.sum(0) if wants_bias else None,
        )
