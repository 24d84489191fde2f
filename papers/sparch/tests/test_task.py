"""The four data sets as tasks: sizes, splits, protocols, augmentation."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.data.batches import RowBatches
from core.errors import UserError
from sparch.config import Config
from sparch.task import Task, load_task

SIZES = {
    "shd": (700, 20, 800, 200),
    "ssc": (700, 35, 1050, 280),
    "hd": (40, 20, 380, 100),
    "sc": (40, 35, 560, 140),
}
"""Inputs, classes, training and test recordings of the embedded look-alikes."""


def task_of(dataset: str, **settings: Any) -> Task:
    settings = {"data": "embedded", "batch_size": 25, **settings}
    return load_task(Config(dataset_name=dataset, **settings))  # type: ignore[arg-type]


def labels(batches: RowBatches, epoch: int = 0) -> list[int]:
    return [int(y) for _, y_B in batches.epoch(epoch) for y in y_B]


def first(batches: RowBatches, epoch: int = 0) -> torch.Tensor:
    return next(iter(batches.epoch(epoch)))[0]


@pytest.mark.parametrize("dataset", SIZES)
def test_sizes(dataset: str) -> None:
    inputs, classes, training, test = SIZES[dataset]
    task = task_of(dataset)
    assert (task.inputs, task.classes, task.data) == (inputs, classes, f"synthetic-{dataset}")
    official = dataset in ("ssc", "sc")
    held_out = 0 if official else task.validation.samples
    assert task.train.samples + held_out == training
    assert task.test.samples == test
    assert not task.test_is_validation
    x_TBI = first(task.train)
    assert (x_TBI.dtype, x_TBI.shape[1:]) == (torch.float32, (25, inputs))
    if dataset in ("shd", "ssc"):
        assert len(x_TBI) == 100
        assert not x_TBI[0].any(), "no time falls into the first of the authors' bins"
    # trained on in a new order every epoch, evaluated in the order of the files
    assert labels(task.train, 1) != labels(task.train, 2)
    assert sorted(labels(task.train, 1)) == sorted(labels(task.train, 2))
    assert set(labels(task.test)) == set(range(classes))
    assert torch.equal(first(task.test, 0), first(task.test, 5))


@pytest.mark.parametrize("dataset", ["shd", "hd"])
def test_protocols(dataset: str) -> None:
    """Held out: whole speakers, drawn by the seed. Published: the test set selects."""
    published = task_of(dataset, protocol="published")
    assert published.test_is_validation
    assert published.validation is published.test
    assert published.train.samples == SIZES[dataset][2]
    one, other = (task_of(dataset, seed=seed) for seed in (0, 1))
    assert 0.1 * SIZES[dataset][2] <= one.validation.samples < 0.25 * SIZES[dataset][2]
    assert not torch.equal(first(one.validation), first(other.validation))
    assert one.data_digest == other.data_digest == published.data_digest


@pytest.mark.parametrize("dataset", ["ssc", "sc"])
def test_official_validation_sets(dataset: str) -> None:
    one, other = task_of(dataset), task_of(dataset, protocol="published", seed=1)
    assert not other.test_is_validation
    assert torch.equal(first(one.validation), first(other.validation))


def test_published_protocol_ignores_the_sample_rate() -> None:
    """Recordings of HD have 48 kHz: three times the frames."""
    ignored, resampled = (first(task_of("hd", protocol=p).test) for p in ("published", "held-out"))
    assert len(ignored) == pytest.approx(3 * len(resampled), rel=0.05)


def test_only_training_is_augmented() -> None:
    plain, changed = (task_of("sc", use_augm=value) for value in (False, True))
    assert torch.equal(first(plain.test), first(changed.test))
    assert torch.equal(first(plain.validation), first(changed.validation))
    one, again, later = first(changed.train, 1), first(changed.train, 1), first(changed.train, 2)
    assert not torch.equal(first(plain.train, 1), one)
    assert torch.equal(one, again)
    assert not torch.equal(one, later)


def test_speakers_are_needed_to_hold_them_out(tiny_shd: Path, tmp_path: Path) -> None:
    import h5py

    for name in ("shd_train.h5", "shd_test.h5"):
        (tmp_path / name).write_bytes((tiny_shd / name).read_bytes())
        with h5py.File(tmp_path / name, "a") as file:
            del file["extra/speaker"]
    with pytest.raises(UserError, match=r"does not say who spoke.*--protocol published"):
        load_task(Config(data_folder=tmp_path))
    assert load_task(Config(data_folder=tmp_path, protocol="published")).test_is_validation


def test_late_spikes_are_counted(tiny_shd: Path, tmp_path: Path) -> None:
    import h5py

    for name in ("shd_train.h5", "shd_test.h5"):
        (tmp_path / name).write_bytes((tiny_shd / name).read_bytes())
        with h5py.File(tmp_path / name, "a") as file:
            times = file["spikes/times"][0]
            times[:3] = (1.3995, 1.4, 2.0)  # as float16, 1.3995 stays below 1.4
            file["spikes/times"][0] = times
    assert load_task(Config(data_folder=tiny_shd)).remark == ""
    assert load_task(Config(data_folder=tmp_path)).remark == "4 spikes after 1.4 s left out"


def test_regenerated_shd() -> None:
    """Real recordings: 8156 and 2264, of which speakers 4 and 5 are in the test file alone."""
    if not (Path(os.environ.get("SNN_DATA", "")) / "shd_regen").is_dir():
        pytest.skip("needs the regenerated SHD; SNN_DATA names no folder with shd_regen")
    task = load_task(Config(data="regenerated"))
    assert (task.data, task.inputs, task.classes) == ("shd-regenerated", 700, 20)
    assert task.train.samples + task.validation.samples == 8156
    assert task.test.samples == 2264
    x_TBI, y_B = next(iter(task.test.epoch(0)))
    assert x_TBI.shape == (100, 128, 700)
    assert np.isclose(float(x_TBI.sum()) / 128, 7886, rtol=0.1)  # mean of the whole file
    assert set(labels(task.validation)) == set(range(20))
    assert len(y_B) == 128
