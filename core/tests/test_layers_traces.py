"""What layers, readouts and networks record of their neurons on the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from core.counting import Counter
from core.layers import (
    GRULayer,
    Layer,
    LayerOutput,
    Network,
    PooledReadout,
    ReadoutOutput,
    SoftmaxSumReadout,
    SpikingLayer,
)
from core.layers.sequence import SequenceModule
from core.neurons import LI, LIF, AdLIF
from core.scan import scan

RECORDING: dict[str, Callable[..., SequenceModule]] = {
    "joint": lambda **options: Layer(3, LIF(8, tau_mem=2.0), recurrent=True, **options),
    "noisy": lambda **options: Layer(3, LIF(8), deletion_probability=0.5, **options),
    "silent": lambda **options: Layer(3, LI(8), **options),
    "spiking": lambda **options: SpikingLayer(3, 8, LIF, dropout=0.3, recurrent=True, **options),
    "directions": lambda **options: SpikingLayer(3, 4, LIF, bidirectional=True, **options),
    "softmax": lambda **options: SoftmaxSumReadout(3, 8, **options),
}


def made(kind: str, **options: Any) -> tuple[SequenceModule, Tensor]:
    torch.manual_seed(0)
    return RECORDING[kind](**options), 20.0 * torch.randn(9, 5, 3)


@pytest.mark.parametrize("kind", RECORDING)
def test_recording_changes_nothing_else(kind: str) -> None:
    layer, x = made(kind)
    torch.manual_seed(1)
    plain = layer(x)
    torch.manual_seed(1)
    traced = layer(x, record=("potential",))
    assert list(traced.traces) == ["potential"]
    assert traced.traces["potential"].shape == (9, 5, 8)
    assert type(plain)._fields == type(traced)._fields[:-1]
    for field in set(plain._fields) - {"state"}:
        before, after = getattr(plain, field), getattr(traced, field)
        assert before is after is None or torch.equal(before, after)
    assert all(map(torch.equal, plain.state, traced.state))
    assert isinstance(plain, LayerOutput | ReadoutOutput)
    assert layer(x, record=()).traces == {}


@pytest.mark.parametrize("kind", RECORDING)
def test_batch_first(kind: str) -> None:
    (ours, x), (theirs, _) = made(kind), made(kind, batch_first=True)
    torch.manual_seed(1)
    expected = ours(x, record=("potential",)).traces["potential"]
    torch.manual_seed(1)
    found = theirs(x.transpose(0, 1), record=("potential",))
    assert torch.equal(found.traces["potential"].transpose(0, 1), expected)
    if found._fields[0] == "output_TBH":
        assert found.output_TBH.shape == (5, 9, 8)


@pytest.mark.parametrize("kind", ["joint", "spiking", "noisy"])
def test_a_trace_stands_beside_the_spikes_before_dropout(kind: str) -> None:
    layer, x = made(kind)
    result = layer(x, record=("spike", "potential"))
    assert 0 < result.spikes_TBH.sum() < result.spikes_TBH.numel()
    assert torch.equal(result.traces["spike"], result.spikes_TBH)
    assert torch.equal(result.traces["potential"][-1], result.state.potential)


def test_both_directions_stand_side_by_side_and_in_the_order_of_the_input() -> None:
    layer, x = made("directions")
    assert isinstance(layer, SpikingLayer)
    both = layer(x, record=("potential", "spike"))
    assert torch.equal(both.traces["spike"], both.spikes_TBH)
    assert torch.equal(both.traces["potential"][0, :, 4:], both.state.potential[5:])
    layer.bidirectional = False
    for part, given in ((slice(4), x), (slice(4, 8), x.flip(0))):
        alone = layer(given, record=("potential",)).traces["potential"]
        alone = alone if part.start is None else alone.flip(0)
        torch.testing.assert_close(both.traces["potential"][..., part], alone)


def test_gradients_go_through_and_are_those_of_the_reference() -> None:
    found = []
    for backend in ("reference", "auto"):
        layer, x = made("spiking", backend=backend)
        potential = layer.eval()(x, record=("potential",)).traces["potential"]
        found.append(torch.autograd.grad(potential.square().mean(), list(layer.parameters())))
    for ours, expected in zip(found[1], found[0], strict=True):
        assert expected.any()
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)


def test_a_readout_records_what_its_scores_are_made_of() -> None:
    readout, x = made("softmax")
    result = readout(x, record=("potential",))
    torch.testing.assert_close(result.traces["potential"].softmax(-1).sum(0), result.y_BC)


def network(**options: Any) -> Network:
    torch.manual_seed(0)
    layers: list[nn.Module] = [SpikingLayer(3, 8, AdLIF), GRULayer(8, 7), Layer(7, LIF(6))]
    return Network(layers, SoftmaxSumReadout(6, 2), **options)


def test_a_network_records_of_every_layer_what_its_neurons_have() -> None:
    made, x = network(), 20.0 * torch.randn(9, 5, 3)
    output = made(x, record=("potential", "adaptation"))
    assert [list(traces) for traces in output.traces] == [
        ["potential", "adaptation"],
        [],
        ["potential"],
        ["potential"],
    ]
    layer: Any = made[0]
    first = scan(layer.neuron, x @ layer.W.weight.t(), record=("adaptation",))[2]
    torch.testing.assert_close(output.traces[0]["adaptation"], first["adaptation"])
    assert output.traces[3]["potential"].shape == (9, 5, 2)
    plain = made(x)
    assert torch.equal(plain.y, output.y)
    assert plain.traces == ({}, {}, {}, {})
    turned = network(batch_first=True)(x.transpose(0, 1), record=("adaptation",))
    assert torch.equal(turned.traces[0]["adaptation"].transpose(0, 1), first["adaptation"])


class Halved(nn.Module):
    """A layer of somebody's own, which knows nothing of recording."""

    def forward(self, x_TBI: Tensor, state: Any, generator: Any) -> LayerOutput:
        return LayerOutput(0.5 * x_TBI, None, None)


def test_layers_that_know_nothing_of_recording_are_not_asked() -> None:
    output = Network([Halved(), Layer(3, LIF(4))])(torch.rand(9, 5, 3), record=("potential",))
    assert [list(traces) for traces in output.traces] == [[], ["potential"]]


def test_names_of_nothing_are_refused() -> None:
    x = torch.rand(9, 5, 3)
    with pytest.raises(ValueError, match=r"SpikingLayer has spike, pot.*did you mean 'potential'"):
        SpikingLayer(3, 8, AdLIF)(x, record=("potentials",))
    with pytest.raises(ValueError, match="'potential': GRULayer has no fields"):
        GRULayer(3, 8)(x, record=("potential",))
    with pytest.raises(ValueError, match="'potential': PooledReadout has no fields"):
        PooledReadout(3, 8)(x, record=("potential",))
    with pytest.raises(ValueError, match="'voltage': the network has spike, potential, adaptation"):
        network()(x, record=("potential", "voltage"))
    with pytest.raises(ValueError, match=r"record=\('potential',\)"):
        network()(x, record="potential")
    assert GRULayer(3, 8)(x, record=()).traces == {}
    assert PooledReadout(3, 8)(x, record=()).traces == {}


def test_counting_sees_a_network_that_records() -> None:
    counted, x = [], 20.0 * torch.randn(9, 5, 3)
    for record in (None, ("potential",)):
        with torch.no_grad(), Counter(made := network().eval()) as counter:
            made(x, record=record)
        counted.append(str(counter.counts(samples=5)))
    assert counted[0] == counted[1]
