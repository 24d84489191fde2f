"""Whether a paper's job is what its configuration says: one check that every paper runs.

A paper says in a :class:`Recipe` what a configuration stands for, in terms of PyTorch and of its
data set, without its own training code; :func:`assert_job_follows` builds the job and compares.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from core.layers.dropout import Dropout
from core.neurons import Normal, Uniform
from core.paper import Paper, make_job
from core.settings import SettingsT
from core.training.job import EpochBatches, Job
from core.training.schedules import step as step_scheduler
from core.training.seeding import seed_everything

STEPS, SAMPLES = 20, 4
"""Size of the batch that one training step is taken on."""
DRAWS = 4
"""Networks whose initial values are looked at together: a readout has few of them."""


@dataclass(frozen=True)
class Recipe:
    """What the job of a configuration has to be.

    Attributes:
        optimizer: Its class.
        lr: Learning rate at the start.
        rate: Learning rate of an epoch, counted from 1, where the validation accuracy never rises.
        clip_norm: Largest global gradient norm of a training step; None for no clipping.
        dropout: Of every dropout module, in order.
        batch_size: Of training.
        samples: Sizes of training, validation and test.
        split_by_seed: Another seed holds other rows out.
        epochs: To train.
        selects: What the best epoch is chosen by.
        initial: Distribution from which parameters are drawn, by their name in the model.
        betas: Of the optimiser; None where it has none.
        weight_decay: Of the optimiser.
        test_selects: The test set is the validation set.
    """

    optimizer: type[Optimizer]
    lr: float
    rate: Callable[[int], float]
    clip_norm: float | None
    dropout: Sequence[float]
    batch_size: int
    samples: tuple[int, int, int]
    split_by_seed: bool
    epochs: int
    selects: str
    initial: Mapping[str, Uniform | Normal] = field(default_factory=dict)
    betas: tuple[float, float] | None = (0.9, 0.999)
    weight_decay: float = 0.0
    test_selects: bool = False


def job_of(paper: Paper[SettingsT], config: SettingsT) -> Job:
    """What :func:`core.paper.run` trains, on the CPU."""
    task = paper.load_task(config, None)
    seed_everything(config.seed)
    return make_job(paper, config, task, torch.device("cpu"))


def assert_job_follows(
    recipe_of: Callable[[Any], Recipe],
    make: Callable[[Any], Job],
    config: Any,
    *,
    ranges: Sequence[str] = (),
    sample: Callable[[Job, Tensor], Tensor] = lambda job, x_TI: x_TI,
) -> None:
    """Build the job of ``config`` and compare all of it with ``recipe_of(config)``.

    Args:
        recipe_of: What a configuration stands for.
        make: Seeds everything and makes the job, such as :func:`job_of` for a paper, on data where
            no two samples are equal. Called with changes of ``config`` as well.
        config: The settings, with the keys ``seed``, ``clip_norm`` and ``batch_size``.
        ranges: Keys of two numbers that initial values are drawn by; all are moved as well, and
            the draws have to follow.
        sample: From one sample of a batch, ``[T, I]``, what is equal for every seed.
    """
    # of code and machine, which takes two calls of git
    with mock.patch("core.paper.facts.describe", return_value={}):
        _assert_job_follows(recipe_of, make, config, ranges, sample)


def _assert_job_follows(
    recipe_of: Callable[[Any], Recipe],
    make: Callable[[Any], Job],
    config: Any,
    ranges: Sequence[str],
    sample: Callable[[Job, Tensor], Tensor],
) -> None:
    job, recipe = make(config), recipe_of(config)
    assert (job.epochs, job.selects) == (recipe.epochs, recipe.selects)
    _assert_optimizer(job, recipe)
    _assert_clipping(make, config, recipe.clip_norm)
    drops = [m.p for m in job.model.modules() if isinstance(m, Dropout | nn.Dropout)]
    assert drops == list(recipe.dropout)
    _assert_rows(job, make(config), make(replace(config, seed=config.seed + 1)), recipe, sample)
    moved = {key: tuple(3 * value + 1 for value in getattr(config, key)) for key in ranges}
    for settings in (config, replace(config, **moved)) if moved else (config,):
        _assert_initial(make, settings, recipe_of(settings).initial)
    _assert_rates(job, recipe)


def _assert_optimizer(job: Job, recipe: Recipe) -> None:
    assert type(job.optimizer) is recipe.optimizer
    trained = [p for group in job.optimizer.param_groups for p in group["params"]]
    assert sorted(map(id, trained)) == sorted(map(id, job.model.parameters()))
    for group in job.optimizer.param_groups:
        found = (group["lr"], group.get("betas"), group["weight_decay"])
        assert found == (recipe.lr, recipe.betas, recipe.weight_decay)


def _assert_rates(job: Job, recipe: Recipe) -> None:
    for epoch in range(1, min(recipe.epochs, 12) + 1):
        (rate,) = {group["lr"] for group in job.optimizer.param_groups}
        assert np.isclose(rate, recipe.rate(epoch), rtol=1e-12, atol=0.0), epoch
        job.optimizer.step()  # without gradients: PyTorch wants it before the scheduler's
        step_scheduler(job.scheduler, val_accuracy=50.0)


class _Observer(SGD):
    """Changes nothing and keeps the global gradient norm of every step."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model.parameters(), lr=0.0)
        self.norms: list[float] = []

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        gradients = [p.grad for group in self.param_groups for p in group["params"]]
        kept = [g.norm() for g in gradients if g is not None]
        self.norms.append(float(torch.stack(kept).norm()))


