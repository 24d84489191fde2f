"""Modules as a whole through pickle: to other processes, and into files of ``torch.save``."""

from __future__ import annotations

import io
import pickle

import pytest
import torch
from torch import Tensor

from core import neurons
from core.layers import GRULayer, Layer, Network, PooledReadout, SoftmaxSumReadout, SpikingLayer
from core.neurons import LIF, PLIF, Neuron
from core.scan import kinds
from core.surrogates import SURROGATES, Surrogate, atan_surrogate

NEURONS = [
    kind
    for kind in vars(neurons).values()
    if isinstance(kind, type) and issubclass(kind, Neuron) and kind is not Neuron
]


def network(kind: type[Neuron]) -> Network:
    torch.manual_seed(0)
    first = Layer(3, kind(8), recurrent=kind.spiking, backend="reference")
    if not kind.spiking:
        return Network([first])
    second = SpikingLayer(8, 6, kind, normalization="batchnorm", dropout=0.2, backend="reference")
    return Network([first, second], SoftmaxSumReadout(6, 2, backend="reference"))


@pytest.mark.parametrize("kind", NEURONS)
def test_a_network_of_every_neuron(kind: type[Neuron]) -> None:
    made = network(kind)
    x = 20.0 * torch.randn(9, 5, 3)
    buffer = io.BytesIO()
    torch.save(made, buffer)
    buffer.seek(0)
    saved = torch.load(buffer, weights_only=False)
    for again in (pickle.loads(pickle.dumps(made)), saved):
        again.train()
        results = []
        for each in (made, again):
            torch.manual_seed(1)
            output = each(x)
            output.y.square().mean().backward()
            gradients = [p.grad for p in each.parameters() if p.grad is not None]
            results.append([output.y, *output.spikes_TBN, *gradients])
            each.zero_grad()
        assert len(results[0]) == len(results[1]) > 1
        assert all(map(torch.equal, *results))


@pytest.mark.parametrize("kind", [PLIF, LIF])
def test_nothing_is_traced_anew(kind: type[Neuron], monkeypatch: pytest.MonkeyPatch) -> None:
    made = kind(3)
    graph = kinds.graph_of(made, torch.float32, masked=False)
    monkeypatch.setattr(kinds, "trace", None)
    assert kinds.graph_of(pickle.loads(pickle.dumps(made)), torch.float32, masked=False) is graph


def test_layers_without_spikes() -> None:
    made, x = Network([GRULayer(3, 8)], PooledReadout(8, 2)), torch.randn(9, 5, 3)
    assert torch.equal(pickle.loads(pickle.dumps(made))(x).y, made(x).y)


def steep(x: Tensor) -> Tensor:
    return torch.clamp(1.0 - 4.0 * x.abs(), min=0.0)


@pytest.mark.parametrize(
    "surrogate",
    [*SURROGATES.values(), atan_surrogate(0.7), Surrogate("steep", steep)],
    ids=lambda surrogate: surrogate.name,
)
def test_every_surrogate(surrogate: Surrogate) -> None:
    again = pickle.loads(pickle.dumps(LIF(3, surrogate=surrogate))).surrogate
    assert again == surrogate
    x = torch.linspace(-1.0, 1.0, 21)
    assert torch.equal(again.derivative(x), surrogate.derivative(x))
    assert torch.equal(again(x), surrogate(x))
