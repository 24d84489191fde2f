"""The shell around spiking neurons; equations are compared with the authors' in papers/sparch."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from core.errors import UserError
from core.layers import SpikingLayer
from core.layers.normalization import make_norm, normalize
from core.neurons import ALIF, BRF, LIF, AdLIF, BoundedLIF, CSiLIF, Neuron, SiLIF
from core.neurons.leaky import SpikeAndPotential
from core.scan import scan


@pytest.fixture(autouse=True)
def _seed(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    monkeypatch.delenv("SNN_BACKEND", raising=False)


def layer_and_input(
    neuron: Callable[[int], Neuron] = AdLIF, **options: Any
) -> tuple[SpikingLayer, Tensor]:
    """A layer and an input at which it spikes now and then."""
    return SpikingLayer(3, 8, neuron, **options), 8.0 * torch.randn(25, 4, 3)


@pytest.mark.parametrize("neuron", [BoundedLIF, AdLIF, SiLIF, CSiLIF, LIF, ALIF, BRF])
@pytest.mark.parametrize("recurrent", [False, True])
def test_any_neuron_fits(neuron: Callable[[int], Neuron], recurrent: bool) -> None:
    layer, x = layer_and_input(neuron, recurrent=recurrent, normalization="batchnorm", bias=True)
    result = layer(10.0 * x)
    assert result.output_TBH.shape == (25, 4, 8)
    assert set(result.spikes_TBH.unique().tolist()) <= {0.0, 1.0}
    result.output_TBH.sum().backward()
    assert all(parameter.grad is not None for parameter in layer.parameters())


def test_given_state_continues() -> None:
    layer, x = layer_and_input(recurrent=True)
    state = layer.neuron.initial_state(4)
    whole = layer(x, state)
    first = layer(x[:10], state)
    second = layer(x[10:], first.state)
    assert 0 < whole.spikes_TBH.sum() < whole.spikes_TBH.numel()
    assert torch.equal(torch.cat([first.spikes_TBH, second.spikes_TBH]), whole.spikes_TBH)
    assert all(map(torch.equal, second.state, whole.state))


def test_recurrent_weights_lead_from_row_to_column() -> None:
    layer = SpikingLayer(1, 2, BoundedLIF, recurrent=True)
    assert layer.V is not None
    with torch.no_grad():
        layer.W.weight.zero_()
        layer.V.weight.copy_(torch.tensor([[9.0, 0.5], [7.0, 9.0]]))
        layer.neuron.get_parameter("alpha").fill_(0.9)
    spike = torch.tensor([[1.0, 0.0]])  # neuron 0 has just spiked
    state = SpikeAndPotential(spike, torch.tensor([[1.0, 0.0]]))
    final = layer(torch.zeros(1, 1, 1), state).state
    # The diagonal counts for nothing, the reset takes 1 off neuron 0.
    assert final.potential[0].tolist() == pytest.approx([0.0, 0.1 * 0.5])


def test_recurrent_matrix_starts_orthogonal_and_its_diagonal_has_no_gradient() -> None:
    layer, x = layer_and_input(recurrent=True)
    assert layer.V is not None
    torch.testing.assert_close(
        layer.V.weight @ layer.V.weight.t(), torch.eye(8), rtol=0.0, atol=1e-5
    )
    layer(x).output_TBH.sum().backward()
    assert layer.V.weight.grad is not None
    assert layer.V.weight.grad.any()
    assert not layer.V.weight.grad.diagonal().any()


@pytest.mark.parametrize("normalization", ["none", "layernorm"])
def test_directions_are_two_runs_of_the_same_neurons(normalization: Any) -> None:
    layer, x = layer_and_input(recurrent=True, bidirectional=True, normalization=normalization)
    state = layer.neuron.initial_state(8)
    both = layer(x, state)
    layer.bidirectional = False
    parts = [[field[rows] for field in state] for rows in (slice(4), slice(4, 8))]
    onward = layer(x, layer.neuron.State(*parts[0]))
    backward = layer(x.flip(0), layer.neuron.State(*parts[1]))
    assert layer.outputs == 16
    assert torch.equal(both.spikes_TBH[..., :8], onward.spikes_TBH)
    assert torch.equal(both.spikes_TBH[..., 8:], backward.spikes_TBH.flip(0))
    assert 0 < both.spikes_TBH.sum() < both.spikes_TBH.numel()


@pytest.mark.parametrize("bidirectional", [False, True])
def test_batch_norm_is_over_steps_samples_and_directions(bidirectional: bool) -> None:
    layer, x = layer_and_input(bidirectional=bidirectional, normalization="batchnorm")
    current = layer.current(x, layer.W, layer.norm)
    torch.testing.assert_close(current.mean((0, 1)), torch.zeros(8), rtol=0.0, atol=1e-5)
    product = torch.nn.functional.linear(x, layer.W.weight).flatten(0, 1)
    if bidirectional:  # twice the same numbers: only the count of the unbiased variance differs
        product = torch.cat([product, product])
    norm: Any = layer.norm
    torch.testing.assert_close(norm.running_mean, 0.05 * product.mean(0))
    torch.testing.assert_close(norm.running_var, 0.95 + 0.05 * product.var(0))

    layer.eval()
    with torch.no_grad():
        norm.running_mean.fill_(2.0)
        norm.running_var.fill_(4.0 - 1e-5)
    onward = layer.current(x, layer.W, layer.norm)[:, :4]
    torch.testing.assert_close(onward.flatten(0, 1), (product[:100] - 2.0) / 2.0)


def test_dropout_comes_after_the_spikes() -> None:
    layer, x = layer_and_input(dropout=0.5)
    result = layer(x)
    kept = result.output_TBH != 0
    assert torch.equal(result.output_TBH, 2.0 * kept * result.spikes_TBH)
    assert 0 < kept.sum() < result.spikes_TBH.sum()
    layer.eval()
    result = layer(x)
    assert torch.equal(result.output_TBH, result.spikes_TBH)


def test_random_start_is_drawn_from_the_generator() -> None:
    layer, x = layer_and_input(partial(AdLIF, initial="uniform"))
    before = torch.get_rng_state()
    finals = [
        layer(x, generator=torch.Generator().manual_seed(seed)).state.potential
        for seed in (1, 1, 2)
    ]
    assert torch.equal(finals[0], finals[1])
    assert not torch.equal(finals[0], finals[2])
    assert torch.equal(torch.get_rng_state(), before)


def test_layer_is_projection_then_scan() -> None:
    layer, x = layer_and_input(recurrent=True, bias=True)
    state = layer.neuron.initial_state(4)
    current = x @ layer.W.weight.T + layer.W.bias
    expected, final = scan(
        layer.neuron, current, recurrent_weight=layer.recurrent_weight(), state=state
    )
    result = layer(x, state)
    assert torch.equal(result.output_TBH, expected)
    assert all(map(torch.equal, result.state, final))


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, set()),
        ({"recurrent": True}, {"V.weight"}),
        ({"bias": True, "normalization": "layernorm"}, {"W.bias", "norm.weight", "norm.bias"}),
    ],
)
def test_state_dict_has_only_what_the_layer_uses(options: Any, names: set[str]) -> None:
    layer, _ = layer_and_input(BoundedLIF, **options)
    assert set(layer.state_dict()) == {"W.weight", "neuron.alpha"} | names


def test_backend_is_handed_to_scan() -> None:
    layer, x = layer_and_input(backend="warp")
    with pytest.raises(UserError, match="'warp'"):
        layer(x)


def test_unknown_normalization() -> None:
    with pytest.raises(ValueError, match="not 'groupnorm'"):
        SpikingLayer(3, 8, LIF, normalization="groupnorm")  # type: ignore[arg-type]


def test_layer_norm_is_over_the_neurons_of_one_step() -> None:
    x = torch.randn(5, 2, 30)
    y = normalize(make_norm("layernorm", 30), x)
    expected = (x - x.mean(2, keepdim=True)) / (x.var(2, correction=0, keepdim=True) + 1e-5).sqrt()
    torch.testing.assert_close(y, expected)


def test_batch_norm_of_one_value_per_neuron() -> None:
    """Two steps of one sample are enough, and evaluation needs nothing."""
    layer, _ = layer_and_input(normalization="batchnorm")
    size = layer.W.in_features
    layer(torch.rand(2, 1, size))
    with pytest.raises(UserError, match=r"one value per neuron, .*another --batch_size"):
        layer(torch.rand(1, 1, size))
    layer.eval()(torch.rand(1, 1, size))
