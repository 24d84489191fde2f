"""The networks: hidden layers of one kind and a readout.

Batch comes first in and out of a call, as in the authors' code; training uses ``run``, where time
comes first and nothing is copied.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from bsnn.config import Config
from bsnn.layer import BalancedLayer, firing
from bsnn.readout import CroppedReadout
from core.layers import Network, PooledReadout, SpikingLayer
from core.layers.shell import Shell
from core.neurons import AdLIF, BoundedLIF, Neuron
from core.neurons.balanced import winner_takes_all
from core.spoken.networks import NON_SPIKING, NORMALIZATIONS, BatchFirst

INHERITED: dict[str, tuple[type[BoundedLIF] | type[AdLIF], bool]] = {
    "LIF": (BoundedLIF, False),
    "adLIF": (AdLIF, False),
    "RadLIF": (AdLIF, True),
}
"""Neurons of sparch, and whether their layer is recurrent."""


@dataclass(frozen=True)
class Sizes:
    """What a network needs to know of its task.

    Attributes:
        inputs: ``I``.
        classes: ``C``.
        t_crop: First step that the readout looks at.
    """

    inputs: int
    classes: int
    t_crop: int = 0


class BSNN(BatchFirst):
    """A network of the paper.

    Args:
        config: Settings.
        sizes: Of its task.
    """

    def __init__(self, config: Config, sizes: Sizes) -> None:
        super().__init__((config.batch_size, None, sizes.inputs))
        self.config = config
        hidden: list[Shell] = []
        inputs = sizes.inputs
        for _ in range(config.n_layers):
            hidden.append(_hidden(inputs, config))
            inputs = hidden[-1].outputs
        readout = _readout(inputs, config, sizes, hidden[-1])
        # the authors' names of the parts: snn.0.W
        self.add_module("snn" if config.is_spiking else "ann", Network(hidden, readout))

    @property
    def layers(self) -> Network:
        """All layers, the readout among them."""
        (network,) = self.children()
        assert isinstance(network, Network)
        return network

    def forward(self, x_BTI: Tensor) -> tuple[Tensor, Tensor]:
        """Scores ``[B, C]`` and firing rates ``[L, N]``: what leaves every neuron per step.

        Args:
            x_BTI: Input; ``[B, T, F, channels]`` is flattened to ``F * channels`` features.
        """
        output = self.run(self.time_first(x_BTI.flatten(2)))
        rates = [layer.mean((0, 1)) for layer in output.outputs_TBN]
        return output.y, torch.stack(rates) if rates else output.y.new_zeros(0)


def build(config: Config, sizes: Sizes) -> BSNN:
    """The network that ``config`` describes, with parameters from PyTorch's generator."""
    return BSNN(config, sizes)


def refit(model: nn.Module) -> None:
    """Let recurrent weights and thresholds of the first hidden layer follow its trained weights."""
    assert isinstance(model, BSNN)
    first = model.layers[0]
    assert isinstance(first, BalancedLayer), "the settings demand it"
    first.refit()


def _hidden(inputs: int, config: Config) -> Shell:
    if config.model == "RLIF":
        return BalancedLayer(inputs, config)
    shell: dict[str, Any] = {
        "normalization": NORMALIZATIONS.get(config.normalization, "none"),
        "bidirectional": config.bidirectional,
        "dropout": config.dropout,
    }
    if config.model in NON_SPIKING:
        return NON_SPIKING[config.model](inputs, config.neurons, **shell)
    kind, recurrent = INHERITED[config.model]
    make = partial(inherited_neuron, kind, config)
    return SpikingLayer(
        inputs, config.neurons, make, recurrent=recurrent, backend=config.backend, **shell
    )


def inherited_neuron(kind: type[BoundedLIF] | type[AdLIF], config: Config, size: int) -> Neuron:
    """A neuron of sparch, from random states; with ``single_spike`` it fires as the paper's do.

    The potential is compared after the threshold was taken off, so that the published gradient of a
    single spike reaches the neurons that did not fire.
    """
    if not config.single_spike:
        return kind(size, initial="uniform")
    published = firing(config) == "single_published"
    neuron = kind(
        size,
        initial="uniform",
        surrogate=partial(winner_takes_all, threshold=0.0, published=published),  # type: ignore[arg-type]
    )
    neuron.across_layer = True
    return neuron


def _readout(inputs: int, config: Config, sizes: Sizes, last: Shell) -> nn.Module:
    if not config.is_spiking:
        norm = NORMALIZATIONS.get(config.normalization, "none")
        return PooledReadout(inputs, sizes.classes, normalization=norm)
    if not config.auto_encoder:
        return CroppedReadout(inputs, sizes.classes, config, t_crop=sizes.t_crop)
    assert isinstance(last, BalancedLayer), "the settings demand it"
    W = last.W.detach().t().clone()
    return CroppedReadout(inputs, sizes.inputs, config, t_crop=sizes.t_crop, W=W)
