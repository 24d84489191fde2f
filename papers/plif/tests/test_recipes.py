"""Every configuration file becomes the training that it describes."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from core.config import load_yaml
from core.neurons import Uniform
from core.testing.recipe import Recipe, assert_job_follows, job_of
from plif.config import PAPER, Config
from plif.paper import PLIF


def recipe_of(config: Config) -> Recipe:
    held_out = int(config.val_fraction * 1437)
    return Recipe(
        optimizer=torch.optim.Adam,
        lr=config.lr,
        rate=lambda epoch: config.lr * (1 - (epoch - 1) / config.epochs),
        clip_norm=config.clip_norm,
        dropout=[0.0],
        batch_size=config.batch_size,
        samples=(1437 - held_out, held_out, 360),
        split_by_seed=True,
        epochs=config.epochs,
        selects="val_loss",
        initial={"0.neuron.tau_mem": Uniform(2.0, 6.0)},
    )


FILES = sorted((PAPER / "configs").glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_job_follows_the_file(file: Path) -> None:
    config = replace(load_yaml(Config, file), backend="reference")
    assert_job_follows(recipe_of, partial(job_of, PLIF), config)
