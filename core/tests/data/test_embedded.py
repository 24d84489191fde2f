"""The embedded sets: real digits and the synthetic ECG."""

import numpy as np
import pytest

from core.data.digits import load_digits
from core.data.qtdb import EcgData
from core.data.synthetic_ecg import load_synthetic_ecg, make_synthetic_ecg


def test_digits_split_is_complete_and_fixed() -> None:
    train, test = load_digits("train"), load_digits("test")
    assert train.images.shape == (1437, 8, 8)
    assert test.images.shape == (360, 8, 8)
    assert train.images.dtype == train.labels.dtype == np.uint8
    assert train.max_value == test.max_value == 16 == train.images.max() == test.images.max()
    assert train.labels[:10].tolist() == list(range(10))
    assert np.bincount(test.labels).tolist() == [35, 36, 35, 37, 37, 37, 37, 36, 33, 37]
    together = np.concatenate([train.images, test.images]).reshape(-1, 64)
    assert len(np.unique(together, axis=0)) == 1797  # no digit is in both


@pytest.fixture(scope="module")
def ecg() -> EcgData:
    return load_synthetic_ecg("train")


def test_synthetic_ecg_layout(ecg: EcgData) -> None:
    assert ecg.spikes.shape == (256, 260, 4)
    assert ecg.labels.shape == ecg.labelled.shape == (256, 260)
    assert set(np.unique(ecg.spikes)) == {0, 1}
    both = ecg.spikes.reshape(256, 260, 2, 2).sum(axis=3)
    assert both.max() == 1  # a lead never goes up and down in one step


def test_synthetic_ecg_waves_advance_cyclically(ecg: EcgData) -> None:
    advance = np.diff(ecg.labels.astype(int), axis=1)[ecg.labelled[:, :-1]] % 6
    assert set(np.unique(advance)) == {0, 1}
    shares = np.bincount(ecg.labels.ravel(), minlength=6) / ecg.labels.size
    real = [0.207, 0.062, 0.058, 0.044, 0.302, 0.327]  # the published training file
    np.testing.assert_allclose(shares, real, atol=0.08)


def test_synthetic_ecg_leaves_some_first_steps_unlabelled(ecg: EcgData) -> None:
    assert 0.02 < (~ecg.labelled).mean() < 0.12
    assert (np.diff(ecg.labelled.astype(int), axis=1) >= 0).all()
    assert ecg.labelled[:, -1].all()
    assert (ecg.labels[~ecg.labelled] == 0).all()


def test_synthetic_ecg_spikes_gather_around_the_r_peak(ecg: EcgData) -> None:
    density = [ecg.spikes[(ecg.labels == c) & ecg.labelled].mean() for c in range(6)]
    assert min(density[1], density[2]) > 3 * max(density[3:])
    assert 0.05 < ecg.spikes.mean() < 0.15


def test_synthetic_ecg_is_a_function_of_its_seed() -> None:
    first, again, other = (make_synthetic_ecg(4, seed=seed) for seed in (5, 5, 6))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first.spikes, other.spikes)
    train, test = load_synthetic_ecg("train"), load_synthetic_ecg("test")
    assert len(test.spikes) == 64
    assert not np.array_equal(train.spikes[:64], test.spikes)
