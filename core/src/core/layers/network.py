"""Hidden layers one after another, and a readout."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class NetworkOutput:
    """What a network gives.

    Attributes:
        y: ``[B, C]`` from a readout, else the output ``[T, B, N]`` of the last layer.
        spikes_TBN: Spikes of every spiking layer, before dropout.
        outputs_TBN: What left these layers, after dropout.
        state: Of every layer after the last step, the readout's last.
    """

    y: Tensor
    spikes_TBN: tuple[Tensor, ...]
    outputs_TBN: tuple[Tensor, ...]
    state: tuple[Any, ...]

    @property
    def firing_rates(self) -> Tensor:
        """What leaves each spiking neuron per step, averaged over time and batch; differentiable.

        One vector, layer after layer. Dropout is included, so that in training the single
        entries vary with its mask while their expectation does not change.
        """
        rates = [output.mean((0, 1)) for output in self.outputs_TBN]
        return torch.cat(rates) if rates else self.y.new_zeros(0)


class Network(nn.ModuleList):
    """Hidden layers (:class:`core.layers.shell.Shell`) and an optional readout, by position.

    Args:
        hidden: Layers whose forward gives a :class:`core.layers.shell.LayerOutput`.
        readout: Module whose forward gives a :class:`core.layers.readout.ReadoutOutput`; None for
            the sequence of the last hidden layer.
    """

    def __init__(self, hidden: Iterable[nn.Module], readout: nn.Module | None = None) -> None:
        layers = list(hidden)
        super().__init__(layers if readout is None else [*layers, readout])
        self.hidden_layers = len(layers)

    def forward(
        self,
        x_TBI: Tensor,
        state: Sequence[Any] | None = None,
        generator: torch.Generator | None = None,
    ) -> NetworkOutput:
        """Run all layers.

        Args:
            x_TBI: Input.
            state: State of every layer before the first step; None for the layers' own.
            generator: Where random initial states are drawn from, layer by layer.

        Raises:
            ValueError: Not one state per layer.
        """
        before = [None] * len(self) if state is None else state
        after, spikes, outputs = [], [], []
        y = x_TBI
        for place, (layer, given) in enumerate(zip(self, before, strict=True)):
            if place == self.hidden_layers:
                y, final = layer(y, given, generator)
            else:
                y, spikes_TBN, final = layer(y, given, generator)
                if spikes_TBN is not None:
                    spikes.append(spikes_TBN)
                    outputs.append(y)
            after.append(final)
        return NetworkOutput(y, tuple(spikes), tuple(outputs), tuple(after))
