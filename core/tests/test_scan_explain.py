"""Which backend runs each layer, and why, in one line each."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from core.layers import Layer, Network, SoftmaxSumReadout, SpikingLayer
from core.neurons import LIF, AdLIF
from core.scan import explain


class Choosy(LIF):
    """Decides by a value in Python, so that no kernel can be made of it."""

    def step(self, coefficients: Any, state: Any, current: Tensor) -> Any:
        return super().step(coefficients, state, current * (1 + (float(current.sum()) > 1e9)))


def test_a_line_per_layer() -> None:
    network = Network(
        [
            SpikingLayer(3, 4, AdLIF, recurrent=True, normalization="batchnorm"),
            SpikingLayer(4, 5, LIF, backend="reference"),
            Layer(5, Choosy(6)),
        ],
        SoftmaxSumReadout(6, 2),
    ).train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    lines = [str(line) for line in explain(network, torch.rand(7, 2, 3))]
    cpu = "gpu: it takes tensors on cuda, not on cpu"
    assert lines[0] == f"0.neuron: recurrent AdLIF [7, 2, 4] on cpu ({cpu})"
    assert lines[1] == (f"1.neuron: LIF [7, 2, 5] on reference ({cpu}; cpu: another was asked for)")
    assert lines[2].startswith(f"2.neuron: Choosy [7, 2, 6] on reference ({cpu}; cpu: ")
    assert lines[3].startswith("3.neuron: BoundedLI [7, 2, 2] on cpu")
    assert network.training
    assert all(module.training for module in network.modules())
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key]), "nothing in the network changes"


def test_a_network_without_scans() -> None:
    assert explain(nn.Linear(2, 2), torch.rand(3, 2)) == []