def _gradient_norms(job: Job) -> Tensor:
    inputs_TBI, targets = next(iter(job.train.epoch(1)))
    inputs_TBI = inputs_TBI[:STEPS]
    targets = targets[:STEPS] if targets.dim() == 2 else targets
    observer = _Observer(job.model)
    torch.manual_seed(0)
    job.model.train()
    job.train_step(job.model, inputs_TBI, targets, observer)
    return torch.tensor(observer.norms)


def _assert_clipping(make: Callable[[Any], Job], config: Any, clip_norm: float | None) -> None:
    """As the recipe has it, not at all, and to half of the largest gradient."""
    config = replace(config, batch_size=SAMPLES)
    free = _gradient_norms(make(replace(config, clip_norm=None)))
    assert float(free.max()) > 0.0
    half = float(free.max()) / 2
    for limit in (clip_norm, half):
        kept = 1.0 if limit is None else (limit / (free + 1e-6)).clamp(max=1.0)  # as PyTorch
        found = _gradient_norms(make(replace(config, clip_norm=limit)))
        torch.testing.assert_close(found, kept * free, rtol=1e-3, atol=0.0)


Rows = list[int]


def _assert_rows(
    job: Job,
    again: Job,
    other: Job,
    recipe: Recipe,
    sample: Callable[[Job, Tensor], Tensor],
) -> None:
    def rows(job: Job, batches: EpochBatches, epoch: int = 0) -> tuple[Rows, list[int]]:
        """What tells samples apart, in the order of an epoch, and the sizes of its batches."""
        found: Rows = []
        sizes = []
        for inputs_TBI, _ in batches.epoch(epoch):
            sizes.append(inputs_TBI.shape[1])
            some = inputs_TBI[..., :: max(1, inputs_TBI.shape[-1] // 40)]  # enough to tell them by
            for x_TI in some.transpose(0, 1).contiguous():
                x_TI = sample(job, x_TI)
                length = 1 + int(x_TI.any(-1).nonzero()[-1])  # batches pad with zeros
                found.append(hash(x_TI[:length].numpy().tobytes()))
        return found, sizes

    train, sizes = rows(job, job.train, 1)
    validation, test = rows(job, job.validation)[0], rows(job, job.test)[0]
    assert set(sizes[:-1]) <= {recipe.batch_size}
    assert 0 < sizes[-1] <= recipe.batch_size
    assert (len(train), len(validation), len(test)) == recipe.samples
    assert (job.validation is job.test) == recipe.test_selects
    parts = [train, test] if recipe.test_selects else [train, validation, test]
    assert len(set().union(*parts)) == sum(map(len, parts)), "a sample is in two places"
    # the seed decides everything, and everything that it should
    assert train == rows(again, again.train, 1)[0]
    assert validation == rows(again, again.validation)[0]
    assert test == rows(other, other.test)[0]
    held_out = set(rows(other, other.validation)[0])
    assert (held_out != set(validation)) == recipe.split_by_seed
    # a new order in every epoch, and another one for another seed
    later = rows(job, job.train, 2)[0]
    differently = rows(other, other.train, 1)[0]
    assert sorted(later) == sorted(train)
    assert _order_is_new(train, later)
    assert _order_is_new(train, differently)
    assert validation == rows(job, job.validation, 1)[0]


def _order_is_new(rows: Rows, others: Rows) -> bool:
    """Of rows in both, hardly any follows the same row as before."""
    before = set(pairwise(rows))
    return len(before & set(pairwise(others))) < 0.1 * len(rows)


def _assert_initial(
    make: Callable[[Any], Job], config: Any, initial: Mapping[str, Uniform | Normal]
) -> None:
    """Kolmogorov-Smirnov: values drawn from anything else are told apart with some certainty.

    A right draw is so far from its law with a probability below 1e-4 (Massart 1990). Written out,
    since ``scipy.stats`` takes longer to import than all the rest.
    """
    if not initial:
        return
    models = [make(replace(config, seed=config.seed + n)).model for n in range(DRAWS)]
    for name, law in initial.items():
        values = torch.cat([m.get_parameter(name).detach().flatten() for m in models]).double()
        match law:
            case Uniform(low, high):
                share = (values - low) / (high - low)
                assert low <= float(values.min()) <= float(values.max()) <= high, name
            case Normal(mean, std):
                share = torch.special.ndtr((values - mean) / std)
        ranks = torch.arange(len(share) + 1) / len(share)
        share = share.sort().values
        distance = torch.maximum(share - ranks[:-1], ranks[1:] - share).max()
        assert float(distance) < math.sqrt(math.log(2 / 1e-4) / 2 / len(share)), (name, law)
