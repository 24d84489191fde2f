"""Loss, counts and schedule, held to what the authors' code does where that is right."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from core.layers import NetworkOutput
from core.losses import firing_rate_penalty
from core.metrics import BatchResult, Totals
from core.spoken.networks import ANN
from core.spoken.training import RatePenalty, make_objective
from core.training.schedules import plateau_of_accuracy, step
from sparch.models import SNN

from .parity import FOLDER

STEPS, INPUTS, CLASSES = 12, 9, 3


def network(neuron: str = "RadLIF", **options: Any) -> SNN:
    torch.manual_seed(3)
    model = SNN((4, None, INPUTS), [7, 5, CLASSES], neuron, **options)
    for name, weight in model.named_parameters():
        if name.endswith("norm.weight"):
            weight.data.fill_(4.0)  # so that every layer spikes
    return model


def batch(samples: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(samples)
    inputs_TBI = 3 * torch.rand(STEPS, samples, INPUTS, generator=generator)
    return inputs_TBI, torch.arange(samples) % CLASSES


def result_of(model: nn.Module, penalty: RatePenalty | None = None, samples: int = 4) -> Any:
    torch.manual_seed(8)
    return make_objective(penalty)(model, *batch(samples))


def output_of(model: SNN | ANN, samples: int = 4) -> NetworkOutput:
    torch.manual_seed(8)
    return model.run(batch(samples)[0])


# --- loss and counts ------------------------------------------------------------------------------


def test_cross_entropy_of_the_output_as_logits() -> None:
    model = network()
    output, found = output_of(model), result_of(model)
    y_BC, targets_B = output.y.detach().double(), batch()[1]
    expected = (y_BC.exp().sum(-1).log() - y_BC[range(4), targets_B]).mean()
    torch.testing.assert_close(found.value, expected.float())
    assert found.loss.requires_grad
    assert int(found.correct) == int((y_BC.argmax(-1) == targets_B).sum())
    assert (found.predictions, found.samples) == (4, 4)


def test_spikes_are_counted_before_dropout_and_without_gradient() -> None:
    model = network(dropout=0.5)
    output, found = output_of(model), result_of(model)
    assert not torch.equal(output.outputs_TBN[0], output.spikes_TBN[0])
    assert int(found.spikes) == sum(int(spikes.sum()) for spikes in output.spikes_TBN) > 0
    assert found.neuron_steps == STEPS * 4 * (7 + 5)
    assert not found.spikes.requires_grad
    assert not found.value.requires_grad


def test_both_directions_count() -> None:
    found = result_of(network(bidirectional=True))
    assert found.neuron_steps == STEPS * 4 * 2 * (7 + 5)


@pytest.mark.parametrize("kind", ["MLP", "GRU"])
def test_networks_without_spikes(kind: str) -> None:
    torch.manual_seed(0)
    found = result_of(ANN((4, None, INPUTS), [7, 5, CLASSES], kind))
    assert (found.spikes, found.neuron_steps) == (None, None)
    totals = Totals()
    totals.add(found)
    assert (totals.metrics().sop, totals.metrics().rate) == (None, None)


def test_penalty_is_in_the_loss_alone() -> None:
    model = network()
    penalty = RatePenalty(0.5, minimum=0.2, maximum=0.3)
    rates_N = output_of(model).firing_rates
    expected = 0.5 * firing_rate_penalty(rates_N, minimum=0.2, maximum=0.3)
    with_it, without = result_of(model, penalty), result_of(model)
    assert float(expected.detach()) > 0
    torch.testing.assert_close(with_it.loss, without.loss + expected)
    assert torch.equal(with_it.value, without.value)
    with_it.loss.backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_spikes_are_counted_by_layer() -> None:
    result = result_of(network().eval(), None)
    assert result.spikes is not None
    assert sum(int(layer.spikes) for layer in result.layers) == int(result.spikes)
    assert sum(layer.places for layer in result.layers) == result.neuron_steps


def test_no_penalty_in_evaluation() -> None:
    model = network().eval()
    with torch.no_grad():
        found = result_of(model, RatePenalty(0.5, minimum=0.9, maximum=1.0))
    assert torch.equal(found.loss, found.value)


# --- means over an epoch --------------------------------------------------------------------------


def test_epoch_metrics() -> None:
    """Exact where the authors' code weights a small last batch too much, or counts wrongly."""
    recorded = np.load(FOLDER / "epoch_metrics.npz")
    sizes, correct = recorded["batch_sizes"], recorded["batch_correct"]
    totals, neurons = Totals(), 10**9
    for size, right, rate, loss in zip(
        sizes, correct, recorded["batch_rate"], recorded["batch_loss"], strict=True
    ):
        totals.add(
            BatchResult(
                loss=torch.tensor(loss),
                value=torch.tensor(loss),
                correct=torch.tensor(right),
                predictions=int(size),
                spikes=torch.tensor(round(rate * neurons * size)),
                samples=int(size),
                neuron_steps=neurons * int(size),
            )
        )
    metrics = totals.metrics()
    assert metrics.accuracy == pytest.approx(100 * recorded["exact_acc"], rel=1e-12)
    # "exact" of the file is the mean of batch means; over samples the small batch counts less
    over_samples = np.average(recorded["batch_rate"], weights=sizes)
    assert metrics.rate == pytest.approx(over_samples, rel=1e-6)
    assert recorded["batch_rate"].mean() == pytest.approx(recorded["exact_rate"])
    assert metrics.loss == pytest.approx(recorded["reported_loss"], rel=1e-12)
    # what the authors' code reports differs
    assert metrics.accuracy != pytest.approx(100 * recorded["reported_acc"], rel=1e-3)
    assert np.mean(correct / sizes) == pytest.approx(recorded["reported_acc"])
    legacy = recorded["batch_rate"].sum() / (len(sizes) - 1)
    assert legacy == pytest.approx(recorded["reported_rate_as_original"])
    assert metrics.rate is not None
    assert not math.isclose(metrics.rate, legacy, rel_tol=0.1)


# --- schedule -------------------------------------------------------------------------------------


def test_plateau() -> None:
    """The learning rate in every epoch, recorded from the authors' code."""
    recorded = np.load(FOLDER / "plateau.npz")
    optimizer = torch.optim.Adam([nn.Parameter(torch.zeros(1))], lr=0.01)
    scheduler = plateau_of_accuracy(factor=0.7, patience=1)(optimizer)
    rates = [optimizer.param_groups[0]["lr"]]
    for accuracy in recorded["valid_acc"]:
        step(scheduler, val_accuracy=100 * accuracy)  # percent here; the threshold is relative
        rates.append(optimizer.param_groups[0]["lr"])
    np.testing.assert_allclose(rates, recorded["lr_during_epoch"], rtol=1e-12)


def test_plateau_has_a_floor() -> None:
    optimizer = torch.optim.Adam([nn.Parameter(torch.zeros(1))], lr=2e-6)
    scheduler = plateau_of_accuracy(factor=0.1, patience=0)(optimizer)
    for _ in range(5):
        step(scheduler, val_accuracy=1.0)
    assert optimizer.param_groups[0]["lr"] == 1e-6
