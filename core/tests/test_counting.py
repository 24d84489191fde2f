"""Operations, updates, sparsity and memory of networks that can be counted by hand."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from core.counting import Counter, Counts
from core.layers import (
    GRULayer,
    Layer,
    MLPLayer,
    Network,
    PooledReadout,
    RNNLayer,
    SoftmaxSumReadout,
    SpikingLayer,
)
from core.neurons import LI, AdLIF, BalancedLIF, Neuron
from core.scan import scan


class Last(NamedTuple):
    spike: Tensor


class Echo(Neuron):
    """Spikes where the current is above a half."""

    State = Last

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.add_coefficient("threshold", 0.5)

    def coefficients(self) -> Any:
        return (self.threshold,)

    def step(self, coefficients: Any, state: Last, current: Tensor) -> tuple[Last, Tensor]:
        spike = (current > coefficients[0]).to(current.dtype)
        return Last(spike), spike


# t = 0: W x = 1 1 0, spikes 1 1 0;  t = 1: 1 2 0 and V from neuron 0 to 2, spikes 1 1 1;
# t = 2: V alone, spikes 0 0 1
X = torch.tensor([[[1.0, 0.0]], [[1.0, 1.0]], [[0.0, 0.0]]])
W = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
V = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])


def layer_by_hand(**options: Any) -> Layer:
    layer = Layer(2, Echo(3), recurrent=True, backend="reference", **options)
    assert layer.recurrent_weight is not None
    with torch.no_grad():
        layer.input_weight.copy_(W)
        layer.recurrent_weight.copy_(V)
    return layer.eval()


def counted(model: nn.Module, x: Tensor, *state: Any, samples: int = 1) -> Counts:
    with Counter(model) as counter, torch.no_grad():
        model(x, *state)
    return counter.counts(samples=samples)


def operations(synapses: Any) -> tuple[int, int, int, int]:
    found = synapses.as_dict()
    return tuple(
        found[f"{which}_{kind}"] for which in ("dense", "effective") for kind in ("macs", "acs")
    )


def test_a_layer_counted_by_hand() -> None:
    counts = counted(layer_by_hand(), X)
    layer = counts.layers["Layer"]
    assert list(counts.layers) == ["Layer"]
    # input 0 is on twice and reaches two neurons, input 1 once and one: 2 * 2 + 1 * 1
    assert operations(layer.input) == (0, 3 * 2 * 3, 0, 5)
    # neuron 0 spikes at t = 0 and 1; what it sends after the last step nobody receives
    assert operations(layer.recurrence) == (0, 3 * 3 * 3, 0, 2)
    found = counts.as_dict()
    assert found["synaptic_operations"] == {
        "dense": 45.0,
        "effective_macs": 0.0,
        "effective_acs": 7.0,
    }
    assert found["membrane_updates"] == 9.0
    assert found["activation_sparsity"] == 3 / 9
    assert found["connection_sparsity"] == (3 + 8) / (6 + 9)
    assert found["parameter_count"] == 15
    assert found["footprint"] == 4 * (15 + 3), "float32: two matrices and three thresholds"
    assert json.loads(json.dumps(found)) == found
    assert str(counts) == (
        "counts per sample: 7.0 ACs and 0.0 MACs of 45.0 dense synaptic operations, 9.0 membrane "
        "updates, activation sparsity 0.3333, connection sparsity 0.7333; 15 parameters, 72 bytes"
    )


def test_means_are_over_samples_and_sums_over_batches() -> None:
    model = layer_by_hand()
    with Counter(model) as counter, torch.no_grad():
        model(X.expand(3, 4, 2))
        model(X)
    model(X)  # nobody looks on any more
    counts = counter.counts(samples=5)
    assert operations(counts.layers["Layer"].input) == (0, 5 * 18, 0, 5 * 5)
    assert counts.as_dict()["connection_sparsity"] == 11 / 15
    assert counts.as_dict()["synaptic_operations"]["effective_acs"] == 7.0
    with pytest.raises(ValueError, match="there are 0"):
        counter.counts(samples=0)


def test_values_other_than_zero_and_one_are_multiplied() -> None:
    layer = counted(layer_by_hand(), 2.0 * X).layers["Layer"]
    assert operations(layer.input) == (18, 0, 5, 0)
    assert operations(layer.recurrence) == (0, 27, 0, 2)


def test_a_given_state_sends_its_spikes_to_the_first_step() -> None:
    state = Last(torch.tensor([[1.0, 1.0, 0.0]]))
    assert operations(counted(layer_by_hand(), X, state).layers["Layer"].recurrence)[3] == 3
    drawn = SpikingLayer(2, 3, lambda n: AdLIF(n, initial="uniform"), recurrent=True).eval()
    recurrence = counted(drawn, torch.zeros(1, 1, 2)).layers["SpikingLayer"].recurrence
    assert operations(recurrence) == (0, 9, 0, 0), "a drawn start is not a spike"


def test_pruned_weights_and_deleted_spikes_cost_nothing() -> None:
    model = layer_by_hand(mask_probability=0.5)
    assert model.recurrent_mask is not None
    model.recurrent_mask.zero_()
    layer = counted(model, X).layers["Layer"]
    assert operations(layer.recurrence) == (0, 27, 0, 0)
    assert layer.footprint == 4 * (15 + 3 + 9), "the mask is a buffer"
    silent = counted(layer_by_hand(deletion_probability=1.0), X)
    assert silent.as_dict()["activation_sparsity"] == 1.0
    assert operations(silent.layers["Layer"].recurrence)[3] == 0


def test_a_spiking_layer_in_both_directions() -> None:
    layer = SpikingLayer(2, 3, Echo, recurrent=True, bidirectional=True, bias=True).eval()
    assert layer.V is not None
    with torch.no_grad():
        layer.W.weight.copy_(W)
        layer.W.bias.zero_()
        layer.V.weight.fill_(1.0)
    found = counted(layer, X).layers["SpikingLayer"]
    assert operations(found.input) == (0, 18, 0, 5), "one product serves both directions"
    # onward: z_0 = 110, z_1 = 111 (V reaches all others); backward 000, then 110: 2 each
    assert operations(found.recurrence) == (0, 2 * 27, 0, 2 * (2 + 3) + 2 * (0 + 2))
    assert (found.recurrence.as_dict()["zero_connections"], found.membrane_updates) == (3, 18)
    assert found.parameter_count == 6 + 3 + 9


def test_networks_layer_by_layer() -> None:
    network = Network([layer_by_hand()], SoftmaxSumReadout(3, 2, normalization="batchnorm"))
    counts = counted(network.eval(), X)
    assert list(counts.layers) == ["0", "1"]
    readout = counts.layers["1"]
    assert operations(readout.input) == (0, 3 * 3 * 2, 0, 6 * 2), "6 spikes reach 2 classes"
    assert (readout.membrane_updates, readout.activations) == (6, 0)
    assert readout.footprint == 4 * (6 + 2 + 4 * 2) + 8, "norm's weights, statistics and count"
    assert counts.as_dict()["activation_sparsity"] == 3 / 9, "a readout's are no activations"
    hidden = counted(Network([Layer(2, LI(3))]), X).as_dict()
    assert (hidden["activation_sparsity"], hidden["membrane_updates"]) == (None, 9.0)


def test_layers_without_spikes() -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 5, 2)
    network = Network([RNNLayer(2, 3), GRULayer(3, 2, bidirectional=True)], PooledReadout(4, 6))
    counts = counted(network.eval(), x, samples=5)
    rnn, gru, readout = counts.layers.values()
    assert operations(rnn.input) == (4 * 5 * 6, 0, 4 * 5 * 6, 0)
    # y_0 is zero
    assert operations(rnn.recurrence) == (4 * 5 * 9, 0, 3 * 5 * 9, 0)
    assert operations(gru.input) == (3 * 20 * 6, 0, 3 * 20 * 6, 0)
    assert operations(gru.recurrence) == (3 * 2 * 20 * 4, 0, 3 * 2 * 15 * 4, 0)
    assert operations(readout.input) == (5 * 4 * 6, 0, 5 * 4 * 6, 0), "once per sample"
    assert [layer.membrane_updates for layer in counts.layers.values()] == [0, 0, 0]
    assert counts.as_dict()["activation_sparsity"] == 0.0
    assert "recurrence" not in counted(MLPLayer(2, 3), x).layers["MLPLayer"].as_dict()
    later = RNNLayer(2, 3, batch_first=True).eval()
    found = counted(later, x.transpose(0, 1), torch.ones(5, 3)).layers["RNNLayer"]
    assert operations(found.recurrence)[2] == 4 * 5 * 9


class Pixels(nn.Module):
    """A convolution, its channels as neurons, and parts that nobody counts."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, 1, 3, padding=1, bias=False)
        self.neuron = Echo(1)
        self.head = nn.Linear(9, 2)
        self.attention = nn.Bilinear(2, 2, 1)

    def forward(self, x_TBCHW: Tensor) -> Tensor:
        current = self.convolution(x_TBCHW.flatten(0, 1)).flatten(1)
        spikes, _ = scan(self.neuron, current.view(len(x_TBCHW), -1, 1), backend="reference")
        y: Tensor = self.head(spikes.flatten(1))
        return y


