"""Every configuration file becomes the training that it describes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest
import torch
from torch import Tensor

from bsnn.config import PAPER, Config
from bsnn.layer import BalancedLayer
from bsnn.models import BSNN
from bsnn.paper import BSNN_PAPER
from core.config import load_yaml
from core.paper import count_parameters
from core.testing.recipe import job_of
from core.training.job import Job
from core.training.schedules import step as step_scheduler

FILES = sorted((PAPER / "configs").glob("*.yaml"))
TRAINED = {  # W_in, W_rec, alpha, W_out, alpha_out of 40 inputs and two classes
    "lsm": lambda n: 2 * n,
    "cuba_fixed": lambda n: n + 2 * n + 2,
}


@pytest.fixture(autouse=True)
def no_git() -> Iterator[None]:
    with mock.patch("core.paper.facts.describe", return_value={}):
        yield


def made(file: Path, **changes: object) -> tuple[Config, Job, BSNN]:
    config = replace(load_yaml(Config, file), backend="reference", **changes)  # type: ignore[arg-type]
    job = job_of(BSNN_PAPER, config)
    assert isinstance(job.model, BSNN)
    return config, job, job.model


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_job_follows_the_file(file: Path) -> None:
    config, job, model = made(file)
    experiment = next((name for name in TRAINED if file.stem.endswith(name)), None)
    n = config.neurons
    everything = 40 * n + n * n + n + 2 * n + 2
    expected = TRAINED[experiment](n) if experiment else everything
    assert count_parameters(model) == expected
    assert (job.epochs, job.selects) == (config.n_epochs, "val_accuracy")
    assert (job.validation is job.test) == (config.protocol == "published")
    assert type(job.optimizer) is torch.optim.Adam
    (group,) = job.optimizer.param_groups
    assert (group["lr"], group["betas"], group["weight_decay"]) == (0.01, (0.9, 0.999), 0.0)
    rates = []
    for _ in range(5):  # the accuracy never rises: patience 1, then less
        job.optimizer.step()
        step_scheduler(job.scheduler, val_accuracy=50.0)
        rates.append(job.optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([0.01, 0.01, 0.007, 0.007, 0.0049])
    (hidden,) = [layer for layer in model.layers if isinstance(layer, BalancedLayer)]
    assert hidden.neuron.firing == (
        "multi"
        if "multispike" in file.stem
        else "single_intended"
        if "intended" in file.stem
        else "single_published"
    )
    assert (hidden.V_slow is not None) == ("cuba" in file.stem)
    assert bool((hidden.neuron.threshold != 1.0).all()) == config.balance


def first_inputs(job: Job, split: str) -> Tensor:
    batches = getattr(job, split)
    inputs, _ = batches.take(torch.arange(2), 0)
    return inputs


@pytest.mark.parametrize("name", ["code_r1_lsm", "clean_lsm"])
def test_samples(name: str) -> None:
    """Published splits share the noise of sample n, clean ones share nothing."""
    file = PAPER / "configs" / f"{name}.yaml"
    _, job, _ = made(file, repeat=1, samples=200)
    _, again, _ = made(file, repeat=1, samples=200)
    _, other, _ = made(file, repeat=1, samples=200, seed=1)
    noise = [first_inputs(job, split)[..., 30:] for split in ("train", "validation", "test")]
    shared = name != "clean_lsm"
    assert torch.equal(noise[0], noise[1]) == shared
    assert torch.equal(noise[1], noise[2]) == shared
    assert not torch.equal(first_inputs(other, "train"), first_inputs(job, "train"))
    one, same, another = (
        [labels.tolist() for _, labels in j.train.epoch(e)]
        for j, e in ((job, 1), (again, 1), (job, 2))
    )
    assert one == same
    assert one != another
    assert [len(labels) for labels in one] == [30] * 6 + [20]
    assert float(first_inputs(job, "train").max()) == 200.0
