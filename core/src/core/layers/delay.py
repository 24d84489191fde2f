"""Spikes that take time to arrive: a delay of steps for each neuron."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from core.neurons.base import Init, Normal, Uniform
from core.opaque import watched
from core.scan.cpu.backend import missing


class AxonalDelay(nn.Module):
    r"""Delay what each neuron sends by ``d`` steps, its own, which may be learned.

    With ``k = floor(d)`` and ``f = d - k``:

        y_t = (1 - f) z_{t-k} + f z_{t-k-1}

    and zero where that is before the first step. A whole number ``d`` is a shift; between whole
    numbers a spike arrives in two parts, whose gradient with respect to ``d`` is
    ``z_{t-k-1} - z_{t-k}``. The delay is kept within ``[0, longest]``.

    Args:
        size: ``N`` neurons.
        initial: Steps at the start: a distribution, or one number for all.
        longest: Steps at most, a whole number.
        learnable: Train the delays; otherwise they are rounded to whole steps, as a shift.

    Attributes:
        delay: ``[N]`` in steps, a parameter where it is learned.

    Raises:
        ValueError: ``longest`` is below 0, or a number ``initial`` outside of ``[0, longest]``.
    """

    def __init__(
        self, size: int, *, initial: Init = 0.0, longest: int, learnable: bool = False
    ) -> None:
        super().__init__()
        if longest < 0:
            raise ValueError(f"the longest delay is a number of steps from 0, not {longest}")
        self.longest = longest
        if isinstance(initial, Uniform | Normal):
            delay_N = initial.sample(size).clamp(0.0, longest)
        elif not 0.0 <= initial <= longest:
            raise ValueError(f"a delay of {initial} steps is outside of 0 to {longest}")
        else:
            delay_N = torch.full((size,), float(initial))
        self.delay: Tensor
        if learnable:
            self.delay = nn.Parameter(delay_N)
        else:
            self.register_buffer("delay", delay_N.round())

    def forward(self, spikes_TBN: Tensor) -> Tensor:
        """The delayed ``[T, B, N]``."""
        delay_N = self.delay.clamp(0.0, self.longest).to(spikes_TBN.dtype)
        return delayed(spikes_TBN, delay_N)

    def extra_repr(self) -> str:
        """For ``print(model)``."""
        kind = "learned" if isinstance(self.delay, nn.Parameter) else "fixed"
        return f"{len(self.delay)}, {kind}, up to {self.longest} steps"


def delayed(x_TBN: Tensor, delay_N: Tensor) -> Tensor:
    """``x`` as :class:`AxonalDelay` passes it on, ``delay`` in steps and not below 0."""
    if _left_to_pytorch(x_TBN, delay_N) is not None:
        return _by_pytorch(x_TBN, delay_N)
    result: Tensor = _Delay.apply(x_TBN, delay_N)
    return result


def _left_to_pytorch(x: Tensor, delay: Tensor) -> str | None:
    """Why the kernel does not take these, or None."""
    if x.device.type != "cpu":
        return f"on {x.device.type}"
    if x.dtype not in (torch.float32, torch.float64) or delay.dtype != x.dtype:
        return f"its kernel takes float32 or float64, not {x.dtype}"
    return watched(x, delay) or missing()


def _parts(delay_N: Tensor) -> tuple[Tensor, Tensor]:
    """Whole steps (int64) and the fraction of one."""
    whole_N = delay_N.detach().floor()
    return whole_N.to(torch.int64), delay_N - whole_N


def _by_pytorch(x_TBN: Tensor, delay_N: Tensor) -> Tensor:
    whole_N, fraction_N = _parts(delay_N)

    def shifted(steps_N: Tensor) -> Tensor:
        source_TN = torch.arange(len(x_TBN), device=x_TBN.device)[:, None] - steps_N
        index_TBN = source_TN.clamp(min=0)[:, None].expand(x_TBN.shape)
        inside_TBN = (source_TN >= 0)[:, None]
        return torch.where(inside_TBN, x_TBN.gather(0, index_TBN), x_TBN.new_zeros(()))

    return (1.0 - fraction_N) * shifted(whole_N) + fraction_N * shifted(whole_N + 1)


class _Delay(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_TBN: Tensor, delay_N: Tensor) -> Tensor:
        from core.scan.cpu.delay import taps

        ctx.save_for_backward(x_TBN, delay_N)
        whole_N, fraction_N = _parts(delay_N)
        return taps(x_TBN.contiguous(), whole_N, 1.0 - fraction_N, fraction_N, back=False)

    @staticmethod
    def backward(ctx: Any, gradient_TBN: Tensor) -> tuple[Tensor | None, ...]:
        from core.scan.cpu.delay import taps

        wanted = ctx.needs_input_grad
        if torch.is_grad_enabled():  # gradients of gradients are autograd's
            inputs = [t for t, want in zip(ctx.saved_tensors, wanted, strict=True) if want]
            output_TBN = _by_pytorch(*ctx.saved_tensors)
            found = iter(torch.autograd.grad(output_TBN, inputs, gradient_TBN, create_graph=True))
            return tuple(next(found) if want else None for want in wanted)
        x_TBN, delay_N = ctx.saved_tensors
        whole_N, fraction_N = _parts(delay_N)
        gradient_TBN = gradient_TBN.contiguous().resolve_neg()
        of_x = of_delay = None
        if wanted[0]:
            of_x = taps(gradient_TBN, whole_N, 1.0 - fraction_N, fraction_N, back=True)
        if wanted[1]:
            ones_N = torch.ones_like(fraction_N)
            slope_TBN = taps(x_TBN.contiguous(), whole_N, -ones_N, ones_N, back=False)
            of_delay = (gradient_TBN * slope_TBN).sum((0, 1))
        return of_x, of_delay
