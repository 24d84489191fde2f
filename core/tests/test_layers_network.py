"""Layers without spikes, readouts and whole networks, against their equations in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from core.layers import (
    GRULayer,
    LiGRULayer,
    MLPLayer,
    Network,
    PooledReadout,
    RNNLayer,
    SoftmaxSumReadout,
    SpikingLayer,
)
from core.layers.gated import GatedLayer
from core.neurons import AdLIF

KINDS = [MLPLayer, RNNLayer, LiGRULayer, GRULayer]
Array = Any


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def sigmoid(x: Array) -> Array:
    return 1.0 / (1.0 + np.exp(-x))


def softmax(x: Array) -> Array:
    raised = np.exp(x)
    return raised / raised.sum(-1, keepdims=True)


def in_numpy(layer: GatedLayer, x_TBI: Tensor) -> Array:
    """The equations of :mod:`core.layers.gated`, without normalisation."""
    w = {name: tensor.detach().numpy() for name, tensor in layer.state_dict().items()}
    y, outputs = np.zeros((x_TBI.shape[1], layer.size)), []

    def through(gate: str, x: Array, y: Array) -> Array:
        total = x @ w[f"W{gate}.weight"].T + w[f"W{gate}.bias"]
        return total + y @ w[f"V{gate}.weight"].T if layer.recurrent else total

    for x in x_TBI.numpy():
        if isinstance(layer, LiGRULayer | GRULayer):
            z = sigmoid(through("z", x, y))
            if isinstance(layer, GRULayer):
                candidate = np.tanh(through("", x, sigmoid(through("r", x, y)) * y))
            else:
                candidate = np.maximum(through("", x, y), 0.0)
            y = z * y + (1.0 - z) * candidate
        else:
            y = sigmoid(through("", x, y))
        outputs.append(y)
    return np.stack(outputs)


@pytest.mark.parametrize("kind", KINDS)
def test_gated_layers(kind: type[GatedLayer]) -> None:
    layer = kind(3, 5, bias=True).double()
    x = torch.randn(7, 2, 3, dtype=torch.float64)
    result = layer(x)
    np.testing.assert_allclose(result.output_TBH.detach(), in_numpy(layer, x), rtol=1e-12)
    assert torch.equal(result.state, result.output_TBH[-1])
    later = layer(x[4:], layer(x[:4]).state)
    assert torch.equal(later.output_TBH, result.output_TBH[4:])


@pytest.mark.parametrize("kind", [RNNLayer, LiGRULayer, GRULayer])
def test_gated_layers_in_both_directions(kind: type[GatedLayer]) -> None:
    layer = kind(3, 5, normalization="layernorm", bidirectional=True)
    x = torch.randn(7, 2, 3)
    both = layer(x).output_TBH
    layer.bidirectional = False
    assert layer.outputs == both.shape[2] == 10
    torch.testing.assert_close(both[..., :5], layer(x).output_TBH)
    torch.testing.assert_close(both[..., 5:], layer(x.flip(0)).output_TBH.flip(0))


@pytest.mark.parametrize("kind", [RNNLayer, LiGRULayer, GRULayer])
def test_recurrent_matrices_start_orthogonal(kind: type[GatedLayer]) -> None:
    layer = kind(3, 5)
    for gate in layer.GATES:
        matrix = layer.get_parameter(f"V{gate}.weight")
        torch.testing.assert_close(matrix @ matrix.t(), torch.eye(5), rtol=0.0, atol=1e-5)


@pytest.mark.parametrize("backend", ["reference", "auto"])
def test_softmax_sum_readout(backend: str) -> None:
    readout = SoftmaxSumReadout(3, 4, bias=True, backend=backend).double()
    x = torch.randn(9, 2, 3, dtype=torch.float64)
    state = readout.neuron.initial_state(2)
    u, total = state.potential.numpy(), np.zeros((2, 4))
    alpha = readout.neuron.alpha.detach().numpy()
    weight, bias = readout.W.weight.detach().numpy(), readout.W.bias.detach().numpy()
    for current in x.numpy() @ weight.T + bias:
        u = alpha * u + (1.0 - alpha) * current
        total = total + softmax(u)
    y_BC, final = readout(x, state)
    np.testing.assert_allclose(y_BC.detach(), total, rtol=1e-12)
    np.testing.assert_allclose(y_BC.detach().sum(1), [9.0, 9.0], rtol=1e-12)
    np.testing.assert_allclose(final.potential.detach(), u, rtol=1e-12)
    generators = [torch.Generator().manual_seed(1) for _ in range(2)]
    assert torch.equal(*[readout(x, generator=generator).y_BC for generator in generators])


def test_pooled_readout() -> None:
    readout = PooledReadout(3, 4, bias=True).double()
    x = torch.randn(9, 2, 3, dtype=torch.float64)
    pooled = softmax(x.numpy()).sum(0)
    expected = pooled @ readout.W.weight.detach().numpy().T + readout.W.bias.detach().numpy()
    np.testing.assert_allclose(readout(x).y_BC.detach(), expected, rtol=1e-12)


# --- networks -----------------------------------------------------------------------------------


def spiking_network(readout: bool = True, dropout: float = 0.0) -> tuple[Network, Tensor]:
    hidden = [SpikingLayer(i, n, AdLIF, dropout=dropout) for i, n in ((3, 6), (6, 5))]
    last = SoftmaxSumReadout(5, 4) if readout else None
    return Network(hidden, last), 10.0 * torch.randn(12, 2, 3)


def test_network_runs_layer_after_layer() -> None:
    network, x = spiking_network()
    states = [layer.neuron.initial_state(2) for layer in network]  # type: ignore[union-attr, operator]
    first = network[0](x, states[0])
    second = network[1](first.output_TBH, states[1])
    y_BC, final = network[2](second.output_TBH, states[2])
    output = network(x, states)
    assert torch.equal(output.y, y_BC)
    assert torch.equal(output.spikes_TBN[0], first.spikes_TBH)
    assert torch.equal(output.spikes_TBN[1], second.spikes_TBH)
    assert len(output.spikes_TBN) == 2
    assert torch.equal(output.state[2].potential, final.potential)
    again = network(x, generator=torch.Generator().manual_seed(4))
    assert torch.equal(network(x, generator=torch.Generator().manual_seed(4)).y, again.y)


def test_network_without_a_readout_gives_the_last_layer() -> None:
    network, x = spiking_network(readout=False)
    output = network(x)
    assert torch.equal(output.y, output.spikes_TBN[1])
    assert output.y.shape == (12, 2, 5)


def test_firing_rates_are_those_of_what_leaves_the_layers() -> None:
    network, x = spiking_network(dropout=0.5)
    output = network(x)
    assert output.firing_rates.shape == (11,)
    expected = [layer.detach().mean((0, 1)) for layer in output.outputs_TBN]
    torch.testing.assert_close(output.firing_rates.detach(), torch.cat(expected))
    assert not torch.equal(output.outputs_TBN[0], output.spikes_TBN[0])
    output.firing_rates.sum().backward()
    assert network.get_parameter("0.W.weight").grad is not None


def test_a_network_that_does_not_spike_has_no_rates() -> None:
    output = Network([MLPLayer(3, 6)], PooledReadout(6, 4))(torch.randn(5, 2, 3))
    assert output.spikes_TBN == ()
    assert output.firing_rates.shape == (0,)
    assert output.y.shape == (2, 4)


def test_one_state_per_layer() -> None:
    network, x = spiking_network()
    with pytest.raises(ValueError, match="shorter"):
        network(x, [None, None])
