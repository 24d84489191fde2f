"""What layers, readouts and networks share: one result, either order of dimensions, refusals."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from core import neurons
from core.layers import (
    GRULayer,
    Layer,
    LayerOutput,
    Network,
    PooledReadout,
    SoftmaxSumReadout,
    SpikingLayer,
)
from core.layers.sequence import SequenceModule
from core.neurons import LI, LIF, Neuron
from core.scan import scan

NEURONS = [
    kind
    for kind in vars(neurons).values()
    if isinstance(kind, type) and issubclass(kind, Neuron) and kind is not Neuron
]
LAYERS: dict[str, Callable[..., SequenceModule]] = {
    "joint": lambda **options: Layer(3, LIF(8, tau_mem=2.0), recurrent=True, **options),
    "spiking": lambda **options: SpikingLayer(3, 8, lambda n: LIF(n, tau_mem=2.0), **options),
    "directions": lambda **options: SpikingLayer(3, 4, LIF, bidirectional=True, **options),
    "gated": lambda **options: GRULayer(3, 8, **options),
    "softmax": lambda **options: SoftmaxSumReadout(3, 8, **options),
    "pooled": lambda **options: PooledReadout(3, 8, **options),
}


def pair(kind: str) -> tuple[SequenceModule, SequenceModule, Tensor]:
    """The same module time first and batch first, and an input ``[T, B, I]``."""
    torch.manual_seed(0)
    made = LAYERS[kind](), LAYERS[kind](batch_first=True)
    made[1].load_state_dict(made[0].state_dict())
    return *made, 20.0 * torch.randn(9, 5, 3)


@pytest.mark.parametrize("kind", LAYERS)
def test_batch_first_is_the_same_with_two_dimensions_exchanged(kind: str) -> None:
    ours, theirs, x = pair(kind)
    expected, result = ours(x), theirs(x.transpose(0, 1))
    if not isinstance(expected, LayerOutput):
        assert torch.equal(result.y_BC, expected.y_BC)
        return
    assert result.output_TBH.shape == (5, 9, 8)
    assert torch.equal(result.output_TBH.transpose(0, 1), expected.output_TBH)
    if expected.spikes_TBH is not None:
        assert 0 < expected.spikes_TBH.sum() < expected.spikes_TBH.numel()
        assert torch.equal(result.spikes_TBH.transpose(0, 1), expected.spikes_TBH)
    later = theirs(x.transpose(0, 1), result.state)  # a state has no time: it is the same
    assert torch.equal(later.output_TBH.transpose(0, 1), ours(x, expected.state).output_TBH)


@pytest.mark.parametrize("kind", LAYERS)
def test_an_evaluation_draws_nothing_unless_asked_to(kind: str) -> None:
    module, _, x = pair(kind)
    before = torch.get_rng_state()
    results = module.eval()(x), module(x)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(results[0][0], results[1][0])


@pytest.mark.parametrize("neuron", NEURONS)
def test_every_neuron_starts_at_zero_unless_asked_to(neuron: type[Neuron]) -> None:
    made = neuron(8).eval()
    before = torch.get_rng_state()
    assert all(not field.any() for field in made.initial_state(2))
    current = 5.0 * torch.ones(9, 2, 8)
    assert torch.equal(scan(made, current)[0], scan(made, current)[0])
    assert torch.equal(torch.get_rng_state(), before)


def test_layers_of_both_kinds_in_one_network() -> None:
    torch.manual_seed(0)
    layers = [Layer(3, LIF(8, tau_mem=2.0), recurrent=True), SpikingLayer(8, 6, LIF)]
    network, x = Network(layers, Layer(6, LI(4))), 20.0 * torch.randn(9, 5, 3)
    output = network(x)
    assert output.y.shape == (9, 5, 4)
    assert [tuple(s.shape) for s in output.spikes_TBN] == [(9, 5, 8), (9, 5, 6)]
    assert output.firing_rates.shape == (14,)
    assert torch.equal(output.y, network[2](output.outputs_TBN[1]).output_TBH)
    halves = network(x[:4])
    assert torch.equal(network(x[4:], halves.state).y, output.y[4:])


def test_a_layer_that_does_not_spike_has_no_spikes() -> None:
    output = Network([Layer(3, LIF(8)), Layer(8, LI(4))])(torch.rand(9, 5, 3))
    assert output.y.shape == (9, 5, 4)
    assert len(output.spikes_TBN) == 1
    assert Layer(8, LI(4))(torch.rand(9, 5, 8)).spikes_TBH is None


def test_a_network_with_batch_first() -> None:
    torch.manual_seed(0)
    layers = [SpikingLayer(3, 8, lambda n: LIF(n, tau_mem=2.0))]
    x = 20.0 * torch.randn(9, 5, 3)
    output = Network(layers, batch_first=True)(x.transpose(0, 1))
    expected = Network(layers)(x)
    assert output.y.shape == output.outputs_TBN[0].shape == (5, 9, 8)
    assert torch.equal(output.y.transpose(0, 1), expected.y)
    assert torch.equal(output.spikes_TBN[0].transpose(0, 1), expected.spikes_TBN[0])
    torch.testing.assert_close(output.firing_rates, expected.firing_rates)
    readout = SoftmaxSumReadout(8, 2)
    scores = Network(layers, readout, batch_first=True)(x.transpose(0, 1)).y
    assert torch.equal(scores, Network(layers, readout)(x).y)


def test_layers_of_a_network_are_time_first() -> None:
    with pytest.raises(ValueError, match="batch_first=True to the network alone"):
        Network([SpikingLayer(3, 8, LIF, batch_first=True)], batch_first=True)


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize(
    ("shape", "hint"),
    [
        ((9, 3), "; a single sample or a single step is a dimension of size 1$"),
        ((9, 5, 4), "$"),
        ((9, 3, 5), "; features come last$"),
        ((2, 9, 5, 3), "$"),
    ],
)
def test_inputs_of_another_shape(kind: str, shape: tuple[int, ...], hint: str) -> None:
    for module, order in zip(
        pair(kind)[:2], (r"\[T, B, 3\]", r"\[B, T, 3\] \(batch first\)"), strict=True
    ):
        given = str(shape).replace("(", r"\(").replace(")", r"\)")
        message = f"input has shape {given}, {type(module).__name__} takes {order}{hint}"
        with pytest.raises(ValueError, match=message):
            module(torch.zeros(shape))


def test_a_network_names_the_input_that_it_takes() -> None:
    for batch_first, order in ((False, r"\[T, B, 3\]"), (True, r"\[B, T, 3\] \(batch first\)")):
        network = Network([SpikingLayer(3, 8, LIF)], batch_first=batch_first)
        with pytest.raises(ValueError, match=rf"\(9, 5, 4\), the network takes {order}"):
            network(torch.zeros(9, 5, 4))


@pytest.mark.parametrize("kind", ["joint", "spiking", "directions", "gated", "softmax"])
def test_an_input_of_other_samples_than_the_state(kind: str) -> None:
    ours, theirs, x = pair(kind)
    state = ours(x).state
    for module, given, wanted in ((ours, x.transpose(0, 1), True), (theirs, x, False)):
        steps, batch, _ = given.shape
        message = rf"state has shape \(\d+, \d\), .* \({steps}, {batch}, 3\).*first={wanted}\?"
        with pytest.raises(ValueError, match=message):
            module(given, state)
    with pytest.raises(ValueError, match=r"has 4 samples$"):
        ours(x[:, :4], state)


def test_a_state_for_one_sample_is_no_state_of_many() -> None:
    layer = Layer(3, LIF(8))
    state = layer(torch.rand(9, 1, 3)).state
    with pytest.raises(ValueError, match=r"has 9 samples; is the input given with batch_first"):
        layer(torch.rand(1, 9, 3), state)
