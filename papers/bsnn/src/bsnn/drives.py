"""What drove each hidden layer of a network, recovered from what went in and came out.

Nothing is kept while a network runs: inputs and spikes of a layer say what its currents were.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bsnn.currents import Drive
from bsnn.layer import BalancedLayer
from bsnn.models import BSNN
from core.layers import NetworkOutput, SpikingLayer
from core.layers.shell import Shell


def drives_of(model: BSNN, x_TBI: Tensor, output: NetworkOutput, *, published: bool) -> list[Drive]:
    """One per spiking layer; see :class:`bsnn.currents.Drive` for the two kinds of currents."""
    hidden = list(model.layers)[: model.layers.hidden_layers]
    inputs = [x_TBI, *output.outputs_TBN[:-1]]
    return [
        drive_of(layer, x, spikes, published=published)  # type: ignore[arg-type]
        for layer, x, spikes in zip(hidden, inputs, output.spikes_TBN, strict=True)
    ]


def drive_of(layer: Shell, x_TBI: Tensor, spikes_TBH: Tensor, *, published: bool) -> Drive:
    """Of one layer; the reversed sequences of both directions are ``B`` more samples.

    Args:
        layer: :class:`bsnn.layer.BalancedLayer` or a spiking layer of core.
        x_TBI: What went into it.
        spikes_TBH: Its spikes, before dropout.
        published: See :meth:`bsnn.currents.Drive.currents`.
    """
    if layer.bidirectional:
        x_TBI = torch.cat([x_TBI, x_TBI.flip(0)], dim=1)
        onward, reversed_ = spikes_TBH.chunk(2, dim=2)
        spikes_TBH = torch.cat([onward, reversed_.flip(0)], dim=1)
    x_TBI, spikes_TBH = x_TBI.detach(), spikes_TBH.detach()
    if isinstance(layer, BalancedLayer):
        decay = None if published else layer.neuron.coefficients().alpha.detach()
        return Drive(x_TBI, layer.W, spikes_TBH, layer.acting_V(), layer.V_slow, decay)
    assert isinstance(layer, SpikingLayer), "only layers that spike are tracked"
    weight = layer.recurrent_weight()
    V = torch.zeros(layer.size, layer.size).to(x_TBI) if weight is None else weight.t()
    decay = None if published else x_TBI.new_zeros(layer.size)
    return Drive(x_TBI, layer.W.weight, spikes_TBH, V, None, decay)
