"""The readout: leaky integrators whose softmax is summed over the end of a sequence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from bsnn.config import Config
from bsnn.layer import hold
from core.layers.normalization import make_norm, normalize
from core.layers.readout import ReadoutOutput, TracedReadout
from core.layers.sequence import SequenceModule
from core.neurons import Neuron, Uniform
from core.neurons.base import Potential
from core.projection import project
from core.scan import scan
from core.spoken.networks import NORMALIZATIONS


class Integrator(Neuron):
    r"""Leaky integrator with a bounded or fixed decay, counted in steps of the data.

        u_t = alpha u_{t-1} + (1 - alpha) I_t

    A trained ``alpha`` is clamped to ``[exp(-1 / (5 R)), exp(-1 / (25 R))]`` in the forward, a
    fixed one is taken as it is. Its output is the potential, which starts at zero.

    Args:
        size: ``N``.
        alpha: Factor per step; None draws it uniformly within its limits.
        train_alpha: A parameter rather than a buffer.
        repeat: ``R``, simulation steps per step of the data.
    """

    State = Potential
    spiking = False

    def __init__(self, size: int, *, alpha: float | None, train_alpha: bool, repeat: int) -> None:
        super().__init__(size)
        self.limits = math.exp(-1.0 / (5.0 * repeat)), math.exp(-1.0 / (25.0 * repeat))
        drawn = Uniform(*self.limits).sample(size) if alpha is None else torch.full((size,), alpha)
        self.alpha: Tensor
        hold(self, "alpha", drawn, fixed=not train_alpha)

    class Coefficients(NamedTuple):
        """``alpha`` ``[N]``."""

        alpha: Tensor

    def coefficients(self) -> Coefficients:
        """A trained ``alpha`` within its limits."""
        trained = isinstance(self.alpha, nn.Parameter)
        return self.Coefficients(torch.clamp(self.alpha, *self.limits) if trained else self.alpha)

    def step(
        self, coefficients: Coefficients, state: Potential, current: Tensor
    ) -> tuple[Potential, Tensor]:
        """The equation of the class."""
        (alpha,) = coefficients
        potential = alpha * state.potential + (1.0 - alpha) * current
        return Potential(potential), potential


class _SumOfSteps(torch.autograd.Function):
    """``x.sum(0)``, one step added after the other."""

    @staticmethod
    def forward(ctx: Any, x_TBC: Tensor) -> Tensor:
        ctx.steps = len(x_TBC)
        if x_TBC.device.type != "cpu":
            return x_TBC.sum(0)
        return torch.from_numpy(np.add.accumulate(x_TBC.numpy(), axis=0)[-1].copy())

    @staticmethod
    def backward(ctx: Any, gradient_BC: Tensor) -> Tensor:
        return gradient_BC.expand(ctx.steps, *gradient_BC.shape)


class CroppedReadout(SequenceModule):
    r"""One score per class, from the steps after the cues.

        u_t = alpha u_{t-1} + (1 - alpha) norm(W s_t)
        y   = sum over t >= t_crop of softmax(u_t)

    Every row of ``y`` sums to ``T - t_crop``; it is taken as logits, so that the number of steps is
    an inverse temperature. Steps are added one after the other, as in the authors' code: over
    thousands of them, rounding shows in the loss. ``W`` is ``U(+-1/sqrt(I))``,
    ``alpha`` uniform or, balanced, ``exp(-1 / (15 R))``.

    Args:
        inputs: ``I``.
        classes: ``C``.
        config: Settings.
        t_crop: First step that counts.
        W: ``[C, I]``; None draws it.
    """

    records = True
    W: Tensor

    def __init__(
        self, inputs: int, classes: int, config: Config, *, t_crop: int, W: Tensor | None = None
    ) -> None:
        super().__init__(inputs)
        bound = math.sqrt(1.0 / inputs)
        drawn = torch.empty(classes, inputs).uniform_(-bound, bound) if W is None else W
        hold(self, "W", drawn, fixed=config.fix_w_out)
        self.neuron = Integrator(
            classes,
            alpha=math.exp(-1.0 / (15.0 * config.repeat)) if config.balance else None,
            train_alpha=not config.fix_tau_out,
            repeat=config.repeat,
        )
        self.norm = make_norm(NORMALIZATIONS.get(config.normalization, "none"), classes)
        self.t_crop = t_crop
        self.backend = config.backend

    def over_time(
        self,
        x_TBI: Tensor,
        state: Any,
        generator: torch.Generator | None,
        record: Sequence[str] | None = None,
    ) -> ReadoutOutput | TracedReadout:
        """Scores ``[B, C]`` and the final state.

        Raises:
            ValueError: The sequence ends before a step that counts.
        """
        if len(x_TBI) <= self.t_crop:
            raise ValueError(
                f"the readout counts steps from {self.t_crop} on, and the sequence has "
                f"{len(x_TBI)}; give it longer inputs"
            )
        current_TBC = normalize(self.norm, project(x_TBI, self.W))
        potential_TBC, state, traces = scan(
            self.neuron,
            current_TBC,
            state=state,
            backend=self.backend,
            generator=generator,
            record=record or (),
        )
        shares_TBC = torch.softmax(potential_TBC[self.t_crop :], dim=-1)
        y_BC: Tensor = _SumOfSteps.apply(shares_TBC)
        result = ReadoutOutput(y_BC, state)
        return result if record is None else result.traced(traces)
