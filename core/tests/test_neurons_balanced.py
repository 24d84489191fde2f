"""The balanced cell against arrays made with the authors' code."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from core.neurons import BalancedLIF
from core.neurons.balanced import alpha_limits, winner_takes_all
from core.scan import scan as scan_on
from core.surrogates import boxcar

scan = partial(scan_on, backend="reference")
GOLDEN = Path(__file__).parent / "golden" / "bsnn"
#: File -> reset and whether one spike per step; a missing ``grad_`` means a fixed tensor.
LAYERS: dict[str, tuple[Any, bool, int]] = {
    "base": ("spike", False, 4),
    "lsm": ("none", True, 4),
    "cuba": ("none", True, 4),
    "reset_voltage": ("voltage", True, 4),
    "reset_threshold": ("threshold", True, 4),
    "slow_trainrec": ("spike", True, 4),
    "train_all_repeat1": ("spike", True, 1),
}


def golden(name: str) -> dict[str, Tensor]:
    with np.load(GOLDEN / f"{name}.npz") as arrays:
        return {key: torch.from_numpy(np.asarray(arrays[key])) for key in arrays.files}


def near(ours: Tensor | None, theirs: Tensor, tolerance: float) -> None:
    """Within a share of the largest value."""
    assert ours is not None
    scale = float(theirs.abs().max())
    torch.testing.assert_close(ours, theirs, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("name", LAYERS)
def test_authors_layers(name: str, backend: str) -> None:
    data = golden(f"rlif_{name}")
    reset, single, repeat = LAYERS[name]
    x = data["x"].requires_grad_()
    w = data["init_W"].requires_grad_()
    v = data["init_V"].requires_grad_("grad_V" in data)
    neuron = BalancedLIF(
        w.shape[0],
        alpha=data["init_alpha"],
        train_alpha="grad_alpha" in data,
        threshold=data["v_thresh"],
        repeat=repeat,
        reset=reset,
        firing="single_published" if single else "multi",
    )
    recurrent = (v - torch.diag(torch.diag(v))) if v.requires_grad else v
    pathways = {"trace": data["init_V_slow"].t()} if "init_V_slow" in data else {}
    given: dict[str, Any] = {"recurrent_weight": recurrent.t(), "pathways": pathways}
    current = (x @ w.t()).transpose(0, 1)

    assert all(not field.any() for field in neuron.initial_state(x.shape[0]))
    record = ("potential",)
    spikes, _, traces = scan_on(neuron, current, **given, backend=backend, record=record)
    (spikes.transpose(0, 1) * data["grad_out"]).sum().backward()

    assert data["spikes"].sum() > 10
    assert torch.equal(spikes.transpose(0, 1), data["spikes"].to(spikes.dtype))
    near(traces["potential"].transpose(0, 1), data["v"], 1e-5)
    near(x.grad, data["grad_x"], 1e-4)
    if "grad_W" in data:
        near(w.grad, data["grad_W"], 1e-4)
    if "grad_V" in data:
        near(v.grad, data["grad_V"], 1e-4)
    if "grad_alpha" in data:
        near(neuron.alpha.grad, data["grad_alpha"], 1e-4)
    else:
        assert list(neuron.parameters()) == []


@pytest.mark.parametrize("threshold", ["scalar0", "one", "small", "mixed"])
@pytest.mark.parametrize("firing", ["multi", "single_published", "single_intended"])
def test_authors_spike_functions(firing: str, threshold: str) -> None:
    data = golden("surrogate")
    x = data["x"].requires_grad_()
    v_thresh = data[f"v_thresh_{threshold}"]
    if firing == "multi":
        spikes = boxcar(x - v_thresh)
        expected, gradient = f"multi_{threshold}_spikes", f"multi_{threshold}_grad_x"
    else:
        published = firing == "single_published"
        spikes = winner_takes_all(x, v_thresh, published=published)
        expected = f"single_{threshold}_spikes"
        published_key = f"single_{threshold}_grad_x"
        gradient = published_key if published else f"derived_boxcar_at_true_x_{threshold}"
    spikes.backward(data["grad_out"])
    assert torch.equal(spikes, data[expected])
    assert x.grad is not None
    assert torch.equal(x.grad, data[gradient])


def test_the_winner_is_the_first_largest_potential_or_nobody() -> None:
    threshold = torch.tensor([0.1, 0.9, 5.0])
    potential = torch.tensor(
        [[1.0, 1.0, 0.0], [0.5, 1.0, 0.0], [0.5, 0.8, 0.0], [2.0, 0.0, 3.0], [0.1, 0.0, 0.0]]
    )
    spikes = winner_takes_all(potential, threshold, published=True)
    assert spikes.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert winner_takes_all(potential[:0], threshold, published=True).shape == (0, 3)


@pytest.mark.parametrize("firing", ["single_published", "single_intended"])
def test_one_spike_per_layer_and_step(firing: Any) -> None:
    torch.manual_seed(0)
    neuron = BalancedLIF(6, alpha=0.9, train_alpha=False, threshold=0.05, firing=firing)
    spikes, _ = scan(neuron, 3.0 * torch.rand(40, 3, 6))
    assert spikes.sum(-1).max() == 1.0
    assert neuron.across_layer
    multi = BalancedLIF(6, alpha=0.9, train_alpha=False, threshold=0.05)
    assert not multi.across_layer
    assert scan(multi, 3.0 * torch.rand(40, 3, 6))[0].sum(-1).max() > 1.0


def test_the_two_gradients_of_a_single_spike_differ() -> None:
    gradients = {}
    for firing in ("single_published", "single_intended"):
        current = torch.tensor([[[9.0, 2.0, -70.0]]], requires_grad=True)
        neuron = BalancedLIF(3, alpha=0.9, train_alpha=False, threshold=0.3, firing=firing)
        spikes, _ = scan(neuron, current)
        assert spikes.tolist() == [[[1.0, 0.0, 0.0]]]
        spikes.sum().backward()
        assert current.grad is not None
        gradients[firing] = (current.grad[0, 0] != 0).tolist()
    # potentials 0.9, 0.2 and -7: the published window looks at the spikes 1, 0 and 0
    assert gradients["single_published"] == [False, True, True]
    assert gradients["single_intended"] == [False, True, False]


def test_trace_is_the_filtered_spike_train_and_drives_a_pathway() -> None:
    neuron = BalancedLIF(2, alpha=0.5, train_alpha=False, reset="none").double()
    pulse = torch.zeros(3, 1, 2, dtype=torch.float64)
    pulse[0, 0, 0] = 4.0
    slow = torch.tensor([[0.0, 0.0], [3.0, 0.0]], dtype=torch.float64)
    spikes, final = scan(neuron, pulse, pathways={"trace": slow})
    assert spikes[:, 0].tolist() == [[1, 0], [0, 1], [0, 1]]
    assert final.trace[0].tolist() == [0.25, 1.5]
    assert final.potential[0].tolist() == [0.5, 1.5]


def test_alpha_is_clamped_only_where_it_is_trained() -> None:
    low, high = alpha_limits(4)
    assert (low, high) == (math.exp(-1 / 7600), math.exp(-1 / 8400))
    given = torch.tensor([0.5, 1.5, (low + high) / 2])
    trained = BalancedLIF(3, alpha=given, repeat=4)
    _, final = scan(trained, torch.ones(3, 1, 3))
    final.potential.sum().backward()
    assert trained.alpha.grad is not None
    assert (trained.alpha.grad != 0).tolist() == [False, False, True]
    clamped = trained.coefficients().alpha.detach()
    assert clamped.tolist() == pytest.approx([low, high, given[2].item()], abs=1e-7)
    fixed = BalancedLIF(3, alpha=given, train_alpha=False, repeat=4)
    assert torch.equal(fixed.coefficients().alpha, given)
    given.zero_()
    assert fixed.alpha[0] == 0.5, "the given tensor is copied"


def test_alpha_starts_within_its_limits_and_thresholds_are_saved_without_gradient() -> None:
    torch.manual_seed(0)
    neuron = BalancedLIF(500, threshold=0.07)
    low, high = alpha_limits(1)
    assert low <= neuron.alpha.min() < neuron.alpha.max() <= high
    torch.manual_seed(0)
    assert torch.equal(neuron.alpha.data, torch.empty(500).uniform_(low, high))
    assert set(neuron.state_dict()) == {"alpha", "threshold"}
    assert [name for name, _ in neuron.named_parameters()] == ["alpha"]
    fixed = BalancedLIF(500, train_alpha=False)
    assert set(fixed.state_dict()) == {"alpha", "threshold"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"reset": "hard"}, "not 'hard'"),
        ({"firing": "single"}, "single_published or single_intended, not 'single'"),
        ({"repeat": 0}, "at least 1, got 0"),
        ({"threshold": torch.ones(4)}, r"threshold has shape \(4,\), expected \[3\]"),
        ({"alpha": torch.ones(1, 3)}, r"alpha has shape \(1, 3\), expected \[3\]"),
    ],
)
def test_refusals(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BalancedLIF(3, **arguments)
