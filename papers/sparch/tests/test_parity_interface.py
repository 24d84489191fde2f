"""What users of the authors' classes rely on: constructors, shapes, errors, names of tensors."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from core.layers import SoftmaxSumReadout, SpikingLayer
from core.paper import count_parameters
from core.spoken.networks import ANN, NON_SPIKING
from sparch.config import Config
from sparch.models import SNN, SPIKING, build
from sparch.published import NAMES


@pytest.fixture(autouse=True)
def _seed(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    monkeypatch.delenv("SNN_BACKEND", raising=False)


def test_use_as_in_the_authors_readme() -> None:
    x = torch.empty(4, 100, 20).uniform_()
    model = SNN(
        input_shape=(4, 100, 20),
        neuron_type="adLIF",
        layer_sizes=[128, 128, 10],
        normalization="batchnorm",
        dropout=0.1,
        bidirectional=False,
        use_readout_layer=False,
    )
    y, firing_rates = model(x)
    assert y.shape == (4, 100, 10)
    assert firing_rates.shape == (266,)
    firing_rates.sum().backward()


@pytest.mark.parametrize(
    ("kind", "bidirectional"),
    [(kind, False) for kind in (*SPIKING, *NON_SPIKING)]
    + [(kind, True) for kind in (*SPIKING, *NON_SPIKING) if kind != "MLP"],
)
@pytest.mark.parametrize("readout", [True, False])
def test_shapes(kind: str, bidirectional: bool, readout: bool) -> None:
    network = SNN if kind in SPIKING else ANN
    model = network(
        (2, None, 6), [5, 4, 3], kind, bidirectional=bidirectional, use_readout_layer=readout
    )
    assert model.is_snn == (kind in SPIKING)
    y, rates = model(torch.randn(2, 9, 6))
    directions = 2 if bidirectional else 1
    assert y.shape == ((2, 3) if readout else (2, 9, 3 * directions))
    if rates is None:
        assert kind in NON_SPIKING
    else:
        assert rates.shape == (directions * (9 if readout else 12),)


def test_batch_and_time_may_differ_from_the_shape() -> None:
    model = SNN((4, 100, 6), [5, 3])
    assert model(torch.randn(2, 7, 6))[0].shape == (2, 3)


def test_forward_is_run_with_batch_first() -> None:
    model = SNN((2, None, 6), [5, 3], initial="zero")
    x = torch.randn(2, 9, 6)
    y, rates = model(x)
    output = model.run(x.transpose(0, 1))
    assert torch.equal(output.y, y)
    assert torch.equal(output.firing_rates, rates)


def test_evaluation_is_random_unless_states_start_at_zero() -> None:
    x = torch.randn(3, 20, 6)
    drawn, fixed = (SNN((3, None, 6), [5, 3], initial=i).eval() for i in ("uniform", "zero"))
    assert not torch.equal(drawn(x)[0], drawn(x)[0])
    assert torch.equal(fixed(x)[0], fixed(x)[0])
    seeded = [
        drawn.run(x.transpose(0, 1), generator=torch.Generator().manual_seed(3)).y for _ in "ab"
    ]
    assert torch.equal(*seeded)


def test_parameters_start_in_their_intervals() -> None:
    model = SNN((1, None, 6), [50, 50, 20], "RadLIF")
    for layer in model.snn:
        assert isinstance(layer, SpikingLayer | SoftmaxSumReadout)
        neuron: Any = layer.neuron
        for name, (low, high) in neuron.BOUNDS.items():
            value = getattr(neuron, name)
            assert low <= value.min() < value.max() <= high


def test_threshold_goes_to_hidden_layers() -> None:
    x = torch.rand(3, 30, 6)
    rates = []
    for threshold in (0.5, 1.5):
        torch.manual_seed(0)
        model = SNN((3, None, 6), [20, 3], threshold=threshold, initial="zero")
        rates.append(model(x)[1].mean().item())
    assert rates[0] > rates[1]


@pytest.mark.parametrize("word", ["none", "None", "anything"])
def test_any_other_normalization_is_none(word: str) -> None:
    for model in (
        SNN((1, None, 6), [5, 3], normalization=word),
        ANN((1, None, 6), [5, 3], normalization=word),
    ):
        assert not [name for name in model.state_dict() if "norm" in name]


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (((1, None, 6), [5, 3], "GRU"), {}, "neuron_type is one of LIF, .*, not 'GRU'"),
        (((1, None, 6), []), {}, "layer_sizes is empty"),
        (((1, 6), [5, 3]), {}, r"input_shape \(1, 6\) is neither"),
        (((1, None, None), [5, 3]), {}, "leaves the number of features open"),
        (((1, None, 6), [5, 3]), {"dropout": 1.5}, "dropout is a probability"),
    ],
)
def test_refused_networks(arguments: Any, options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SNN(*arguments, **options)


def test_refused_networks_without_spikes() -> None:
    with pytest.raises(ValueError, match=r"ann_type is one of MLP, .*, not 'LIF'"):
        ANN((1, None, 6), [5, 3], "LIF")
    with pytest.raises(ValueError, match="MLP has no direction"):
        ANN((1, None, 6), [5, 3], "MLP", bidirectional=True)


@pytest.mark.parametrize("network", [SNN, ANN])
def test_inputs_that_do_not_fit(network: type[SNN] | type[ANN]) -> None:
    with pytest.raises(NotImplementedError, match="got 3 dimensions"):
        network((1, None, 3, 2), [5, 3])(torch.rand(1, 4, 6))
    for shape in ((1, 4, 7), (1, 4, 3, 2), (4, 6)):
        with pytest.raises(ValueError, match="the network takes"):
            network((1, None, 6), [5, 3])(torch.rand(shape))
    assert network((1, None, 3, 2), [5, 3])(torch.rand(2, 4, 3, 2))[0].shape == (2, 3)


# --- from settings, and names of tensors ----------------------------------------------------------


@pytest.mark.parametrize("kind", [*SPIKING, *NON_SPIKING])
def test_network_from_settings(kind: Any) -> None:
    config = Config(
        model_type=kind,
        nb_layers=4,
        nb_hiddens=7,
        pdrop=0.3,
        normalization="layernorm",
        use_bias=True,
        bidirectional=kind != "MLP",
        init_state="zeros",
    )
    model = build(config, 6, 5)
    network = SNN if kind in SPIKING else ANN
    options: Any = {"initial": "zero"} if kind in SPIKING else {}
    direct: SNN | ANN = network(
        (1, None, 6),
        [7, 7, 7, 5],
        kind,
        dropout=0.3,
        normalization="layernorm",
        use_bias=True,
        bidirectional=kind != "MLP",
        **options,
    )
    assert isinstance(model, network)
    assert repr(model) == repr(direct)
    assert count_parameters(model) == count_parameters(direct)
    direct.load_state_dict(model.state_dict())
    x = torch.randn(2, 8, 6)
    assert torch.equal(model.eval()(x)[0], direct.eval()(x)[0])


def test_random_start_is_the_default_of_settings() -> None:
    model = build(Config(model_type="LIF", nb_hiddens=7), 6, 5).eval()
    x = torch.randn(2, 8, 6)
    assert not torch.equal(model(x)[0], model(x)[0])


def test_names_of_tensors_there_and_back() -> None:
    model = SNN((1, None, 6), [5, 3], "RadLIF", use_bias=True)
    published = NAMES.to_published(model.state_dict())
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    hidden = ["alpha", "beta", "a", "b", "W.weight", "W.bias", "V.weight"]
    readout = ["alpha", "W.weight", "W.bias"]
    assert set(published) == {
        *(f"snn.0.{name}" for name in hidden),
        *(f"snn.1.{name}" for name in readout),
        *(f"snn.{i}.norm.{name}" for i in (0, 1) for name in norm),
    }
    ours = NAMES.from_published(published)
    assert list(ours) == list(model.state_dict())
    assert all(ours[name] is published[key] for name, key in zip(ours, published, strict=True))
    assert NAMES.from_published(ours).keys() == ours.keys()


def test_names_that_belong_to_neither_scheme_stay() -> None:
    weights = {name: torch.zeros(1) for name in ("snn.0.gamma", "alpha", "ann.0.Wz.weight")}
    assert NAMES.from_published(weights).keys() == weights.keys()
    assert NAMES.to_published(weights).keys() == weights.keys()
