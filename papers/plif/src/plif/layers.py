"""Layers over whole sequences ``[T, B, ...]``, and how a container of them runs.

What does not know time (convolution, pooling, products) sees it folded into the batch; what does
(neurons, frozen dropout, batch norm per step) takes it as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from core.buffers import empty
from core.neurons import PLIF
from core.opaque import recast, watched
from core.scan import scan


class FrozenDropout(nn.Dropout):
    """Dropout whose mask is drawn once for a sequence and holds for all of its steps.

    The mask is what ``dropout(ones)`` gives for one step, as in the authors' code, from PyTorch's
    global generator. (Their flag ``dropout_spikes`` sets every input that is not zero to 1 as well;
    it is used on spikes alone, where that is the same.)
    """

    def forward(self, x_TBN: Tensor) -> Tensor:
        """``x`` times the mask while training, else ``x``."""
        if not self.training:
            return x_TBN
        return x_TBN * self.mask(x_TBN[0])

    def mask(self, like_BN: Tensor) -> Tensor:
        """Zeros with probability ``p``, else ``1 / (1 - p)``."""
        return nn.functional.dropout(torch.ones_like(like_BN), self.p)


class _StepNorm(torch.autograd.Function):
    """Batch norm of every step by itself, written where the sequence lies.

    Steps that are normalised one after the other and stacked move everything once more, in both
    directions, into memory that is new each time.
    """

    @staticmethod
    def forward(ctx: Any, x_TBCHW: Tensor, weight: Tensor, bias: Tensor, norm: Any) -> Tensor:
        result = empty(tuple(x_TBCHW.shape), x_TBCHW.dtype)
        mean_TC = x_TBCHW.new_empty(len(x_TBCHW), norm.num_features)
        inverse_TC = torch.empty_like(mean_TC)
        running = norm.running_mean, norm.running_var
        for x, y, mean, inverse in zip(x_TBCHW, result, mean_TC, inverse_TC, strict=True):
            torch.native_batch_norm(
                *(x, weight, bias, *running, True, norm.momentum, norm.eps),
                out=(y, mean, inverse),
            )
        ctx.save_for_backward(x_TBCHW, weight, mean_TC, inverse_TC)
        ctx.eps = norm.eps
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x_TBCHW, weight, mean_TC, inverse_TC = ctx.saved_tensors
        result = empty(tuple(x_TBCHW.shape), x_TBCHW.dtype)
        wanted = tuple(ctx.needs_input_grad[:3])
        parts_TC = torch.empty_like(mean_TC), torch.empty_like(mean_TC)
        for t, y in enumerate(result):
            torch.ops.aten.native_batch_norm_backward.out(
                *(gradient[t], x_TBCHW[t], weight, None, None, mean_TC[t], inverse_TC[t]),
                *(True, ctx.eps, (True, True, True)),
                **{"out0": y, "out1": parts_TC[0][t], "out2": parts_TC[1][t]},
            )
        # In single precision and from the last step on, as autograd adds those of single steps.
        sums = (reduce(torch.add, part.flip(0).unbind()) for part in parts_TC)
        found = result, *sums
        return *(one if want else None for one, want in zip(found, wanted, strict=True)), None


class SequenceBatchNorm(nn.BatchNorm2d):
    """Batch norm of ``[T, B, C, H, W]``.

    Args:
        channels: ``C``.
        statistics: While training, mean and variance are taken over the ``B`` maps of a ``step``,
            and the running ones are updated ``T`` times (the published networks, which run step by
            step); or over all ``T B`` maps of the ``sequence``, with one update (multi-step layers
            of SpikingJelly). Evaluation is the same for both.
    """

    def __init__(self, channels: int, statistics: Literal["step", "sequence"] = "step") -> None:
        super().__init__(channels)
        self.statistics = statistics

    def forward(self, x_TBCHW: Tensor) -> Tensor:
        """Normalised maps."""
        normalise = super().forward
        if self.training and self.statistics == "step":
            theirs = recast(x_TBCHW) or watched(x_TBCHW, self.weight, self.bias)
            if x_TBCHW.device.type == "cpu" and not theirs:
                self.get_buffer("num_batches_tracked").add_(len(x_TBCHW))
                result: Tensor = _StepNorm.apply(x_TBCHW, self.weight, self.bias, self)
                return result
            return torch.stack([normalise(x) for x in x_TBCHW])
        return normalise(x_TBCHW.flatten(0, 1)).view_as(x_TBCHW)


class _Pool(torch.autograd.Function):
    """Max pooling that keeps two bits of a window, where PyTorch keeps input and 64 bits."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        size = (*x.shape[:-2], x.shape[-2] // 2, x.shape[-1] // 2)
        pooled, bits = _like(x, size), x.new_empty(size, dtype=torch.uint8)
        for maps, most, places in zip(x, pooled, bits, strict=True):  # what is in the caches
            (a, b), (c, d) = _corners(maps)
            above, below = torch.maximum(a, b), torch.maximum(c, d)
            torch.maximum(above, below, out=most)
            lower = below > above
            places.copy_(torch.where(lower, d > c, b > a)).add_(lower, alpha=2)
        ctx.save_for_backward(bits)
        ctx.size = x.shape
        return pooled

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (bits,) = ctx.saved_tensors
        odd = ctx.size[-2] % 2 or ctx.size[-1] % 2
        result = gradient.new_zeros(ctx.size) if odd else _like(gradient, ctx.size)
        for maps, given, places in zip(result, gradient, bits, strict=True):
            for row, corners in enumerate(_corners(maps)):
                for column, corner in enumerate(corners):
                    torch.mul(given, places == 2 * row + column, out=corner)
        return result


