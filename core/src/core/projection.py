"""``W x_t + bias`` for all steps at once, into memory that is used again.

Spikes are mostly zero: on the CPU, an input with few other values is multiplied by
:mod:`core.scan.cpu.sparse`, which adds rows of the weight instead.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from core.buffers import empty
from core.opaque import recast, watched
from core.scan.cpu.backend import missing
from core.tap import onlooker

#: Share of values other than zero below which rows are added. A dense product is faster from 42 %
#: on, or never, on the processor where that was measured (core/benchmarks); others may multiply
#: twice as fast.
SPARSE = 0.25
#: Rows of an input that are looked at to estimate that share.
SAMPLE = 256
#: Outputs, and multiplications of the dense product, below which the search costs too much.
FEW_OUTPUTS, FEW_PRODUCTS = 64, 10_000_000


def project(x_TBI: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``torch.nn.functional.linear``; on the CPU its large results lie in :mod:`core.buffers`.

    Args:
        x_TBI: Input of every step.
        weight: ``[N, I]``.
        bias: ``[N]``.

    Returns:
        ``[T, B, N]``.
    """
    if torch.compiler.is_compiling():
        theirs = _left_to_the_compiler(x_TBI, weight)
        return nn.functional.linear(x_TBI, weight, bias) if theirs else linear(x_TBI, weight, bias)
    reason = _left_to_pytorch(x_TBI, weight, bias)
    if (looking := onlooker()) is not None:
        looking.projected(x_TBI, weight, _product(x_TBI, weight, reason))
    if reason is not None:
        return nn.functional.linear(x_TBI, weight, bias)
    result: Tensor = _Linear.apply(x_TBI, weight, bias)
    return result


def _left_to_pytorch(x: Tensor, *others: Tensor | None) -> str | None:
    """Why no kernel of this package takes these tensors, or None."""
    if x.device.type != "cpu":
        return f"on {x.device.type}"
    return recast(x) or watched(x, *others)


def _left_to_the_compiler(x_TBI: Tensor, weight: Tensor) -> bool:
    """Whether a compiled graph has PyTorch's product: a dense one is in good hands there."""
    outputs, dtypes = len(weight), (torch.float32, torch.float64)
    return (
        x_TBI.device.type != "cpu"
        or recast(x_TBI) is not None
        or missing() is not None
        or not (x_TBI.dtype == weight.dtype and weight.dtype in dtypes)
        or outputs < FEW_OUTPUTS
        or x_TBI.numel() * outputs < FEW_PRODUCTS
    )


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_TBI: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.sparse = mostly_zero(x_TBI.flatten(0, 1), weight)
        ctx.save_for_backward(x_TBI, weight)
        return _forward(x_TBI, weight, bias, ctx.sparse)

    @staticmethod
    def backward(ctx: Any, gradient_TBN: Tensor) -> tuple[Tensor | None, ...]:
        x_TBI, weight = ctx.saved_tensors
        x, gradient = x_TBI.flatten(0, 1), gradient_TBN.flatten(0, 1)
        wants_x, wants_weight, wants_bias = ctx.needs_input_grad
        x_gradient, weight_gradient = None, None
        if torch.is_grad_enabled():  # gradients of gradients are autograd's
            x_gradient = gradient_TBN @ weight if wants_x else None
        elif wants_x:
            x_gradient = empty(tuple(x_TBI.shape), x.dtype)
            torch.mm(gradient, weight, out=x_gradient.flatten(0, 1))
        if wants_weight:
            sparse = ctx.sparse and not torch.is_grad_enabled()
            weight_gradient = _weight_gradient(x, gradient, sparse)
        return x_gradient, weight_gradient, gradient.sum(0) if wants_bias else None


def _forward(x_TBI: Tensor, weight: Tensor, bias: Tensor | None, sparse: bool) -> Tensor:
    x = x_TBI.flatten(0, 1)
    result_TBN = empty((*x_TBI.shape[:2], len(weight)), x.dtype)
    result = result_TBN.flatten(0, 1)
    if sparse:
        from core.scan.cpu.sparse import product

        product(x.contiguous(), weight, bias, result)
    elif bias is None:
        torch.mm(x, weight.t(), out=result)
    else:
        torch.addmm(bias, x, weight.t(), out=result)
    return result_TBN


