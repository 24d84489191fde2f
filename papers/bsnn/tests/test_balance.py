"""Balance of currents, beside the authors' numbers and SciPy's filters."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import signal
from torch import Tensor

from bsnn.balance import balance, correlations
from bsnn.currents import Drive
from core.scan.cpu.backend import missing

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("case", ["short", "long"])
def test_balance_is_that_of_the_authors(case: str) -> None:
    golden = np.load(GOLDEN / "balance_metric.npz")
    exc, inh = (
        torch.from_numpy(golden[f"{case}_{name}"]).transpose(1, 2) for name in ("I_exc", "I_inh")
    )
    layers = [correlations(*currents).mean(1) for currents in zip(exc, inh, strict=True)]
    median, lowpass, _ = (-torch.stack(layers).mean(0)).tolist()
    assert median == pytest.approx(float(golden[f"{case}_balance_med"]), abs=1e-6)
    assert lowpass == pytest.approx(float(golden[f"{case}_balance_low"]), abs=1e-6)
    if case == "short":
        assert correlations(exc[0], inh[0])[:, 0].tolist() == [0.0] * 3  # no excitation


def with_scipy(exc_TBN: Tensor, inh_TBN: Tensor) -> np.ndarray:
    """The same, one trace at a time."""
    steps = len(exc_TBN)
    filters = signal.butter(4, 0.05 if steps >= 1000 else 0.5)
    result = np.zeros((3, exc_TBN[0].numel()))
    pairs = zip(exc_TBN.flatten(1).T.double(), inh_TBN.flatten(1).T.double(), strict=True)
    for m, (e, i) in enumerate(pairs):
        result[0, m] = np.corrcoef(signal.medfilt(e, 5), signal.medfilt(i, 5))[0, 1]
        result[1, m] = np.corrcoef(signal.filtfilt(*filters, e), signal.filtfilt(*filters, i))[0, 1]
        result[2, m] = np.corrcoef(e, i)[0, 1]
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
    assert correlations(moving, still).tolist() == [[0.0]] * 3
    assert correlations(still, moving).tolist() == [[0.0]] * 3


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
            np.testing.assert_allclose(ours[t], x @ W.T + s @ V + r @ slow, rtol=1e-4, atol=1e-2)
        s, r = spikes, decay * r + spikes


def made_up(steps: int, samples: int, inputs: int, neurons: int, **more: Any) -> Drive:
    torch.manual_seed(steps)
    return Drive(
        200.0 * (torch.rand(steps, samples, inputs) < 0.2),
        torch.randn(neurons, inputs),
        (torch.rand(steps, samples, neurons) < 0.1).float(),
        100.0 * torch.randn(neurons, neurons),
        **more,
    )


def assert_by_definition(drive: Drive) -> None:
    expected = (-correlations(*drive.currents()).mean(1)).tolist()
    assert list(balance(drive)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.skipif(missing() is not None, reason="no kernels here")
@pytest.mark.parametrize("kind", ["published", "slow", "corrected", "corrected, slow"])
@pytest.mark.parametrize(
    "sizes",
    [(1, 2, 3, 5), (2, 1, 3, 1), (3, 2, 1, 16), (16, 1, 3, 5), (40, 3, 12, 17), (1003, 2, 40, 33)],
)
def test_the_kernel_computes_what_is_defined(sizes: tuple[int, ...], kind: str) -> None:
    more: dict[str, Any] = {}
    if "slow" in kind:
        more["slow_NN"] = 50.0 * torch.randn(sizes[3], sizes[3])
    if "corrected" in kind:
        more["decay_N"] = torch.full((sizes[3],), 0.9)
    assert_by_definition(made_up(*sizes, **more))


def test_strides_offsets_and_silence_are_no_trouble() -> None:
    drive = made_up(60, 4, 7, 20)
    turned = replace(drive, x_TBI=drive.x_TBI.transpose(0, 1).contiguous().transpose(0, 1))
    assert balance(turned) == balance(drive)
    assert_by_definition(
        replace(drive, x_TBI=drive.x_TBI[:, 1::2], spikes_TBN=drive.spikes_TBN[:, ::2])
    )
    loud = torch.cat([drive.x_TBI, torch.full((60, 4, 2), 1e4)], dim=2)  # offsets of each sign
    weight = torch.cat([drive.weight_NI, torch.tensor([[1.0, -1.0]]).expand(20, 2)], dim=1)
    assert_by_definition(replace(drive, x_TBI=loud, weight_NI=weight))
    silent = replace(drive, x_TBI=0 * drive.x_TBI, spikes_TBN=0 * drive.spikes_TBN)
    assert balance(silent) == (0.0, 0.0, 0.0)
    still = replace(silent, x_TBI=silent.x_TBI + 0.3)
    assert balance(still) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    "where", [slice(0, 20), slice(-20, None), slice(130, 140), slice(500, 503)]
)
def test_what_happens_at_few_steps_is_not_missed(where: slice) -> None:
    """The kernel sums the low-pass over a grid, whose weights pass to every step at both ends."""
    drive = made_up(1200, 2, 7, 20)
    mask = torch.zeros(1200, 1, 1)
    mask[where] = 1.0
    assert_by_definition(
        replace(drive, x_TBI=drive.x_TBI * mask, spikes_TBN=drive.spikes_TBN * mask)
    )


def test_the_number_of_threads_changes_nothing() -> None:
    drive = made_up(50, 5, 7, 20)
    before = torch.get_num_threads()
    found = []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        found.append(balance(drive))
    torch.set_num_threads(before)
    assert found[0] == found[1]


def test_without_kernels_scipy_computes_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    drive, _ = golden_drive()
    expected = balance(drive)
    monkeypatch.setattr("bsnn.balance.missing", lambda: "none here")
    assert balance(drive) == pytest.approx(expected, abs=1e-6)
    monkeypatch.undo()
    assert drive.slow_NN is not None
    double = Drive(
        drive.x_TBI.double(),
        drive.weight_NI.double(),
        drive.spikes_TBN.double(),
        drive.recurrent_NN.double(),
        drive.slow_NN.double(),
    )
    assert balance(double) == pytest.approx(expected, abs=1e-6)