def _like(x: Tensor, size: tuple[int, ...]) -> Tensor:
    """Memory of the same kind; on a CPU such as was used before."""
    return empty(tuple(size), x.dtype) if x.device.type == "cpu" else x.new_empty(size)


def _corners(x: Tensor) -> list[list[Tensor]]:
    """The four places of all windows of 2 x 2, by row and column, as views."""
    height, width = (size // 2 * 2 for size in x.shape[-2:])
    return [[x[..., row:height:2, column:width:2] for column in (0, 1)] for row in (0, 1)]


class SpikePool(nn.MaxPool2d):
    """Max pooling of windows of 2 x 2; the gradient goes to the first of equal maxima.

    What it keeps for the backward pass is a sixteenth of its input, where PyTorch keeps one and a
    half times as much as its input.
    """

    def __init__(self) -> None:
        super().__init__(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Maps of half the size, ``[N, C, H, W]``."""
        if x.requires_grad and torch.is_grad_enabled():
            pooled: Tensor = _Pool.apply(x)
            return pooled
        return super().forward(x)


class Voting(nn.AvgPool1d):
    """Mean of ten neighbouring neurons each: ``[B, 10 C]`` to ``[B, C]``."""

    def __init__(self) -> None:
        super().__init__(10, 10)

    def forward(self, x_BN: Tensor) -> Tensor:
        """Votes."""
        return super().forward(x_BN.unsqueeze(1)).squeeze(1)


def over_time(
    layers: Iterable[nn.Module], x: Tensor, backend: str, spikes_TBN: list[Tensor] | None = None
) -> Tensor:
    """Run layers on a sequence ``[T, B, ...]``.

    Args:
        layers: One after the other.
        x: The sequence.
        backend: Of the scans.
        spikes_TBN: Takes the spikes of every neuron on the way, ``[T, B, N]``.
    """
    for layer in layers:
        if isinstance(layer, PLIF):
            x = spiking(layer, x, backend)
            if spikes_TBN is not None:
                spikes_TBN.append(x.flatten(2))
        elif isinstance(layer, FrozenDropout | SequenceBatchNorm):
            x = layer(x)
        else:
            x = layer(x.flatten(0, 1)).unflatten(0, x.shape[:2])
    return x


def spiking(neurons: PLIF, x: Tensor, backend: str) -> Tensor:
    """Spikes of a current ``[T, B, ...]``, in full precision under autocast too."""
    if torch.is_autocast_enabled(x.device.type):
        with torch.autocast(x.device.type, enabled=False):
            return spiking(neurons, x.float(), backend)
    spikes, _ = scan(neurons, x.flatten(2), backend=backend)
    return spikes.view(x.shape)


def neurons_of(modules: nn.Module) -> Sequence[PLIF]:
    """The neurons of a network, from its input on."""
    return [module for module in modules.modules() if isinstance(module, PLIF)]
