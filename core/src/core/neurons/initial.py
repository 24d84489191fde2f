"""Initial states that the authors' code draws anew in every forward."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch

from core.neurons.base import Neuron

Initial = Literal["uniform", "zero"]


class RandomStart(Neuron):
    """A neuron whose state may start at ``U[0, 1)``, the "spike" before the first step included.

    The numbers are drawn in training and in evaluation, on the CPU and in PyTorch's default
    precision whatever the neuron has, so that a seed of the CPU decides them on every device.
    Source: the code of Bittar and Garner (2022), which the later papers of that family share.

    Args:
        size: ``N``.
        initial: ``uniform`` as above, or ``zero``; every neuron of this kind starts at zero unless
            a paper asks for the other.
    """

    draw_order: ClassVar[tuple[tuple[str, ...], ...]]
    """Fields of the state in the order in which they are drawn; two that stand together are the
    real and imaginary part of one complex number."""

    def __init__(self, size: int, *, initial: Initial) -> None:
        super().__init__(size)
        if initial not in ("uniform", "zero"):
            raise ValueError(f"the initial state is uniform or zero, not {initial!r}")
        self.initial = initial

    def initial_state(self, batch: int, generator: torch.Generator | None = None) -> Any:
        """The state before the first step, each field ``[B, N]``.

        Args:
            batch: ``B``, may be zero.
            generator: Generator of the CPU; None for PyTorch's global one.
        """
        zero = super().initial_state(batch, generator)
        if self.initial == "zero":
            return zero
        drawn = {}
        for fields in self.draw_order:
            parts = torch.rand(batch, self.size, len(fields), generator=generator).unbind(-1)
            drawn.update({name: part.to(zero[0]) for name, part in zip(fields, parts, strict=True)})
        return self.State(**drawn)
