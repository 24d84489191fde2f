"""Augmentation: the published formulas, and reverberation against its equations."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from core.data import augmentation
from core.data.augmentation import add_noise, augment, lower_gain
from core.data.reverb import reverb

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "sparch" / "augment.npz")
X = GOLDEN["x"][0]


@pytest.mark.parametrize("k", range(3))
def test_published_gain_and_noise(k: int) -> None:
    louder = lower_gain(X, float(GOLDEN[f"gain_db_{k}"]))
    np.testing.assert_allclose(louder, GOLDEN[f"gain_out_{k}"][0], rtol=1e-6, atol=1e-7)
    unit = GOLDEN[f"noise_unit_normal_{k}"][0]
    noisy = add_noise(X, unit, float(GOLDEN[f"noise_uniform01_{k}"]))
    np.testing.assert_allclose(noisy, GOLDEN[f"noise_out_{k}"][0], rtol=1e-6, atol=1e-6)
    assert noisy.dtype == louder.dtype == np.float32


def test_gain_keeps_within_one() -> None:
    loud = np.array([3.0, -3.0, 0.5], np.float32)
    assert lower_gain(loud, -1.0).tolist() == pytest.approx([1, -1, 0.5 * 10**-0.05])


def only(monkeypatch: pytest.MonkeyPatch, *steps: str) -> None:
    for name in ("POLARITY", "NOISE", "GAIN", "REVERB"):
        monkeypatch.setattr(augmentation, name, 1.0 if name in steps else -1.0)


def test_polarity(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "POLARITY")
    np.testing.assert_array_equal(augment(X, np.random.default_rng(0)), GOLDEN["polarity"][0])
    only(monkeypatch)
    np.testing.assert_array_equal(augment(X, np.random.default_rng(0)), X)


def test_noise_within_its_range(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "NOISE")
    ratios = [(augment(X, np.random.default_rng(seed)) - X).std() / X.std() for seed in range(200)]
    assert 0 < min(ratios) < 0.05
    assert 0.85 < max(ratios) < 0.95


def test_gain_within_its_range(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "GAIN")
    quiet = X / np.abs(X).max()
    ratios = [np.abs(augment(quiet, np.random.default_rng(seed))).max() for seed in range(200)]
    assert 0.1 <= min(ratios) < 0.12
    assert 0.85 < max(ratios) <= 10**-0.05


def test_steps_come_with_their_probabilities(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = dict.fromkeys(("NOISE", "GAIN", "REVERB"), 0)

    def counting(name: str) -> object:
        def step(x: NDArray[np.float32], *args: object, **kwargs: object) -> NDArray[np.float32]:
            taken[name] += 1
            return x

        return step

    monkeypatch.setattr(augmentation, "add_noise", counting("NOISE"))
    monkeypatch.setattr(augmentation, "lower_gain", counting("GAIN"))
    monkeypatch.setattr(augmentation, "reverb", counting("REVERB"))
    tone = np.ones(3, np.float32)
    outcomes = [augment(tone, np.random.default_rng(seed))[0] for seed in range(2000)]
    assert np.mean(np.array(outcomes) < 0) == pytest.approx(0.8, abs=0.03)
    for name, probability in (("NOISE", 0.1), ("GAIN", 0.3), ("REVERB", 0.6)):
        assert taken[name] / 2000 == pytest.approx(probability, abs=0.03)


def test_augmentation_is_pure() -> None:
    before = X.copy()
    outcomes = [augment(X, np.random.default_rng(seed)) for seed in (1, 1, 2, 3)]
    np.testing.assert_array_equal(X, before)
    np.testing.assert_array_equal(outcomes[0], outcomes[1])
    assert not np.array_equal(outcomes[0], outcomes[2])
    assert all(len(o) == len(X) and o.dtype == np.float32 for o in outcomes)
    assert all(np.abs(o).max() <= 1 for o in outcomes)


def plain_loops(
    x: NDArray[np.float32], delays: list[int], allpasses: list[int], g: float, d: float
) -> NDArray[np.float64]:
    """Freeverb sample by sample."""
    total = np.zeros(len(x))
    for delay in delays:
        b, f = np.zeros(delay), 0.0
        for n, value in enumerate(x):
            y = b[n % delay]
            f = (1 - d) * y + d * f
            b[n % delay] = 0.015 * value + g * f
            total[n] += y
    for delay in allpasses:
        v = np.zeros(delay)
        for n, value in enumerate(total):
            old = v[n % delay]
            v[n % delay] = value + 0.5 * old
            total[n] = old - value
    return x + total


@pytest.mark.parametrize(
    ("percent", "g", "d", "scale"),
    [
        ((0, 0, 0), 0.3, 0.2, 0.1),
        ((100, 100, 100), 0.98, 0.5, 1.0),
        ((50, 20, 10), None, 0.26, 0.19),
    ],
)
def test_reverb_is_freeverb(
    percent: tuple[int, int, int], g: float | None, d: float, scale: float
) -> None:
    if g is None:
        g = 1 - np.sqrt(0.7 * 0.02)  # half-way between 0.3 and 0.98, as distances from 1 go
    rate = 16000
    combs = (1116, 1188, 1277, 1356, 1422, 1491, 1557, 1617)
    delays = [round(scale * rate / 44100 * k) for k in combs]
    allpasses = [round(scale * rate / 44100 * k) for k in (556, 441, 341, 225)]
    x = np.random.default_rng(0).standard_normal(1801).astype(np.float32)
    found = reverb(x, reverberance=percent[0], damping=percent[1], room_size=percent[2], rate=rate)
    np.testing.assert_allclose(found, plain_loops(x, delays, allpasses, g, d), atol=2e-6)


def test_reverb_leaves_the_direct_sound_and_fades() -> None:
    click = np.zeros(32000, np.float32)
    click[0] = 1.0
    echo = reverb(click, reverberance=70, damping=50, room_size=50, rate=16000)
    assert echo[0] == 1
    assert (echo[1:200] == 0).all()  # before the first echo
    energy = (echo[200:].astype(float) ** 2)[:30000].reshape(6, -1).sum(axis=1)
    assert (np.diff(energy) < 0).all()
    assert energy[0] > 0

    def brightness(damping: int) -> float:
        tail = reverb(click, reverberance=70, damping=damping, room_size=50, rate=16000)[3200:]
        power = np.abs(np.fft.rfft(tail)) ** 2
        return power[len(power) // 2 :].sum() / power.sum()

    assert brightness(100) < brightness(0)


def test_reverb_of_something_shorter_than_its_delays() -> None:
    short = np.ones(10, np.float32)
    found = reverb(short, reverberance=50, damping=50, room_size=100, rate=16000)
    np.testing.assert_array_equal(found, short)
