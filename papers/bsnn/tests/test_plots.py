"""Pictures of a run, and the estimate that an auto-encoder's spikes give."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bsnn import plots
from bsnn.reconstruction import decoded, integrated
from core.neurons.balanced import BalancedLIF
from core.scan import scan

T, N, INPUTS = 300, 12, 7
RNG = np.random.default_rng(0)
SAMPLE: dict[str, Any] = {
    "inputs_TI": (RNG.random((T, INPUTS)) < 0.05) * 200.0,
    "spikes_TN": (RNG.random((T, N)) < 0.02).astype(np.float32),
    "neuron": 3,
}


def is_png(path: Path) -> bool:
    return path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("tracked", [False, True])
def test_sample_has_the_panels_that_there_are_data_for(tmp_path: Path, tracked: bool) -> None:
    more: dict[str, Any] = {}
    if tracked:
        pair = (RNG.random(T), -RNG.random(T))
        more = {"voltage_T": RNG.random(T), "threshold": 0.5, "currents": pair}
    path = plots.sample(tmp_path / "plots" / "epoch1_class0_0.png", **SAMPLE, **more)
    assert is_png(path)
    height = int.from_bytes(path.read_bytes()[20:24], "big")
    assert height == 150 * 0.5 * (18 if tracked else 8)


def test_a_silent_layer_and_a_single_step_are_drawn(tmp_path: Path) -> None:
    assert is_png(
        plots.sample(
            tmp_path / "silent.png",
            inputs_TI=np.zeros((1, 1)),
            spikes_TN=np.zeros((1, 1)),
            neuron=plots.looked_at(1),
            voltage_T=np.zeros(1),
            currents=(np.zeros(1), np.zeros(1)),
        )
    )
    assert plots.looked_at(100) == plots.looked_at(51) == 50
    assert plots.looked_at(50) == 25


def test_batches_of_an_epoch_are_drawn(tmp_path: Path) -> None:
    path = tmp_path / "epoch1_balance_fr.png"
    assert is_png(plots.balance_and_rate(path, balance=[0.1, 0.2], rate=[1e-4, 2e-4]))
    assert is_png(plots.balance_and_rate(path, balance=[0.1], rate=[0.0], metric="median"))


def test_a_full_size_sample_is_a_small_file(tmp_path: Path) -> None:
    """Nine thousand steps are drawn as pixels, not as one object for each spike."""
    spikes = (RNG.random((9000, 100)) < 0.005).astype(np.float32)
    arguments: dict[str, Any] = {
        "inputs_TI": (RNG.random((9000, 40)) < 0.006) * 200.0,
        "spikes_TN": spikes,
        "neuron": 50,
        "voltage_T": RNG.random(9000),
        "currents": (RNG.random(9000), -RNG.random(9000)),
    }
    plots.sample(tmp_path / "full.png", **arguments)
    assert 10_000 < (tmp_path / "full.png").stat().st_size < 1_000_000  # the authors' has 3 MB


def test_potentials_are_projections_of_the_coding_error(tmp_path: Path) -> None:
    """The reason for drawing this signal beside this estimate."""
    torch.manual_seed(0)
    alpha = 0.99
    W = torch.empty(N, INPUTS).uniform_(-1, 1)
    gram = W @ W.t()
    neuron = BalancedLIF(
        N,
        alpha=torch.full((N,), alpha),
        train_alpha=False,
        threshold=0.5 * gram.diagonal(),
        reset="none",
        firing="single_published",
    )
    x = 40 * (torch.rand(T, 1, INPUTS) < 0.2).float()
    with torch.no_grad():
        spikes, _, traces = scan(
            neuron, x @ W.t(), recurrent_weight=-gram / (1 - alpha), record=("potential",)
        )
    assert spikes.sum() > 50
    signal = integrated(x[:, 0].numpy(), alpha)
    estimate = decoded(spikes[:, 0].numpy(), W.numpy(), alpha)
    potential = (signal - estimate) @ W.numpy().T
    np.testing.assert_allclose(potential, traces["potential"][:, 0], atol=1e-4)
    assert np.mean((signal - estimate) ** 2) < 0.1 * np.mean(signal**2)
    path = plots.estimate(tmp_path / "plot.png", signal_TI=signal, estimate_TI=estimate)
    assert is_png(path)