def _weight_gradient(x_MI: Tensor, gradient_MN: Tensor, sparse: bool) -> Tensor:
    if sparse:
        from core.scan.cpu.sparse import weight_gradient

        return weight_gradient(x_MI.contiguous(), gradient_MN.contiguous().resolve_neg())
    return gradient_MN.t() @ x_MI


@torch.library.custom_op("core::linear", mutates_args=())
def linear(x_TBI: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """:func:`project` as an operator in the graphs of ``torch.compile`` and ``torch.export``."""
    return _forward(x_TBI, weight, bias, mostly_zero(x_TBI.flatten(0, 1), weight))


@torch.library.custom_op("core::linear_weight_gradient", mutates_args=())
def linear_weight_gradient(x_TBI: Tensor, gradient_TBN: Tensor) -> Tensor:
    """The gradient of the weight ``[N, I]``, by the same kind of product as forwards."""
    x, gradient = x_TBI.flatten(0, 1), gradient_TBN.flatten(0, 1)
    # Shape and precision are all that is asked of a weight.
    return _weight_gradient(x, gradient, mostly_zero(x, gradient.t())).contiguous()


@linear.register_fake
def _(x_TBI: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return x_TBI.new_empty((*x_TBI.shape[:2], weight.shape[0]))


@linear_weight_gradient.register_fake
def _(x_TBI: Tensor, gradient_TBN: Tensor) -> Tensor:
    return x_TBI.new_empty((gradient_TBN.shape[2], x_TBI.shape[2]))


def _keep(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor | None], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:2])


def _backward(ctx: Any, gradient_TBN: Tensor) -> tuple[Tensor | None, ...]:
    x_TBI, weight = ctx.saved_tensors
    wants_x, wants_weight, wants_bias = ctx.needs_input_grad
    return (
        gradient_TBN @ weight if wants_x else None,
        linear_weight_gradient(x_TBI, gradient_TBN) if wants_weight else None,
        gradient_TBN.sum((0, 1)) if wants_bias else None,
    )


linear.register_autograd(_backward, setup_context=_keep)


def mostly_zero(x_MI: Tensor, weight_NI: Tensor) -> bool:
    """Whether a product is worth doing by what is not zero, judged by some rows of the input."""
    return _too_small(x_MI, weight_NI) is None and _share(x_MI) < SPARSE


def _too_small(x_MI: Tensor, weight_NI: Tensor) -> str | None:
    """Why the input is not even looked at, or None."""
    dtypes, outputs = {x_MI.dtype, weight_NI.dtype}, len(weight_NI)
    if len(dtypes) > 1 or not dtypes <= {torch.float32, torch.float64}:
        return (
            f"a sparse one takes float32 or float64, not {' and '.join(sorted(map(str, dtypes)))}"
        )
    if (reason := missing()) is not None:
        return reason
    if outputs < FEW_OUTPUTS:
        return f"{outputs} outputs, a sparse one pays from {FEW_OUTPUTS}"
    products = x_MI.numel() * outputs
    if products < FEW_PRODUCTS:
        return f"{products:,} multiplications, a sparse one pays from {FEW_PRODUCTS:,}"
    return None


def _share(x_MI: Tensor) -> float:
    """Share of values that are not zero, estimated."""
    sample = x_MI[:: max(1, len(x_MI) // SAMPLE)]
    return int(sample.count_nonzero()) / max(1, sample.numel())


def _product(x_TBI: Tensor, weight: Tensor, left: str | None) -> str:
    """Which product :func:`project` takes, and why, for who looks on."""
    if left is not None:
        return f"PyTorch's product ({left})"
    x = x_TBI.flatten(0, 1)
    if (reason := _too_small(x, weight)) is not None:
        return f"dense product ({reason})"
    kind = "sparse" if mostly_zero(x, weight) else "dense"
    return f"{kind} product ({_share(x):.1%} of its input are not zero)"
