"""Balance of currents, beside the authors' numbers and SciPy's filters."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import signal
from torch import Tensor

from bsnn.balance import balance, correlations
from bsnn.currents import Drive

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("case", ["short", "long"])
def test_balance_is_that_of_the_authors(case: str) -> None:
    golden = np.load(GOLDEN / "balance_metric.npz")
    exc, inh = (
        torch.from_numpy(golden[f"{case}_{name}"]).transpose(1, 2) for name in ("I_exc", "I_inh")
    )
    layers = [correlations(*currents).mean(1) for currents in zip(exc, inh, strict=True)]
    median, lowpass = (-torch.stack(layers).mean(0)).tolist()
    assert median == pytest.approx(float(golden[f"{case}_balance_med"]), abs=1e-6)
    assert lowpass == pytest.approx(float(golden[f"{case}_balance_low"]), abs=1e-6)
    if case == "short":
        assert correlations(exc[0], inh[0])[:, 0].tolist() == [0.0, 0.0]  # no excitation


def with_scipy(exc_TBN: Tensor, inh_TBN: Tensor) -> np.ndarray:
    """The same, one trace at a time."""
    steps = len(exc_TBN)
    filters = signal.butter(4, 0.05 if steps >= 1000 else 0.5)
    result = np.zeros((2, exc_TBN[0].numel()))
    pairs = zip(exc_TBN.flatten(1).T.double(), inh_TBN.flatten(1).T.double(), strict=True)
    for m, (e, i) in enumerate(pairs):
        result[0, m] = np.corrcoef(signal.medfilt(e, 5), signal.medfilt(i, 5))[0, 1]
        result[1, m] = np.corrcoef(signal.filtfilt(*filters, e), signal.filtfilt(*filters, i))[0, 1]
    return result


@pytest.mark.parametrize("steps", [16, 17, 40, 999, 1000, 1003])
@pytest.mark.parametrize("shape", [(1, 3), (2, 17)])
def test_correlations_are_those_of_scipy(steps: int, shape: tuple[int, int]) -> None:
    torch.manual_seed(steps)
    exc = torch.rand(steps, *shape) * (torch.rand(steps, *shape) < 0.7)
    inh = -0.5 * exc.roll(1, 0) - torch.rand(steps, *shape)
    np.testing.assert_allclose(correlations(exc, inh), with_scipy(exc, inh), atol=1e-6)


@pytest.mark.parametrize("steps", [1, 2, 5, 15])
def test_sequences_shorter_than_the_filter_have_a_balance(steps: int) -> None:
    exc, inh = torch.rand(steps, 1, 2), -torch.rand(steps, 1, 2)
    assert correlations(exc, inh).abs().max() <= 1 + 1e-6


def test_what_never_changes_counts_as_zero() -> None:
    still, moving = torch.zeros(50, 1, 1), torch.rand(50, 1, 1)
    assert correlations(moving, still).tolist() == [[0.0], [0.0]]
    assert correlations(still, moving).tolist() == [[0.0], [0.0]]


def golden_drive() -> tuple[Drive, np.lib.npyio.NpzFile]:
    golden = np.load(GOLDEN / "rlif_cuba.npz")
    x, W, V, V_slow = (
        torch.from_numpy(golden[name]) for name in ("x", "init_W", "init_V", "init_V_slow")
    )
    spikes = torch.from_numpy(golden["spikes"]).float().transpose(0, 1)
    return Drive(x.transpose(0, 1), W, spikes, V, V_slow), golden


def test_currents_are_those_of_the_authors() -> None:
    drive, golden = golden_drive()
    for name, ours in zip(("I_exc", "I_inh"), drive.currents(), strict=True):
        theirs = golden[name].transpose(1, 0, 2)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * np.abs(theirs).max())


def test_corrected_currents_are_those_that_the_potential_integrates() -> None:
    published, _ = golden_drive()
    decay = torch.linspace(0.5, 0.99, 10)
    drive = replace(published, decay_N=decay)
    assert drive.slow_NN is not None
    s, r = torch.zeros(3, 10), torch.zeros(3, 10)
    exc, inh = drive.currents()
    for t, (x, spikes) in enumerate(zip(drive.x_TBI, drive.spikes_TBN, strict=True)):
        for ours, clamp in ((exc, {"min": 0.0}), (inh, {"max": 0.0})):
            W, V, slow = (
                weight.clamp(**clamp)
                for weight in (drive.weight_NI, drive.recurrent_NN, drive.slow_NN)
            )
            torch.testing.assert_close(ours[t], x @ W.T + s @ V + r @ slow, rtol=1e-4, atol=1e-2)
        s, r = spikes, decay * r + spikes


def test_balance_of_a_layer_is_the_mean_over_its_samples() -> None:
    drive, _ = golden_drive()
    median, lowpass = (-correlations(*drive.currents()).mean(1)).tolist()
    found = balance(drive)
    assert found.median == pytest.approx(median, abs=1e-7)
    assert found.lowpass == pytest.approx(lowpass, abs=1e-7)
