"""Every configuration file becomes the training that it describes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import pytest
import torch

from core.config import from_dict, load_yaml
from core.data import speech
from core.neurons import Normal, Uniform
from core.testing.recipe import Recipe, assert_job_follows, job_of
from sparch.config import PAPER, Config
from sparch.paper import SPARCH

FILES = sorted((PAPER / "configs").glob("*.yaml"))
SAMPLES = {"shd": (800, 200), "ssc": (1050, 175, 280), "hd": (380, 100), "sc": (560, 105, 140)}
"""Training, official validation and test recordings of the embedded look-alikes."""
HELD_OUT = {"shd": 82, "hd": 38}
"""Recordings of the speaker that a tenth of the training recordings is rounded up to."""
ALPHA = Uniform(math.exp(-1 / 5), math.exp(-1 / 25))
ADAPTIVE = {
    "beta": Uniform(math.exp(-1 / 30), math.exp(-1 / 120)),
    "a": Uniform(-1.0, 1.0),
    "b": Uniform(0.0, 2.0),
}


@pytest.fixture(autouse=True, scope="module")
def _loaded_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for load in (speech.load_event_split, speech.load_utterance_split):
            patch.setattr(f"core.spoken.task.{load.__name__}", cache(load))
        # tells recordings apart as well as a filterbank does, and at once
        patch.setattr("core.data.utterances.log_mel", lambda x_N: x_N.unfold(0, 400, 160)[:, :40])
        yield


def recipe_of(config: Config) -> Recipe:
    train, *official, test = SAMPLES[config.dataset_name]
    published = config.protocol == "published" and not official
    if official:
        validation = official[0]
    elif published:
        validation = test
    else:
        validation = HELD_OUT[config.dataset_name]
        train -= validation

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
        samples=(train, validation, test),
        split_by_seed=not official and not published,
        test_selects=published,
        epochs=config.nb_epochs,
        selects="val_accuracy",
        initial=initial_of(config),
    )


def initial_of(config: Config) -> dict[str, Uniform | Normal]:
    if not config.is_spiking:
        return {}
    last = config.nb_layers - 1
    drawn: dict[str, Uniform | Normal] = {
        f"snn.{layer}.neuron.alpha": ALPHA for layer in range(last + 1)
    }
    if config.model_type in ("adLIF", "RadLIF"):
        drawn |= {
            f"snn.{n}.neuron.{name}": ADAPTIVE[name] for n in range(last) for name in ADAPTIVE
        }
    return drawn


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_job_follows_the_file(file: Path) -> None:
    config = load_yaml(Config, file)
    small = replace(config, data="embedded", backend="reference", nb_hiddens=40)
    assert_job_follows(recipe_of, partial(job_of, SPARCH), small)


@pytest.mark.parametrize("dataset", ["shd", "hd"])
def test_speakers_held_out(dataset: str) -> None:
    """No published row has this protocol; other settings than the defaults throughout."""
    other = {"model_type": "adLIF", "nb_hiddens": 12, "nb_layers": 4, "pdrop": 0.35, "lr": 3e-3}
    other |= {"clip_norm": 0.7, "batch_size": 50, "scheduler_patience": 2}
    other |= {"scheduler_factor": 0.4, "data": "embedded", "backend": "reference"}
    config = from_dict(Config, {"dataset_name": dataset, **other}, "this test")

    assert_job_follows(recipe_of, partial(job_of, SPARCH), config)
