"""PLIF against arrays made with its authors' code, per layer, per neuron and fixed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from core.neurons import PLIF, LogNormalTau
from core.neurons.parametric import logistic
from core.scan import scan as scan_on

scan = partial(scan_on, backend="reference")
GOLDEN = Path(__file__).parent / "golden" / "plif"
TRAINED = {
    "neuron_lif": "nothing",
    "neuron_plif_layer": "layer",
    "neuron_plif_neuron": "neuron",
    "neuron_plif_learnable_alpha": "layer",
}
close: dict[str, Any] = {"rtol": 1e-9, "atol": 1e-12}


def golden(name: str) -> Iterator[dict[str, Tensor]]:
    """The cases of a file."""
    with np.load(GOLDEN / f"{name}.npz") as arrays:
        for case in sorted({key.split("_")[0] for key in arrays.files if key[0] == "c"}):
            prefix = f"{case}_"
            yield {
                key.removeprefix(prefix): torch.from_numpy(np.asarray(arrays[key]))
                for key in arrays.files
                if key.startswith(prefix)
            }


def flat(tensor: Tensor) -> Tensor:
    """``[T, B, ...]`` to ``[T, B, N]``."""
    return tensor.flatten(2) if tensor.dim() > 3 else tensor


@pytest.mark.parametrize("file", TRAINED)
def test_authors_neurons(file: str) -> None:
    spikes_seen = 0
    cases = list(golden(file))
    assert len(cases) >= 2
    for data in cases:
        x = flat(data["x"]).requires_grad_()
        v_reset = float(data.get("v_reset", torch.tensor(0.0)))
        train_alpha = "grad_alpha" in data
        neuron = PLIF(
            x.shape[2],
            tau=float(data["init_tau"] if train_alpha else data["tau"]),
            train=TRAINED[file],  # type: ignore[arg-type]
            threshold=float(data.get("v_threshold", torch.tensor(1.0))),
            reset=None if math.isnan(v_reset) else v_reset,
            detach_reset=bool(data["detach_reset"]),
            alpha=float(data["alpha"]),
            train_alpha=train_alpha,
        ).double()
        if "w" in data:
            w = data["w"]
            assert neuron.w.numel() == w.numel()
            if w.dim() == 0:
                torch.testing.assert_close(neuron.w.data, w, rtol=1e-6, atol=1e-7)
            neuron.w.data.copy_(w.reshape(neuron.w.shape))

        state = neuron.initial_state(x.shape[1])
        potentials = []
        for x_BN in x.detach():
            _, state = scan(neuron, x_BN[None], state=state)
            potentials.append(state.potential)
        spikes, final = scan(neuron, x)
        last = data["GV"].flatten(1) if data["GV"].dim() > 2 else data["GV"]
        loss = (spikes * flat(data["G"])).sum() + (final.potential * last).sum()
        loss.backward()

        assert torch.equal(spikes, flat(data["s"]))
        torch.testing.assert_close(torch.stack(potentials), flat(data["v"]), **close)
        torch.testing.assert_close(loss.detach(), data["loss"], **close)
        torch.testing.assert_close(x.grad, flat(data["grad_x"]), **close)
        if "grad_w" in data:
            expected = data["grad_w"].reshape(neuron.w.shape)
            torch.testing.assert_close(neuron.w.grad, expected, **close)
        if train_alpha:
            torch.testing.assert_close(neuron.slope.grad, data["grad_alpha"], **close)
        spikes_seen += int(spikes.sum())
    assert spikes_seen > 10 * len(cases)


@pytest.mark.parametrize(
    ("train", "train_alpha", "parameters", "buffers"),
    [
        ("layer", False, {"w": ()}, {"alpha": ()}),
        ("neuron", True, {"w": (4,), "surrogate_function.alpha": ()}, {}),
        ("nothing", False, {}, {"fixed_tau": (), "alpha": ()}),
    ],
)
def test_what_is_trained(
    train: Any, train_alpha: bool, parameters: dict[str, Any], buffers: dict[str, Any]
) -> None:
    neuron = PLIF(4, train=train, train_alpha=train_alpha)
    assert {n: tuple(p.shape) for n, p in neuron.named_parameters()} == parameters
    assert {n: tuple(b.shape) for n, b in neuron.named_buffers()} == buffers
    assert set(neuron.state_dict()) == set(parameters), "what is fixed stands in the settings"


def test_the_shape_of_a_sample_is_that_of_w() -> None:
    shaped, flat = PLIF((2, 3, 4), train="neuron"), PLIF(24, train="neuron")
    assert (shaped.size, tuple(shaped.w.shape)) == (24, (1, 2, 3, 4))
    w = torch.linspace(-1.0, 1.0, 24)
    shaped.w.data.copy_(w.view(1, 2, 3, 4))
    flat.w.data.copy_(w)
    x = 2.0 * torch.rand(6, 2, 24, generator=torch.Generator().manual_seed(0))
    outcomes = []
    for neuron in (shaped, flat):
        spikes, _ = scan_on(neuron, x)
        spikes.sum().backward()
        assert neuron.w.grad is not None
        outcomes.append((spikes, neuron.w.grad.flatten()))
    assert torch.equal(outcomes[0][0], outcomes[1][0])
    assert torch.equal(outcomes[0][1], outcomes[1][1])


@pytest.mark.parametrize("train", ["layer", "nothing"])
def test_an_input_that_does_not_decay(train: Any) -> None:
    neuron = PLIF(1, tau=3.0, train=train, decay_input=False, reset=0.1, threshold=5.0)
    _, final = scan(neuron, torch.tensor([[[0.5]], [[0.7]]]))
    v = 0.1
    for x in (0.5, 0.7):
        v = v - (v - 0.1) / 3.0 + x
    assert final.potential.item() == pytest.approx(v)


@pytest.mark.parametrize(("tau", "w"), [(2.0, 0.0), (16.0, -2.7080502)])
@pytest.mark.parametrize("train", ["layer", "neuron", "nothing"])
def test_tau_and_w(tau: float, w: float, train: Any) -> None:
    neuron = PLIF(3, tau=tau, train=train)
    np.testing.assert_allclose(neuron.tau.detach().numpy(), tau, rtol=1e-6)
    k = neuron.coefficients().k.detach().numpy()
    if train == "nothing":
        assert k == tau, "by which the step divides"
        return
    np.testing.assert_allclose(neuron.w.detach().numpy(), w, atol=1e-6)
    np.testing.assert_allclose(k, 1.0 / tau, rtol=1e-6)


def test_the_potential_starts_at_the_reset_value() -> None:
    state = PLIF(3, reset=-0.3).initial_state(2)
    assert state.potential.tolist() == [[pytest.approx(-0.3)] * 3] * 2
    assert not state.spike.any()
    assert not PLIF(3, reset=None).initial_state(2).potential.any()


def test_reaching_the_threshold_is_enough() -> None:
    neuron = PLIF(1, tau=2.0, threshold=0.5, reset=None)
    spikes, final = scan(neuron, torch.tensor([[[1.0]]]))
    assert spikes.item() == 1.0
    assert final.potential.item() == 0.0


# --- initial time constants ---------------------------------------------------------------------


def test_log_normal_time_constants_are_those_of_the_authors_seeds() -> None:
    refused = 0
    for data in golden("init_lognormal_tau"):
        start = LogNormalTau(float(data["mean"]), float(data["std"]))
        torch.manual_seed(int(data["seed"]))
        if data["nan_count"] > 0:
            message = f"{int(data['nan_count'])} of 192 time constants .*shifted=True"
            with pytest.raises(ValueError, match=message):
                PLIF(192, tau=start, train="neuron")
            refused += 1
            continue
        neuron = PLIF(192, tau=start, train="neuron")
        torch.testing.assert_close(neuron.w.data, data["w"].flatten(), rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(neuron.tau.detach(), data["tau"].flatten(), rtol=1e-5, atol=0)
    assert refused == 1


def test_shifted_log_normal_stays_above_one_with_the_same_moments() -> None:
    torch.manual_seed(0)
    tau = LogNormalTau(2.0, 0.5, shifted=True).sample(20_000)
    assert tau.min() > 1.0
    assert tau.mean().item() == pytest.approx(2.0, abs=0.02)
    assert tau.std().item() == pytest.approx(0.5, abs=0.02)
    assert torch.equal(LogNormalTau(3, 0).sample(2), torch.tensor([3.0, 3.0]))


def test_a_distribution_may_stay_fixed() -> None:
    torch.manual_seed(0)
    neuron = PLIF(5, tau=LogNormalTau(3.0, 0.1), train="nothing")
    assert list(neuron.parameters()) == []
    assert neuron.w.shape == (5,)
    assert neuron.w.std() > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tau": 1.0}, "above 1 step, got 1.0"),
        ({"tau": float("nan")}, "above 1 step, got nan"),
        ({"alpha": 0.0}, "must be positive, got 0.0"),
        ({"tau": LogNormalTau(2.0, 0.1)}, "needs train='neuron'"),
        ({"train": "all"}, "layer, neuron or nothing, not 'all'"),
    ],
)
def test_refusals(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PLIF(3, **arguments)


def test_refusals_of_a_distribution() -> None:
    with pytest.raises(ValueError, match=r"above 1 step, got 0\.5"):
        LogNormalTau(0.5, 0.1)
    with pytest.raises(ValueError, match=r"not be negative, got -1\.0"):
        LogNormalTau(2.0, -1.0)


def test_divergence_hint_when_the_trained_slope_turned_round() -> None:
    neuron = PLIF(2, train_alpha=True)
    assert neuron.divergence_hint() is None
    neuron.slope.data.fill_(-0.25)
    assert "-0.25" in str(neuron.divergence_hint())


def test_a_large_logistic_is_that_of_pytorch() -> None:
    torch.manual_seed(0)
    w = torch.randn(1, 600, 512, dtype=torch.float64, requires_grad=True)  # from the pool
    k, expected = logistic(w), torch.sigmoid(w)
    assert torch.equal(k, expected)
    weight = torch.randn_like(w)
    (first,) = torch.autograd.grad(k, w, weight, create_graph=True)
    (twice,) = torch.autograd.grad(expected, w, weight, create_graph=True)
    torch.testing.assert_close(first, twice, rtol=1e-14, atol=1e-15)
    torch.testing.assert_close(torch.autograd.grad(logistic(w), w, weight)[0], twice)
    torch.testing.assert_close(
        torch.autograd.grad(first.sum(), w)[0], torch.autograd.grad(twice.sum(), w)[0]
    )
