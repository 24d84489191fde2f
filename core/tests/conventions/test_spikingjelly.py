"""Neurons of SpikingJelly beside ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from core.conventions.spikingjelly import from_spikingjelly
from core.errors import UserError
from core.neurons import PLIF

from .parity import Forward, N, assert_equal, current, library

library("spikingjelly")
neuron = library("spikingjelly.activation_based.neuron")
surrogate = library("spikingjelly.activation_based.surrogate")


def per_neuron(*shape: int) -> Any:
    """A node with a tensor in place of its parameter, as its users do it."""
    node = neuron.ParametricLIFNode()
    node.w = torch.nn.Parameter(
        torch.linspace(-1.0, 1.0, N)[: torch.Size(shape).numel()].view(shape)
    )
    return node


NODES: dict[str, Callable[[], Any]] = {
    "IF": lambda: neuron.IFNode(),
    "IF, others": lambda: neuron.IFNode(v_threshold=0.7, v_reset=-0.2, detach_reset=True),
    "IF, soft": lambda: neuron.IFNode(v_reset=None),
    "LIF": lambda: neuron.LIFNode(),
    "LIF, others": lambda: neuron.LIFNode(3.0, False, v_threshold=0.7, v_reset=-0.2),
    "LIF, soft": lambda: neuron.LIFNode(1.5, v_reset=None, detach_reset=True),
    "PLIF": lambda: neuron.ParametricLIFNode(),
    "PLIF, others": lambda: neuron.ParametricLIFNode(3.0, decay_input=False, v_threshold=0.8),
    "PLIF, per neuron": lambda: per_neuron(1, N),
    "CUBALIF": lambda: neuron.CUBALIFNode(),
    "CUBALIF, soft": lambda: neuron.CUBALIFNode(0.3, 0.6, 0.8, None, surrogate.ATan()),
}
SURROGATES = {
    "ATan": 1.6,
    "Sigmoid": 3.0,
    "PiecewiseQuadratic": 0.7,
    "PiecewiseExp": 1.5,
    "SoftSign": 3.0,
    "Erf": 1.2,
    "SuperSpike": 0.6,
    "Rect": 0.8,
}


def run(node: Any) -> Forward:
    node.step_mode = "s"

    def forward(current_TBN: Tensor) -> tuple[Tensor, Tensor]:
        node.reset()
        spikes, potentials = [], []
        for one in current_TBN.unbind(0):
            spikes.append(node(one))
            potentials.append(node.v)
        return torch.stack(spikes), torch.stack(potentials)

    return forward


@pytest.mark.parametrize("name", NODES)
def test_nodes(name: str) -> None:
    node = NODES[name]()
    ours = from_spikingjelly(node, N)
    trained = "ParametricLIF" in type(node).__name__
    pairs = [(node.w, ours.get_parameter("w"))] if trained else []
    assert len(list(ours.parameters())) == len(pairs)
    assert_equal(run(node), ours, current(1.5), pairs)


@pytest.mark.parametrize("name", SURROGATES)
def test_surrogates(name: str) -> None:
    node = neuron.LIFNode(surrogate_function=getattr(surrogate, name)(SURROGATES[name]))
    assert_equal(run(node), from_spikingjelly(node, N), current(1.5))


def test_straight_through() -> None:
    node = neuron.LIFNode(surrogate_function=surrogate.DeterministicPass())
    ours = from_spikingjelly(node, N)
    assert isinstance(ours, PLIF)
    assert_equal(run(node), ours, current(1.5))


REFUSED = {
    "per channel": (lambda: per_neuron(1, 2, 1), "w expanded to a sample"),
    "resonating": (lambda: neuron.RAFNode(), "nearest is RF"),
    "CUBALIF": (lambda: neuron.CUBALIFNode(v_reset=0.2), "starts at v_reset"),
    "no spike": (
        lambda: neuron.IFNode(surrogate_function=surrogate.ATan(spiking=False)),
        "spiking",
    ),
    "surrogate": (lambda: neuron.IFNode(surrogate_function=surrogate.S2NN()), "surrogate S2NN"),
    "a layer": (lambda: torch.nn.Linear(2, 3), "Linear"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str) -> None:
    make, words = REFUSED[name]
    with pytest.raises(UserError, match=r"has no exact counterpart.*nearest is") as error:
        from_spikingjelly(make(), N)
    assert words in str(error.value)
