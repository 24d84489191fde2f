from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from core.errors import UserError
from core.layers import Layer
from core.neurons import BRF, LI, LIF
from core.scan import scan


@pytest.fixture(autouse=True)
def _seed(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    monkeypatch.delenv("SNN_BACKEND", raising=False)


def spiking_layer(**options: Any) -> tuple[Layer, Tensor]:
    """A layer and an input at which it spikes now and then."""
    layer = Layer(3, BRF(8), recurrent=True, **options)
    return layer, 80.0 * torch.randn(25, 4, 3)


def test_layer_is_projection_then_scan() -> None:
    layer, x = spiking_layer(bias=True)
    current = x @ layer.input_weight.T + layer.bias
    expected, expected_final = scan(layer.neuron, current, recurrent_weight=layer.recurrent_weight)
    spikes, again, final = layer(x)
    assert again is spikes
    assert 0 < spikes.sum() < spikes.numel()
    assert torch.equal(spikes, expected)
    assert all(map(torch.equal, final, expected_final))


def test_given_state_continues() -> None:
    layer, x = spiking_layer()
    first = layer(x[:10])
    second = layer(x[10:], first.state)
    joined = torch.cat([first.output_TBH, second.output_TBH])
    assert torch.equal(joined, layer(x).output_TBH)


def test_backend_is_handed_to_scan() -> None:
    with pytest.raises(UserError, match="'warp'"):
        Layer(2, LIF(3), backend="warp")(torch.zeros(1, 1, 2))


def test_weights_are_drawn_as_one_xavier_matrix() -> None:
    # In the order in which nn.Linear over cat(x, z) draws them, so that a seed means the same.
    layer = Layer(30, LIF(50), recurrent=True, bias=True)
    torch.manual_seed(0)
    LIF(50)
    joint = nn.Linear(80, 50)
    nn.init.xavier_uniform_(joint.weight)
    assert layer.recurrent_weight is not None
    assert torch.equal(torch.cat([layer.input_weight, layer.recurrent_weight], 1), joint.weight)
    assert torch.equal(layer.bias, joint.bias)
    assert joint.weight.abs().max() <= math.sqrt(6 / (80 + 50))
    assert joint.bias.abs().max() <= 1 / math.sqrt(80)


def test_bias_is_absent_zero_or_random() -> None:
    assert Layer(3, LI(4)).bias is None
    assert Layer(3, LI(4), bias=True, zero_bias=True).bias.tolist() == [0.0] * 4
    assert (Layer(3, LI(4), bias=True).bias != 0).all()


def test_state_dict_has_only_what_the_layer_uses() -> None:
    assert set(Layer(3, LI(4)).state_dict()) == {"input_weight", "neuron.tau_mem"}
    pruned = Layer(3, LIF(4), recurrent=True, mask_probability=0.5, deletion_probability=0.5)
    assert set(pruned.state_dict()) == {
        "input_weight",
        "recurrent_weight",
        "recurrent_mask",
        "neuron.tau_mem",
    }


# --- pruning ------------------------------------------------------------------------------------


def test_share_of_pruned_weights() -> None:
    mask = Layer(3, LIF(100), recurrent=True, mask_probability=0.3).recurrent_mask
    assert mask is not None
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    assert mask.mean().item() == pytest.approx(0.7, abs=0.02)


def test_forward_zeroes_pruned_weights_and_leaves_their_gradient() -> None:
    layer, x = spiking_layer(mask_probability=0.5)
    weight, mask = layer.recurrent_weight, layer.recurrent_mask
    assert weight is not None
    assert mask is not None
    pruned = mask == 0
    plain = Layer(3, BRF(8), recurrent=True)
    plain.load_state_dict({k: v for k, v in layer.state_dict().items() if k != "recurrent_mask"})
    assert plain.recurrent_weight is not None
    plain.recurrent_weight.data[pruned] = 0.0
    assert (weight[pruned] != 0).all()

    outputs = layer(x)[0], plain(x)[0]
    assert torch.equal(*outputs)
    assert torch.equal(layer.input_weight, plain.input_weight)
    assert torch.equal(weight, plain.recurrent_weight)
    for output in outputs:
        output.sum().backward()
    assert weight.grad is not None
    assert (weight.grad[pruned] != 0).any()
    assert plain.recurrent_weight.grad is not None
    assert torch.equal(weight.grad, plain.recurrent_weight.grad)


def test_pruned_layer_runs_twice_before_a_backward() -> None:
    layer, x = spiking_layer(mask_probability=0.5)
    first = layer(x)
    second = layer(x, first.state)
    (first.output_TBH.sum() + second.output_TBH.sum()).backward()
    assert layer.recurrent_weight is not None
    assert layer.recurrent_weight.grad is not None


def test_pruned_layer_runs_without_gradients() -> None:
    layer, x = spiking_layer(mask_probability=0.5)
    with torch.inference_mode():
        spikes = layer(x).output_TBH
    assert torch.equal(spikes, layer(x).output_TBH)


# --- spike deletion -----------------------------------------------------------------------------


def test_share_of_deleted_spikes() -> None:
    # Without recurrence the neurons make the same spikes whatever is deleted.
    x = 80.0 * torch.randn(60, 20, 3)
    layer = Layer(3, BRF(50))
    plain, _, plain_final = layer(x)
    layer.deletion_probability = 0.3
    thinned, _, final = layer(x)
    assert (thinned <= plain).all()
    assert (thinned.sum() / plain.sum()).item() == pytest.approx(0.7, abs=0.03)
    assert torch.equal(final.q, plain_final.q)


def test_all_spikes_deleted() -> None:
    layer, x = spiking_layer(deletion_probability=1.0)
    assert layer(x)[0].sum() == 0.0


def test_deletion_draws_from_the_given_generator_only() -> None:
    layer, x = spiking_layer(deletion_probability=0.5)
    before = torch.get_rng_state()
    runs = [layer(x, generator=torch.Generator().manual_seed(seed))[0] for seed in (1, 1, 2)]
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])
    assert torch.equal(torch.get_rng_state(), before)


def test_a_layer_that_deletes_nothing_draws_nothing() -> None:
    layer, x = spiking_layer()
    before = torch.get_rng_state()
    layer(x)
    assert torch.equal(torch.get_rng_state(), before)


# --- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mask_probability": 1.5}, "mask_probability is a probability.*not 1.5"),
        ({"deletion_probability": -0.1}, "deletion_probability is a probability.*not -0.1"),
        ({"mask_probability": math.nan}, "mask_probability is a probability"),
        ({"mask_probability": 0.5, "recurrent": False}, "needs recurrent=True"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Layer(3, LIF(4), **{"recurrent": True, **options})
