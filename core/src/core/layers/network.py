"""Hidden layers one after another, and a readout."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import register_dataclass

from core.layers.sequence import time_first, turned
from core.scan import Traces
from core.scan.fields import to_record


@dataclass(frozen=True)
class NetworkOutput:
    """What a network gives.

    Attributes:
        y: ``[B, C]`` from a readout, else the output ``[T, B, N]`` of the last layer. Where batch
            comes first, all sequences are ``[B, T, N]``.
        spikes_TBN: Spikes of every spiking layer, before dropout.
        outputs_TBN: What left these layers, after dropout.
        state: Of every layer after the last step, the readout's last.
        traces: Of the same: field -> values, see :class:`core.layers.TracedOutput`; empty where
            nothing was recorded.
    """

    y: Tensor
    spikes_TBN: tuple[Tensor, ...]
    outputs_TBN: tuple[Tensor, ...]
    state: tuple[Any, ...]
    traces: tuple[Traces, ...] = ()

    @property
    def firing_rates(self) -> Tensor:
        """What leaves each spiking neuron per step, averaged over time and batch; differentiable.

        One vector, layer after layer. Dropout is included, so that in training the single
        entries vary with its mask while their expectation does not change.
        """
        rates = [output.mean((0, 1)) for output in self.outputs_TBN]
        return torch.cat(rates) if rates else self.y.new_zeros(0)


# So that torch.export and torch.func.vmap hand its tensors out.
register_dataclass(NetworkOutput, serialized_type_name="core.layers.NetworkOutput")


class Network(nn.ModuleList):
    """Hidden layers and an optional readout, by position.

    Args:
        hidden: Layers whose forward gives a :class:`core.layers.LayerOutput`.
        readout: Module whose forward gives a :class:`core.layers.readout.ReadoutOutput`, or a layer
            whose output is the network's; None for the output of the last hidden layer.
        batch_first: Sequences go in and out as ``[B, T, I]`` instead of ``[T, B, I]``; the layers
            hand them on time first.

    Raises:
        ValueError: A layer has ``batch_first`` of its own.
    """

    def __init__(
        self,
        hidden: Iterable[nn.Module],
        readout: nn.Module | None = None,
        *,
        batch_first: bool = False,
    ) -> None:
        layers = list(hidden)
        super().__init__(layers if readout is None else [*layers, readout])
        self.hidden_layers = len(layers)
        self.batch_first = batch_first
        if any(getattr(layer, "batch_first", False) for layer in self):
            raise ValueError(
                "layers of a network hand on [T, B, N]: say batch_first=True to the network alone"
            )

    def forward(
        self,
        x_TBI: Tensor,
        state: Sequence[Any] | None = None,
        generator: torch.Generator | None = None,
        record: Sequence[str] | None = None,
    ) -> NetworkOutput:
        """Run all layers.

        Args:
            x_TBI: Input, ``[B, T, I]`` with ``batch_first``.
            state: State of every layer before the first step; None for the layers' own.
            generator: Where random initial states are drawn from, layer by layer.
            record: Fields of states whose value after every step is wanted, of every layer whose
                neurons have them.

        Raises:
            ValueError: Not one state per layer, an input that the first layer does not take, or a
                field that no layer has.
        """
        inputs = getattr(next(iter(self), None), "inputs", None)
        y = time_first(x_TBI, inputs, "the network", batch_first=self.batch_first)
        before = [None] * len(self) if state is None else state
        recordable = [getattr(layer, "recordable", ()) for layer in self]
        names = to_record(record, dict.fromkeys(chain(*recordable)), "the network")
        after, spikes, outputs, traces = [], [], [], []
        for place, (layer, given) in enumerate(zip(self, before, strict=True)):
            found = [name for name in names if name in recordable[place]]
            result = layer(y, given, generator, **({"record": found} if found else {}))
            traces.append(result.traces if found else {})
            y = result[0]
            if place < self.hidden_layers and result.spikes_TBH is not None:
                spikes.append(result.spikes_TBH)
                outputs.append(y)
            after.append(result.state)
        if self.batch_first:
            spikes, outputs = ([s.transpose(0, 1) for s in each] for each in (spikes, outputs))
            y = y.transpose(0, 1) if y.dim() == 3 else y
            traces = [turned(each) for each in traces]
        return NetworkOutput(y, tuple(spikes), tuple(outputs), tuple(after), tuple(traces))
