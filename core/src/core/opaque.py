"""What functions share whose arithmetic PyTorch does not see: kernels of our own.

PyTorch knows their values and the derivative that they give it. Whoever needs more, the operations
themselves, must get PyTorch's own instead (:func:`watched`), an error that says so
(:func:`differentiable_once`), or leave them alone (:func:`uncompiled`).

``torch.compile`` and ``torch.export`` put a kernel into their graphs where it is a registered
operator. Eager code calls the kernel itself: the dispatch of an operator takes tens of
microseconds, and its first call imports PyTorch's compiler.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.utils._python_dispatch import _get_current_dispatch_mode

P = ParamSpec("P")
R = TypeVar("R")


def watched(*tensors: Any) -> str | None:
    """Why PyTorch must see the operations on these tensors, or None where values are enough."""
    if torch.compiler.is_compiling():
        return "torch.compile and torch.export take PyTorch's own operations"
    if torch._C._functorch.peek_interpreter_stack() is not None:
        return "torch.func transforms PyTorch's own operations alone"
    if forward_ad._current_level >= 0:
        return "it has no forward-mode derivative"
    if torch.jit.is_tracing() or _get_current_dispatch_mode() is not None:
        return "something watches PyTorch's operations (torch.export, torch.jit, a dispatch mode)"
    for tensor in tensors:
        if not isinstance(tensor, Tensor):
            continue
        if type(tensor) not in (Tensor, nn.Parameter):
            return f"it takes plain tensors, not {type(tensor).__name__}"
        if tensor.is_neg():
            return "it reads memory, where a negated view has the other sign (see resolve_neg)"
    return None


def recast(tensor: Tensor) -> str | None:
    """Why PyTorch chooses the precision of a product with this tensor, or None."""
    return "autocast" if torch.is_autocast_enabled(tensor.device.type) else None


class _Tie(torch.autograd.Function):
    """A number that depends on everything given, for autograd and not in truth."""

    @staticmethod
    def forward(ctx: Any, *inputs: Tensor | None) -> Tensor:
        return torch.zeros(())

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        raise AssertionError("whoever holds a tie refuses first")


class _Refuse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, what: str, tie: Tensor, count: int, *tensors: Tensor | None) -> Any:
        ctx.what = what
        return tuple(None if t is None else t.detach() for t in tensors[:count])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        raise RuntimeError(ctx.what)


def tie(*inputs: Tensor | None) -> Tensor:
    """For ``ctx.tie`` in the ``forward`` of :func:`differentiable_once`: what it depends on.

    Nothing is saved, so that no memory is held and the inputs may be written to.
    """
    with torch.enable_grad():
        tied: Tensor = _Tie.apply(*inputs)
    return tied


def differentiable_once(what: str) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """For a ``backward`` whose gradients PyTorch must not take for constants.

    ``torch.autograd.function.once_differentiable`` lets a penalty on gradients pass as zero: it
    looks at whether the gradients that come in depend on something, and not at the inputs.

    Args:
        what: Has no second derivative, and how there is one; the text of the RuntimeError.
    """

    def decorated(backward: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(backward)
        def guarded(ctx: Any, *gradients: Tensor | None) -> Any:
            # Kernels read memory, where a negated view has the other sign.
            given = [None if g is None else g.resolve_neg() for g in gradients]
            with torch.no_grad():
                results = backward(ctx, *given)
            if not torch.is_grad_enabled():
                return results
            return _Refuse.apply(what, ctx.tie, len(results), *results, *gradients)

        return guarded

    return decorated


def asked_once(function: Callable[P, R]) -> Callable[P, R]:
    """A function that ``torch.compile`` calls while it compiles, and takes the answer as given.

    It must answer the same as long as its arguments and the machine are the same.
    """
    # What torch.compiler.assume_constant_result does, which imports the compiler (seconds).
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function


def uncompiled(function: Callable[P, R]) -> Callable[P, R]:
    """A function that ``torch.compile`` leaves alone: its graph ends before and starts behind."""
    alone: list[Callable[P, R]] = []

    @asked_once
    def ready() -> bool:
        if not alone:
            alone.append(torch.compiler.disable(function, reason="its kernels are compiled"))
        return True

    @wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        # PyTorch's compiler takes seconds to import, and who has not does not compile.
        if "torch._dynamo" not in sys.modules:
            return function(*args, **kwargs)
        ready()
        return alone[0](*args, **kwargs)

    return called
