"""Every configuration file becomes the training that it describes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from core.config import load_yaml
from core.neurons import Normal, Uniform
from core.testing import spoken
from core.testing.recipe import Recipe, assert_job_follows, job_of
from core.testing.spoken import loaded_once
from silif.config import PAPER, Config
from silif.paper import SILIF

from .arrays import need

FILES = sorted((PAPER / "configs").glob("*.yaml"))
GROUPED = ("sc_s4d", "sc_ss4d")
"""Two groups of parameters, see :func:`test_two_groups`."""
READOUT = Uniform(math.exp(-1 / 5), math.exp(-1 / 25))
INITIAL: dict[str, dict[str, Uniform | Normal]] = {
    "SiLIF": {
        "alpha": Uniform(math.log(10), math.log(250)),
        "beta": Uniform(math.log(2.5), math.log(10)),
        "a": Uniform(0.0, 1.0),
        "b": Uniform(0.0, 2.0),
    },
    "CSiLIF": {"b": Uniform(0.0, 1.0)},
    "CadLIF": {
        "alpha": Uniform(0.36, 0.96),
        "beta": Uniform(0.96, 0.99),
        "a": Uniform(0.0, 1.0),
        "b": Uniform(0.0, 2.0),
    },
    "adLIF": {
        "alpha": READOUT,
        "beta": Uniform(math.exp(-1 / 30), math.exp(-1 / 120)),
        "a": Uniform(-1.0, 1.0),
        "b": Uniform(0.0, 2.0),
    },
    "LIF": {"alpha": READOUT},
    "ResonateFire": {"alpha_real": Uniform(-10.0, -1.0), "alpha_im": Uniform(5.0, 10.0)},
}


@pytest.fixture(autouse=True, scope="module")
def _loaded_once() -> Iterator[None]:
    with loaded_once():
        yield


def recipe_of(config: Config) -> Recipe:
    return spoken.recipe_of(config, initial_of(config))


def initial_of(config: Config) -> dict[str, Uniform | Normal]:
    if config.model_type not in INITIAL:
        return {}
    last = config.nb_layers - 1
    drawn: dict[str, Uniform | Normal] = {f"snn.{last}.neuron.alpha": READOUT}
    for name, law in INITIAL[config.model_type].items():
        drawn |= {f"snn.{layer}.neuron.{name}": law for layer in range(last)}
    return drawn


def small(file: Path) -> Config:
    """As the file says, on embedded data and with a network that is quickly made."""
    config = load_yaml(Config, file)
    smaller: dict[str, Any] = {"nb_hiddens": 40, "nb_layers": min(config.nb_layers, 4), "seed": 0}
    smaller["nb_steps"] = 40
    return replace(config, data="embedded", backend="reference", load_exp_folder=None, **smaller)


@pytest.mark.parametrize(
    "file", [file for file in FILES if file.stem not in GROUPED], ids=lambda file: file.stem
)
def test_the_job_follows_the_file(file: Path) -> None:
    assert_job_follows(recipe_of, partial(job_of, SILIF), small(file))


@pytest.mark.parametrize("name", GROUPED)
def test_two_groups(name: str) -> None:
    """AdamW with decay, and steps and rates of the kernels without, at 0.001 at most."""
    if name == "sc_ss4d":
        need("sdn_predictor")
    config = small(PAPER / "configs" / f"{name}.yaml")
    job = job_of(SILIF, config)
    assert type(job.optimizer) is torch.optim.AdamW
    most, kernels = job.optimizer.param_groups
    assert (most["lr"], most["weight_decay"]) == (config.lr, 0.01)
    assert (kernels["lr"], kernels["weight_decay"]) == (0.001, 0.0)
    names = {id(p): name for name, p in job.model.named_parameters()}
    slow = {names[id(p)].rpartition(".")[2] for p in kernels["params"]}
    assert slow == {"log_dt", "log_A_real", "A_imag"}
    given = [id(p) for group in job.optimizer.param_groups for p in group["params"]]
    assert sorted(given) == sorted(id(p) for p in job.model.parameters() if p.requires_grad)


def test_speakers_held_out() -> None:
    """No file has this protocol."""
    other: dict[str, Any] = {"nb_hiddens": 12, "nb_layers": 4, "pdrop": 0.35, "lr": 3e-3}
    other |= {"protocol": "held-out", "batch_size": 50, "clip_norm": 0.7}
    other |= {"scheduler_patience": 2, "scheduler_factor": 0.4}
    config = replace(small(PAPER / "configs" / "shd_csilif.yaml"), **other)
    assert_job_follows(recipe_of, partial(job_of, SILIF), config)
