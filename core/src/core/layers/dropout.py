"""Dropout that costs little more than moving its data."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from core.opaque import watched
from core.scan.cpu.backend import missing
from core.tap import onlooker

#: The least of 64 bits.
LEAST = -(1 << 63)


class Dropout(nn.Module):
    """``torch.nn.Dropout``; on the CPU without memory for a mask, see :mod:`core.scan.cpu.dropout`.

    Every call draws one seed from PyTorch's global generator.

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
        if self.p == 0.0:
            return x
        if not torch.compiler.is_compiling() and (looking := onlooker()) is not None:
            reason = _left_to_pytorch(x)
            looking.dropped(self, "cpu" if reason is None else f"PyTorch's operations ({reason})")
        return _drop(x, self.p) if self.training else x

    def extra_repr(self) -> str:
        """For ``print(model)``."""
        return f"p={self.p}"


def _drop(x: Tensor, p: float) -> Tensor:
    if _left_to_pytorch(x) is not None:
        return nn.functional.dropout(x, p)
    if torch.compiler.is_compiling():
        # The same draw of the generator: PyTorch cannot print the operator of the other in a graph.
        return dropout(x, p, torch.randint(LEAST, -(LEAST + 1), ()) ^ LEAST)
    seed = int(torch.empty((), dtype=torch.int64).random_(LEAST, None))
    result: Tensor = _Dropout.apply(x, p, seed)
    return result


def _left_to_pytorch(x: Tensor) -> str | None:
    """Why the kernel does not take ``x``, or None."""
    if x.device.type != "cpu":
        return f"on {x.device.type}"
    if x.dtype not in (torch.float32, torch.float64):
        return f"its kernel takes float32 or float64, not {x.dtype}"
    return missing() or (None if torch.compiler.is_compiling() else watched(x))


def _forward(x: Tensor, p: float, seed: int) -> Tensor:
    from core.scan.cpu.dropout import drop

    return drop(x.contiguous().resolve_neg(), p, seed)


class _Dropout(torch.autograd.Function):
    """A linear function, which is its own derivative."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, p: float, seed: int) -> Tensor:
        ctx.p, ctx.seed = p, seed
        return _forward(x, p, seed)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return _Dropout.apply(gradient, ctx.p, ctx.seed), None, None


@torch.library.custom_op("core::dropout", mutates_args=())
def dropout(x: Tensor, p: float, seed: Tensor) -> Tensor:
    """The same as an operator in graphs; the seed is a number that each of its runs draws."""
    return _forward(x, p, int(seed))


@dropout.register_fake
def _(x: Tensor, p: float, seed: Tensor) -> Tensor:
    return x.new_empty(x.shape)


def _keep(ctx: Any, inputs: tuple[Tensor, float, Tensor], output: Tensor) -> None:
    _, ctx.p, seed = inputs
    ctx.save_for_backward(seed)


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
    return dropout(gradient, ctx.p, *ctx.saved_tensors), None, None


dropout.register_autograd(_backward, setup_context=_keep)
