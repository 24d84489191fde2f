"""Every configuration file becomes the training that it describes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from brf.config import CONFIGS, PAPER, Config, GscConfig, ShdConfig, SmnistConfig
from brf.paper import BRF
from core.config import load_yaml
from core.data import digest, load_digits, load_synthetic_ecg
from core.data.speech import load_event_split
from core.neurons import Normal, Uniform
from core.testing.recipe import Recipe, assert_job_follows, job_of
from core.training.job import Job

OPTIMIZERS = {
    "adam": torch.optim.Adam,
    "radam": torch.optim.RAdam,
    "rmsprop": torch.optim.RMSprop,
}
FILES = sorted((PAPER / "configs").glob("*.yaml"))


@pytest.fixture(autouse=True, scope="module")
def _loaded_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for load in (load_digits, load_synthetic_ecg, load_event_split, digest):
            patch.setattr(f"brf.task.{load.__name__}", cache(load))
        yield


def recipe_of(config: Config) -> Recipe:
    hidden: dict[str, Uniform | Normal]
    if config.neuron == "alif":
        hidden = {"tau_mem": Normal(*config.tau_mem), "tau_adp": Normal(*config.tau_adp)}
    else:
        hidden = {"omega": Uniform(*config.omega), "b_offset": Uniform(*config.b_offset)}
    if isinstance(config, SmnistConfig):
        rows = np.bincount(load_digits("train").labels)
        available = sum(int(config.train_fraction * count) for count in rows)
        test = 360
    else:
        available, test = (800, 200) if isinstance(config, ShdConfig) else (256, 64)
    held_out = int(config.val_fraction * available)
    samples = (available - held_out, held_out, test)
    if isinstance(config, GscConfig):
        samples = (140, 26, 35)  # a quarter of the files of every split
    return Recipe(
        optimizer=OPTIMIZERS[config.optimizer],
        betas=None if config.optimizer == "rmsprop" else (0.9, 0.999),
        lr=config.lr,
        rate=lambda epoch: config.lr * (1 - (epoch - 1) / config.epochs),
        clip_norm=config.clip_norm,
        dropout=(),
        batch_size=config.batch_size,
        samples=samples,
        split_by_seed=not isinstance(config, GscConfig),
        epochs=config.epochs,
        selects="val_loss",
        initial={
            **{f"hidden.neuron.{name}": law for name, law in hidden.items()},
            "out.neuron.tau_mem": Normal(*config.tau_out),
        },
    )


def unpermuted(job: Job, x_TI: Tensor) -> Tensor:
    order = getattr(job.model, "permutation", None)
    return x_TI if order is None else x_TI[order.argsort()]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_job_follows_the_file(file: Path) -> None:
    # companions in a batch change a recording, which is to be recognised here
    alone: dict[str, Any] = {"standardize": False} if file.stem.startswith("gsc") else {}
    task = file.stem.removeprefix("quick_").partition("_")[0]
    config = load_yaml(CONFIGS.get(task, SmnistConfig), file)
    assert_job_follows(
        recipe_of,
        partial(job_of, BRF),
        replace(config, data="embedded", backend="reference", hidden=40, **alone),
        ranges=("omega", "b_offset", "tau_mem", "tau_adp", "tau_out"),
        sample=unpermuted,
    )
