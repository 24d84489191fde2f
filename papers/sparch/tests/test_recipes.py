"""Every configuration file becomes the training that it describes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from core.config import from_dict, load_yaml
from core.neurons import Normal, Uniform
from core.testing import spoken
from core.testing.recipe import Recipe, assert_job_follows, job_of
from core.testing.spoken import loaded_once
from sparch.config import PAPER, Config
from sparch.paper import SPARCH

FILES = sorted((PAPER / "configs").glob("*.yaml"))
ALPHA = Uniform(math.exp(-1 / 5), math.exp(-1 / 25))
ADAPTIVE = {
    "beta": Uniform(math.exp(-1 / 30), math.exp(-1 / 120)),
    "a": Uniform(-1.0, 1.0),
    "b": Uniform(0.0, 2.0),
}


@pytest.fixture(autouse=True, scope="module")
def _loaded_once() -> Iterator[None]:
    with loaded_once():
        yield


def recipe_of(config: Config) -> Recipe:
    return spoken.recipe_of(config, initial_of(config))


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
