"""The networks of the paper built of SpikingJelly's own modules, to compare with."""

from __future__ import annotations

from typing import Literal

import torch
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from torch import Tensor, nn

from core.neurons import PLIF
from plif.layers import FrozenDropout, SequenceBatchNorm
from plif.models import SpikingNet, StaticNet


class Peer(nn.Module):
    """The same network with the same weights, of SpikingJelly's modules.

    Args:
        net: Ours; its weights and running statistics are shared, not copied.
        mode: ``m``: all steps layer by layer, batch norm over the sequence. ``s``: all layers step
            by step, batch norm over a step.
    """

    def __init__(self, net: SpikingNet, mode: Literal["m", "s"]) -> None:
        super().__init__()
        self.mode = mode
        self.steps = net.steps if isinstance(net, StaticNet) else 0
        self.static_conv = net.static_conv if isinstance(net, StaticNet) else None
        modules = [*net.conv, *net.fc]
        self.layers = nn.Sequential(*map(_same, modules), layer.VotingLayer(10))
        functional.set_step_mode(self.layers, mode)

    def forward(self, x_TBCHW: Tensor) -> Tensor:
        """Votes ``[B, C]``, summed over time; starts at rest."""
        if self.static_conv is not None:
            current: Tensor = self.static_conv(x_TBCHW[0])
            x_TBCHW = current.expand(self.steps, *current.shape)
        functional.reset_net(self.layers)
        if self.mode == "m":
            return self.layers(x_TBCHW).sum(0)
        return torch.stack([self.layers(x) for x in x_TBCHW]).sum(0)


def node_like(neurons: PLIF) -> neuron.BaseNode:
    """SpikingJelly's node with the same parameters."""
    options = {
        "surrogate_function": surrogate.ATan(float(neurons.slope.detach())),
        "v_threshold": neurons.threshold,
        "v_reset": neurons.reset,
        "detach_reset": neurons.detach_reset,
    }
    if neurons.divides:
        return neuron.LIFNode(float(neurons.tau), **options)
    node = neuron.ParametricLIFNode(2.0, **options)
    node.w = neurons.w
    return node


def _same(module: nn.Module) -> nn.Module:
    """The module of SpikingJelly that does the same, with the same parameters."""
    if isinstance(module, PLIF):
        return node_like(module)
    if isinstance(module, FrozenDropout):
        return layer.Dropout(module.p)
    if isinstance(module, nn.Flatten):
        return layer.Flatten()
    if isinstance(module, nn.MaxPool2d):
        return layer.MaxPool2d(2, 2)
    if isinstance(module, nn.AvgPool2d):
        return layer.AvgPool2d(2, 2)
    if isinstance(module, SequenceBatchNorm):
        made: nn.Module = layer.BatchNorm2d(module.num_features)
    elif isinstance(module, nn.Conv2d):
        made = layer.Conv2d(module.in_channels, module.out_channels, 3, padding=1, bias=False)
    elif isinstance(module, nn.Linear):
        made = layer.Linear(module.in_features, module.out_features, bias=False)
    else:
        raise TypeError(f"no module like {type(module).__name__}")
    for name, parameter in module.named_parameters():
        setattr(made, name, parameter)
    for name, buffer in module.named_buffers():
        setattr(made, name, buffer)
    return made
