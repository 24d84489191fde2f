r"""The spiking neurons of SS4D: one that a fixed network replaces, and two that it stands for.

A neuron with a hard reset cannot be computed for all steps at once. SDN (Shen et al., SpikingSSMs,
arXiv 2408.14909) predicts what the reset leaves of its membrane from the inputs before, and spikes
by that. Sequences are ``[B, H, T]``.
"""

from __future__ import annotations

from functools import cache
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from core.data.fetch import fetch
from core.neurons import Neuron
from core.neurons.leaky import SpikeAndPotential
from core.scan import scan
from core.surrogates import piecewise_quadratic

DECAY = 0.125
"""What a step leaves of the membrane."""
HISTORY = 8
"""Inputs before a step that the prediction sees."""

SS4DNeuron = Literal["sdn", "bptt", "sltt"]
"""A prediction of the membrane, or the recursion itself with its gradient through time or not."""


class Predictor(nn.Module):
    r"""``DECAY`` times the membrane after the step before, as three fixed convolutions see it.

        h = relu(conv1(x[t - 8 ... t - 1]));  z = relu(conv2(h) + h);  prediction = conv3(z)

    with 8 channels, and zeros before the first step. Nothing of it is trained.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(1, HISTORY, HISTORY)
        self.conv2 = nn.Conv1d(HISTORY, HISTORY, 1)
        self.conv3 = nn.Conv1d(HISTORY, 1, 1)
        self.requires_grad_(False)

    @torch.no_grad()
    def forward(self, x_BHT: Tensor) -> Tensor:
        """The prediction, in the shape of ``x``."""
        # As products: a convolution from one channel to eight takes ten times as long.
        past = nn.functional.pad(x_BHT, (HISTORY, -1)).unfold(-1, HISTORY, 1)
        past = past.reshape(-1, HISTORY)
        h = torch.relu(_product(past, self.conv1, self.conv1.weight[:, 0]))
        z = torch.relu(_product(h, self.conv2, self.conv2.weight[..., 0]) + h)
        return _product(z, self.conv3, self.conv3.weight[..., 0]).view(x_BHT.shape)


def _product(x: Tensor, convolution: nn.Conv1d, weight: Tensor) -> Tensor:
    return nn.functional.linear(x, weight, convolution.bias)


class SDN(nn.Module):
    r"""``s_t = Theta(prediction_t + x_t - 1)``, with spikes on the threshold, too.

    The gradient is that of the triangle in ``x_t``; none passes through the prediction. The
    predictor's weights are those of its authors, fetched as the data set ``sdn_predictor``.

    Raises:
        UserError: They are not on this machine; names the ways to get them.
    """

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):  # it is not drawn
            self.model = Predictor()
        if not self.model.conv1.weight.is_meta:  # a network that is only counted needs no values
            self.model.load_state_dict(published_predictor())

    def forward(self, x_BHT: Tensor) -> Tensor:
        """Spikes, in the shape of ``x``."""
        return piecewise_quadratic(self.model(x_BHT) + x_BHT - 1.0)


class HardResetLIF(Neuron):
    r"""The neuron that :class:`SDN` predicts, step by step.

        u_t = 0.125 v_{t-1} + I_t;  s_t = Theta(u_t - 1);  v_t = (1 - s_t) u_t

    No gradient passes through ``s_t`` of the reset, and with ``through_time`` off none through
    ``v_{t-1}`` ("sltt": spatial learning through time).

    Args:
        size: ``N``.
        through_time: Let the gradient pass from step to step.
    """

    State = SpikeAndPotential

    def __init__(self, size: int, *, through_time: bool = True) -> None:
        super().__init__(size)
        self.decay: Tensor
        self.add_number("decay", DECAY, size)
        self.through_time = through_time

    class Coefficients(NamedTuple):
        """The decay, ``[N]``."""

        decay: Tensor

    def coefficients(self) -> Coefficients:
        """What a step reads."""
        return self.Coefficients(self.decay)

    def step(
        self, coefficients: Coefficients, state: SpikeAndPotential, current: Tensor
    ) -> tuple[SpikeAndPotential, Tensor]:
        """The equations of the class."""
        before = state.potential if self.through_time else state.potential.detach()
        potential = coefficients.decay * before + current
        spike = piecewise_quadratic(potential - 1.0)
        return SpikeAndPotential(spike, (1.0 - spike.detach()) * potential), spike


class StepByStep(nn.Module):
    """:class:`HardResetLIF` in the place of :class:`SDN`."""

    def __init__(self, channels: int, *, through_time: bool) -> None:
        super().__init__()
        self.neuron = HardResetLIF(channels, through_time=through_time)

    def forward(self, x_BHT: Tensor) -> Tensor:
        """Spikes, in the shape of ``x``."""
        spikes_TBH, _ = scan(self.neuron, x_BHT.permute(2, 0, 1))
        return spikes_TBH.permute(1, 2, 0)


def make_neuron(kind: SS4DNeuron, channels: int) -> nn.Module:
    """The neuron called so, a module from ``[B, H, T]`` to spikes."""
    if kind == "sdn":
        return SDN()
    return StepByStep(channels, through_time=kind == "bptt")


@cache
def published_predictor() -> dict[str, Tensor]:
    """Weights of :class:`Predictor` by its authors.

    Raises:
        UserError: They are not on this machine; names the ways to get them.
    """
    file = fetch("sdn_predictor") / "sdn_predictor.npz"
    with np.load(file, allow_pickle=False) as arrays:  # its digest is the registered one
        return {name: torch.from_numpy(arrays[name]) for name in arrays}
