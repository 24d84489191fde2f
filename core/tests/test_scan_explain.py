"""Which backend runs each layer, and why, in one line each."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from core.layers import GRULayer, Layer, Network, SoftmaxSumReadout, SpikingLayer
from core.neurons import LIF, AdLIF
from core.projection import project
from core.scan import explain, scan


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
    dense = "dense product (4 outputs, a sparse one pays from 64)"
    assert lines[0] == f"0.neuron: recurrent AdLIF [7, 2, 4] on cpu ({cpu}), {dense}"
    assert lines[1].startswith(
        f"1.neuron: LIF [7, 2, 5] on reference ({cpu}; cpu: another was asked for), dense product ("
    )
    assert lines[2].startswith(f"2.neuron: Choosy [7, 2, 6] on reference ({cpu}; cpu: ")
    assert lines[3].startswith("3.neuron: BoundedLI [7, 2, 2] on cpu")
    assert network.training
    assert all(module.training for module in network.modules())
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key]), "nothing in the network changes"


def test_products_and_dropout_stand_in_the_line_of_their_layer() -> None:
    torch.manual_seed(0)
    network = Network(
        [
            SpikingLayer(700, 128, LIF, dropout=0.1, bidirectional=True),
            GRULayer(256, 6, dropout=0.2),
            Layer(6, LIF(64), recurrent=True, mask_probability=0.5),
        ],
        SoftmaxSumReadout(64, 2),
    )
    x = (torch.rand(50, 32, 700) < 0.02).float()
    sparse, gated, pruned, readout = explain(network, x)
    assert [len(line.products) for line in (sparse, gated, pruned, readout)] == [1, 3, 1, 1]
    assert sparse.products[0].startswith("sparse product (2.")
    assert sparse.products[0].endswith("% of its input are not zero)")
    assert sparse.dropout == gated.dropout == "cpu"
    assert pruned.dropout == readout.dropout == ""
    assert str(gated) == (
        "1: GRULayer [50, 32, 6], dense product (6 outputs, a sparse one pays from 64), "
        "dropout on cpu"
    )
    assert pruned.products == (
        "dense product (614,400 multiplications, a sparse one pays from 10,000,000)",
    )
    (dense, *_) = explain(network, torch.rand(50, 32, 700))
    assert dense.products == ("dense product (100.0% of its input are not zero)",)
    (halved, *_) = explain(network.half(), torch.rand(5, 2, 700).half())
    assert halved.products == (
        "dense product (a sparse one takes float32 or float64, not torch.float16)",
    )
    assert halved.dropout == (
        "PyTorch's operations (its kernel takes float32 or float64, not torch.float16)"
    )


class Own(nn.Module):
    """A module of somebody's own, with the parts of a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 3))
        self.neuron = LIF(4)

    def forward(self, x: Tensor) -> Tensor:
        return scan(self.neuron, project(x, 2.0 * self.weight))[0]


def test_parts_that_are_no_layer() -> None:
    (line,) = explain(Own(), torch.rand(5, 2, 3))
    assert line.name == "neuron"
    assert len(line.products) == 1, "a weight made on the way belongs to whatever comes next"


def test_a_network_without_scans() -> None:
    assert explain(nn.Linear(2, 2), torch.rand(3, 2)) == []