def test_convolutions_and_plain_scans() -> None:
    model = Pixels()
    with torch.no_grad():
        model.convolution.weight.fill_(1.0)
        model.convolution.weight[0, 0, 0, 0] = 0.0
    x = torch.zeros(2, 1, 1, 3, 3)
    x[0, 0, 0, 1, 1] = 1.0
    counts = counted(model, x)
    # four corners see 4 weights, four edges 6, the centre 9
    assert operations(counts.layers["convolution"].input) == (0, 2 * 49, 0, 8)
    assert counts.layers["neuron"].membrane_updates == 18
    assert counts.layers["neuron"].zero_activations == 18 - 8
    assert operations(counts.layers["head"].input) == (0, 2 * 18, 0, 8 * 2)
    assert counts.uncounted == ("attention",)
    assert "(not counted: attention)" in str(counts)
    assert counts.as_dict()["uncounted"] == ["attention"]
    assert counts.total("parameter_count") == sum(p.numel() for p in model.parameters())


def test_a_further_pathway_is_active_all_the_time() -> None:
    class Slow(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.neuron = BalancedLIF(2)

        def forward(self, current: Tensor) -> Tensor:
            weight = torch.tensor([[0.0, 1.0], [0.0, 0.0]])
            return scan(self.neuron, current, pathways={"trace": weight})[0]

    recurrence = counted(Slow(), torch.zeros(3, 5, 2)).layers["neuron"].recurrence
    assert operations(recurrence) == (3 * 5 * 4, 0, 3 * 5 * 1, 0)


def test_looking_on_changes_nothing() -> None:
    torch.manual_seed(0)
    model = SpikingLayer(4, 70, lambda n: AdLIF(n, initial="uniform"), recurrent=True, dropout=0.5)
    x, results = 5.0 * torch.randn(20, 3, 4), []
    for counter in (None, Counter(model)):
        torch.manual_seed(1)
        if counter is None:
            results.append(model(x))
        else:
            with counter:
                results.append(model(x))
    assert torch.equal(results[0].output_TBH, results[1].output_TBH)
    assert 0 < results[0].output_TBH.count_nonzero() < results[0].output_TBH.numel()
    assert not any(module._forward_hooks for module in model.modules())
