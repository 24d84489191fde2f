"""The cue task: as the authors draw it, bit for bit, and as independent splits."""

import functools
from pathlib import Path

import numpy as np
import pytest
import torch

from core.data.cue_accumulation import (
    CHANNELS,
    STEPS,
    WAIT_FROM,
    CueData,
    clean_split,
    cue_batches,
    published_split,
    published_splits,
    unpack,
)
from core.errors import UserError

GOLDEN = Path(__file__).parents[1] / "golden/bsnn/cue_dataset.npz"
NOISE = slice(30, 40)


@functools.cache
def published() -> tuple[CueData, ...]:
    return published_splits(0)


def test_published_splits_are_those_of_the_authors() -> None:
    golden = np.load(GOLDEN)
    for name, data in zip(("train", "valid", "test"), published(), strict=True):
        assert data.labels.dtype == np.int64
        np.testing.assert_array_equal(data.labels, golden[f"{name}_y"])
        np.testing.assert_array_equal(data.cues, golden[f"{name}_cues"])
        np.testing.assert_array_equal(data.bias, golden[f"{name}_group_idx"])
        np.testing.assert_array_equal(data.spikes[:12], golden[f"{name}_x_packed_first12"])
        counts = np.stack([unpack(data.spikes[n : n + 1])[0].sum(0) for n in range(200)])
        np.testing.assert_array_equal(counts, golden[f"{name}_counts"])


def test_published_splits_have_the_authors_rates() -> None:
    spikes = [unpack(data.spikes) for data in published()]
    assert [data.labels.mean() for data in published()] == [0.515, 0.47, 0.54]
    means = [x.mean() for x in spikes]
    np.testing.assert_allclose(means, [0.0062889, 0.0062841, 0.0062995], atol=5e-8)
    groups = spikes[0].reshape(200, STEPS, 4, 10).mean((0, 1, 3))
    np.testing.assert_allclose(groups, [0.0063322, 0.0061853, 0.0026569, 0.0099813], atol=5e-8)


def test_published_splits_share_their_noise_and_clean_ones_do_not() -> None:
    train, validation, test = (unpack(data.spikes[:5]) for data in published())
    assert (train[..., NOISE] == validation[..., NOISE]).all()
    assert (train[..., NOISE] == test[..., NOISE]).all()
    clean = [unpack(clean_split(0, split, 50).spikes)[..., NOISE] for split in range(3)]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        both = (clean[one] & clean[other]).mean()
        assert both == pytest.approx(0.01**2, abs=3e-5)  # as chance has it


def test_a_clean_split_has_the_statistics_of_the_task() -> None:
    data = clean_split(3, 0, 150)
    x = unpack(data.spikes)
    assert x.shape == (150, STEPS, CHANNELS)
    assert ((data.cues.sum(1) > 3) == data.labels).all()
    assert data.labels.mean() == pytest.approx(0.5, abs=0.13)
    right = np.where(data.bias == 0, 0.7, 0.3)
    assert (data.cues.mean(1) - right).mean() == pytest.approx(0, abs=0.045)
    for n, cues in enumerate(data.cues):
        for j, side in enumerate(cues):
            assert not x[n, 150 * j : 150 * j + 50, :30].any()  # silence before each cue
            group = x[n, 150 * j + 50 : 150 * j + 150, :20].reshape(100, 2, 10)
            assert not group[:, 1 - side].any()
    assert not x[:, :2100, 20:30].any()
    assert x[:, 2100:, 20:30].mean() == pytest.approx(0.04, abs=0.002)
    assert x[..., NOISE].mean() == pytest.approx(0.01, abs=0.0005)
    assert x[:, :WAIT_FROM, :20].mean() == pytest.approx(0.04 / 2 * 100 / 150, abs=0.0005)


def test_a_larger_clean_split_begins_as_a_smaller_one() -> None:
    small, large = clean_split(1, 2, 2), clean_split(1, 2, 4)
    np.testing.assert_array_equal(small.spikes, large.spikes[:2])
    np.testing.assert_array_equal(small.cues, large.cues[:2])
    assert not np.array_equal(small.spikes, clean_split(2, 2, 2).spikes)


def test_the_generator_goes_on_between_splits() -> None:
    generator = np.random.RandomState(7)
    first, second = (published_split(generator, 7, 3) for _ in range(2))
    assert not np.array_equal(first.cues, second.cues)
    together = published_splits(7, 3)
    np.testing.assert_array_equal(together[1].spikes, second.spikes)


def test_batches_are_scaled_slowed_and_time_first() -> None:
    task = cue_batches("clean", seed=0, batch_size=2, samples=(5, 3, 2), scale=200.0, repeat=3)
    assert task.t_crop == 3150
    assert [part.samples for part in (task.train, task.validation, task.test)] == [5, 3, 2]
    x, y = next(task.validation.epoch(0))
    assert x.shape == (3 * STEPS, 2, CHANNELS)
    assert (x.dtype, y.dtype) == (torch.float32, torch.int64)
    spikes = unpack(clean_split(0, 1, 3).spikes[:2])
    np.testing.assert_array_equal(x[1::3].numpy(), 200.0 * spikes.transpose(1, 0, 2))
    assert (x[::3] == x[2::3]).all()
    assert sum(len(labels) for _, labels in task.train.epoch(1)) == 5


def test_the_published_protocol_tests_on_the_split_that_selects() -> None:
    task = cue_batches("published", seed=0, batch_size=3, samples=(3, 3, 3))
    assert task.test is task.validation
    other = cue_batches("published", seed=1, batch_size=3, samples=(3, 3, 3))
    clean = cue_batches("clean", seed=0, batch_size=3, samples=(3, 3, 3))
    assert clean.test is not clean.validation
    assert len({task.digest, other.digest, clean.digest}) == 3


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="equally large"):
        cue_batches("published", seed=0, batch_size=3, samples=(3, 3, 4))
    with pytest.raises(UserError, match="batch size is 0"):
        cue_batches("clean", seed=0, batch_size=0, samples=(1, 1, 1))
