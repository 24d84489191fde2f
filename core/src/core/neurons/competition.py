"""Competition within a layer: the one neuron of a row that may spike."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from core.surrogates import boxcar


def winner(values: Tensor) -> Tensor:
    """1 at the first largest of the last dimension, 0 elsewhere; NaN is the largest there is.

    The one way in which a step may look at other neurons and still run fused: these very
    operations, the place of the largest written as a row, are known to :mod:`core.scan.rules`. It
    has no gradient.

    Args:
        values: ``[..., N]``.
    """
    return torch.zeros_like(values).scatter(-1, values.argmax(-1, keepdim=True), 1.0)


class _Compiled(torch.autograd.Function):
    """One spike per row of ``potential``; the boxcar of the distance to threshold backwards.

    What ``torch.compile`` can read, which takes no function with a ``jvp``.
    """

    @staticmethod
    def forward(potential: Tensor, threshold: Tensor | float, published: bool) -> Tensor:
        return winner(potential) * (potential > threshold)

    @staticmethod
    def setup_context(
        ctx: Any, inputs: tuple[Tensor, Tensor | float, bool], output: Tensor
    ) -> None:
        potential, threshold, published = inputs
        ctx.save_for_backward((output if published else potential) - threshold)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (distance,) = ctx.saved_tensors
        return gradient * boxcar.derivative(distance), None, None


class _WinnerTakesAll(_Compiled):
    """The same, also for forward mode and ``torch.func.vmap``."""

    generate_vmap_rule = True

    @staticmethod
    def setup_context(
        ctx: Any, inputs: tuple[Tensor, Tensor | float, bool], output: Tensor
    ) -> None:
        _Compiled.setup_context(ctx, inputs, output)
        ctx.save_for_forward(*ctx.to_save)

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, *_: Any) -> Tensor:
        (distance,) = ctx.saved_tensors
        return tangent * boxcar.derivative(distance)


def winner_takes_all(potential: Tensor, threshold: Tensor | float, *, published: bool) -> Tensor:
    r"""At most one spike per row: of the neuron with the largest potential, if above threshold.

    The winner is the first largest of the raw potentials, whatever the thresholds; when it stays
    below its own threshold nobody fires, even if another neuron is above its own. No gradient goes
    to the threshold; to the potential it is that of the spike, times

    * intended: 1 where ``-0.5 < u - threshold <= 0.5``, else 0;
    * published: 1 where ``-0.5 < s - threshold <= 0.5``, else 0. The authors' code overwrites the
      potential with the spike before autograd keeps it: for thresholds below 0.5 the gradient
      reaches exactly the neurons that did not fire, from 0.5 to 1.5 the one that did.

    Args:
        potential: ``[..., N]``.
        threshold: ``[N]``, or a number.
        published: Which gradient.
    """
    function = _Compiled if torch.compiler.is_compiling() else _WinnerTakesAll
    spikes: Tensor = function.apply(potential, threshold, published)
    return spikes
