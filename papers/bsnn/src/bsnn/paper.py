"""The paper for :mod:`core.paper`: its task, its networks, their objective and its recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from bsnn.config import CONFIGS, PAPER, Config, run_name
from bsnn.models import BSNN, build, refit
from bsnn.objective import make_objective
from bsnn.published import read
from bsnn.task import TimedTask, load_task
from core.paper import Paper, Recipe, Tests
from core.training.job import Trained
from core.training.loop import Objective, backpropagation_step
from core.training.schedules import plateau_of_accuracy


def network(config: Config, task: TimedTask) -> BSNN:
    """The network for a task."""
    return build(config, task.sizes)


def recipe(config: Config, model: nn.Module, objective: Objective) -> Recipe:
    """Adam, a learning rate that falls on plateaus, the highest validation accuracy.

    After the validation of an epoch weights may be refitted, so that what is kept, and tested, has
    not been validated; and a run that is no better than chance may end.
    """
    optimizer = torch.optim.Adam(model.parameters(), lr=config.lr)
    schedule = plateau_of_accuracy(
        factor=config.scheduler_factor, patience=config.scheduler_patience
    )
    return Recipe(
        optimizer,
        schedule(optimizer),
        backpropagation_step(objective, config.clip_norm),
        selects="val_accuracy",
        after_epoch=partial(after_epoch, config),
        stop=partial(pruned, config),
    )


def after_epoch(config: Config, trained: Trained) -> None:
    """What follows the validation of an epoch."""
    if config.balance_refit:
        refit(trained.model)


def pruned(config: Config, history: Sequence[Mapping[str, Any]]) -> str | None:
    """Why the run ends after its last epoch so far, if it does."""
    epoch, accuracy = history[-1]["epoch"], history[-1]["val_accuracy"]
    least = 100.0 * config.pruning_threshold
    if epoch <= config.pruning_epochs or accuracy >= least:
        return None
    return f"validation accuracy {accuracy:.2f} % is below pruning_threshold, {least:g} %"


BSNN_PAPER = Paper(
    folder=PAPER,
    configs=CONFIGS,
    load_task=load_task,
    build=network,
    objective=make_objective,
    recipe=recipe,
    run_name=run_name,
    tests=lambda config: Tests(1, "best" if config.save_best else "last"),
    read_foreign=read,
    evaluation_flags=("protocol",),
)
