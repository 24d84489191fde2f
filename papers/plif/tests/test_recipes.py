"""Every configuration file becomes the training that it describes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.config import load_yaml
from core.data.event_frames import FrameSet
from core.data.per_class import split_classes
from core.testing.recipe import Recipe, assert_job_follows, job_of
from plif import task
from plif.augmentation import RandomAffine, RandomCrop
from plif.config import PAPER, Config
from plif.paper import PLIF
from plif.task import TEST_BATCHES

SAMPLES = {"train": 640, "test": 40}
SIDE = 8


def frames(data: object, split: str, *, steps: int, **how: Any) -> FrameSet:
    """Any frames, of which no two are equal."""
    generator = np.random.default_rng(len(split))
    shape = (SAMPLES[split], steps, 2, SIDE, SIDE)
    counts = generator.integers(0, 9, shape).astype(np.uint16)
    labels = np.arange(len(counts)) % 10
    return FrameSet(counts, labels, np.full(len(counts), 1000), [])


def digits(split: str, colours: int = 1) -> Any:
    whole = task.enlarged_digits(split, colours)
    some = SAMPLES[split]
    return whole._replace(images=whole.images[:some], labels=(np.arange(some) % 10).astype("u1"))


@pytest.fixture(autouse=True, scope="module")
def _small_data() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(task, "load_frames", frames)
        for augmentation in ("RandomAffine", "RandomCrop"):
            patch.setattr(task, augmentation, lambda seed: None)  # samples are told by their pixels
        found = task.find_event_set("nmnist", "embedded")._replace(side=SIDE)
        patch.setattr(task, "find_event_set", lambda *_, **__: found)
        few = cache(lambda split, colours=1: digits(split, colours))
        patch.setattr(
            task,
            "_image_files",
            lambda config: (
                "digits",
                "",
                partial(few, colours=3 if config.dataset_name == "CIFAR10" else 1),
            ),
        )
        yield


def recipe_of(config: Config) -> Recipe:
    train, test = SAMPLES["train"], SAMPLES["test"]
    kept = 10 * math.ceil(train // 10 * (1 - config.val_ratio))
    held_out = train - kept if config.val_ratio else test
    dropouts = 1 if config.dataset_name == "CIFAR10" else 2
    return Recipe(
        optimizer=torch.optim.Adam,
        lr=config.learning_rate,
        rate=lambda epoch: (
            config.learning_rate * (1 + math.cos(math.pi * (epoch - 1) / config.T_max)) / 2
        ),
        clip_norm=config.clip_norm,
        dropout=[config.dropout] * dropouts,
        batch_size=config.batch_size,
        samples=(kept, held_out, test),
        split_by_seed=False,
        epochs=config.max_epoch,
        selects="val_accuracy",
        test_selects=not config.val_ratio,
    )


FILES = sorted((PAPER / "configs").glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_job_follows_the_file(file: Path) -> None:
    config = load_yaml(Config, file)
    small: dict[str, Any] = {"channels": 2, "hidden": 4, "backend": "reference", "T": 2}
    if not config.is_static:
        small["number_layer"] = 1
    if config.train_samples is not None:
        small["train_samples"] = SAMPLES["train"]
    if config.protocol == "published" and config.val_ratio:
        small["val_ratio"] = 0.25  # so that all batches are full
    config = replace(config, **small)
    make = partial(job_of, PLIF)
    assert_job_follows(recipe_of, make, config, sample=lambda job, x: x.flatten(1))


def test_sets_of_the_published_sizes_are_split_as_published() -> None:
    """Sizes that the published logs show."""
    mnist = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    for counts, expected in (
        (mnist, (51005, 8995)),
        ([6000] * 10, (51000, 9000)),
        ([5000] * 10, (42500, 7500)),
        ([900] * 10, (7650, 1350)),
    ):
        labels = np.repeat(np.arange(10), counts)
        assert tuple(map(len, split_classes(labels, 0.15))) == expected
    for trials, expected in ((98, (1007, 169)), (78, (803, 133))):
        labels = np.repeat(np.arange(11), [trials * (1 + (kind == 7)) for kind in range(11)])
        assert tuple(map(len, split_classes(labels, 0.15))) == expected


@pytest.mark.parametrize("augment", [RandomAffine(3), RandomCrop(3)])
def test_augmentation_depends_on_seed_epoch_and_row_alone(augment: Any) -> None:
    images = torch.rand(4, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    rows = np.array([5, 2, 9, 7])
    changed = augment(images, rows, 1)
    assert changed.shape == images.shape
    assert torch.equal(augment(images[1:3], rows[1:3], 1), changed[1:3])
    assert not torch.equal(augment(images, rows, 2), changed)
    assert not torch.equal(type(augment)(4)(images, rows, 1), changed)
    assert set(changed.unique().tolist()) <= {0.0, *images.unique().tolist()}, "nothing is blended"


def test_affine_changes_are_those_published() -> None:
    augment = RandomAffine(0)
    whole = torch.ones(500, 1, 28, 28)
    seen = augment(whole, np.arange(500), 0).mean((1, 2, 3))
    assert seen.max() > 0.98
    assert 0.5 < seen.min() < 0.75  # moved, turned and shrunk the most
    dot = torch.zeros(1, 1, 28, 28)
    dot[..., 13:15, 13:15] = 1.0
    places = [augment(dot, np.array([row]), 0)[0, 0].nonzero().float().mean(0) for row in range(99)]
    shifts = torch.stack(places) - 13.5
    assert 3.0 < shifts.abs().max() < 5.5


def test_test_batches_are_those_published() -> None:
    assert TEST_BATCHES == {"MNIST": 8, "FashionMNIST": 16, "CIFAR10": 16, "NMNIST": 4}


def test_validation_holds_out_the_same_samples_as_the_authors_code() -> None:
    with np.load(Path(__file__).parent / "golden" / "train_val_split.npz") as golden:
        for case in ("c0", "c1", "c2"):
            found = split_classes(golden[f"{case}_labels"], float(golden[f"{case}_val_ratio"]))
            for rows, split in zip(found, ("train", "val"), strict=True):
                assert np.array_equal(rows, golden[f"{case}_{split}"])
        sizes = golden["ceil_n"], golden["ceil_n_train"]  # of classes of all sizes, by 0.15
    for size, kept in zip(*map(np.ndarray.tolist, sizes), strict=True):
        train, _ = split_classes(np.repeat([0, 1], (size, 20)), 0.15)
        assert len(train) == kept + 17
