"""Spoken words that the tests of several papers can afford, and how their networks are trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from core.data import speech
from core.data.events import EventData
from core.data.synthetic_events import write_events
from core.neurons import Normal, Uniform
from core.spoken.settings import SpokenSettings
from core.testing.recipe import Recipe

CLASSES = 4
SAMPLES = {"shd": (800, 200), "ssc": (1050, 175, 280), "hd": (380, 100), "sc": (560, 105, 140)}
"""Training, official validation and test recordings of the embedded look-alikes."""
HELD_OUT = {"shd": 82, "hd": 38}
"""Recordings of the speaker that a tenth of the training recordings is rounded up to."""


def write_tiny_shd(folder: Path) -> None:
    """SHD's layout with 48 and 24 recordings of 4 words by 3 speakers: every word has its band."""
    folder.mkdir()
    for stem, count, seed in (("shd_train", 48, 0), ("shd_test", 24, 1)):
        generator = np.random.default_rng(seed)
        labels = generator.permutation(np.arange(count) % CLASSES)
        lengths = generator.integers(200, 300, count)
        bands = np.repeat(labels, lengths) * 170 + generator.integers(0, 100, lengths.sum())
        data = EventData(
            times=generator.uniform(0, 1.3, lengths.sum()).astype(np.float16),
            units=bands.astype(np.uint16),
            offsets=np.concatenate(([0], np.cumsum(lengths))),
            labels=labels,
            speakers=generator.permutation(np.arange(count) % 3),
            words=tuple("abcd"),
        )
        write_events(folder / f"{stem}.h5", data)


@contextmanager
def loaded_once() -> Iterator[None]:
    """Within it data are loaded once, and a filterbank costs nothing."""
    with pytest.MonkeyPatch.context() as patch:
        for load in (speech.load_event_split, speech.load_utterance_split):
            patch.setattr(f"core.spoken.task.{load.__name__}", cache(load))
        # tells recordings apart as well as a filterbank does, and at once
        patch.setattr("core.data.utterances.log_mel", lambda x_N: x_N.unfold(0, 400, 160)[:, :40])
        yield


def recipe_of(config: SpokenSettings, initial: Mapping[str, Uniform | Normal]) -> Recipe:
    """What settings of the family say about a training on the embedded look-alikes.

    Args:
        config: Settings.
        initial: Laws of what is drawn, by the names of parameters.
    """
    train, *official, test = SAMPLES[config.dataset_name]
    published = config.protocol == "published" and not official
    split = not official and not published
    validation = official[0] if official else test if published else HELD_OUT[config.dataset_name]

    def rate(epoch: int) -> float:
        """The first epoch is the best; every ``patience + 1`` later ones lower the rate."""
        falls = max(0, epoch - 2) // (config.scheduler_patience + 1)
        return max(config.lr * config.scheduler_factor**falls, 1e-6)

    return Recipe(
        optimizer=torch.optim.Adam,
        lr=config.lr,
        rate=rate,
        clip_norm=config.clip_norm,
        dropout=[config.pdrop] * (config.nb_layers - 1),
        batch_size=config.batch_size,
        samples=(train - validation if split else train, validation, test),
        split_by_seed=split,
        test_selects=published,
        epochs=config.nb_epochs,
        selects="val_accuracy",
        initial=dict(initial),
    )
