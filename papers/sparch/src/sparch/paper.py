"""The paper for :mod:`core.paper`: its networks, their objective, and how they are trained."""

from __future__ import annotations

import torch
from torch import nn

from core.paper import Paper, Recipe, Task, Tests
from core.training.loop import Objective, backpropagation_step
from core.training.schedules import plateau_of_accuracy
from sparch import published
from sparch.config import CONFIGS, PAPER, Config, run_name
from sparch.models import ANN, SNN, build
from sparch.objectives import RatePenalty, make_objective
from sparch.task import load_task


def network(config: Config, task: Task) -> SNN | ANN:
    """The network for a task."""
    return build(config, task.inputs, task.classes)


def objective_of(config: Config) -> Objective:
    """Loss and counts as the settings ask for them."""
    if not config.use_regularizers:
        return make_objective()
    return make_objective(RatePenalty(config.reg_factor, config.reg_fmin, config.reg_fmax))


def recipe(config: Config, model: nn.Module, objective: Objective) -> Recipe:
    """Adam, a learning rate that falls on plateaus, the highest validation accuracy."""
    optimizer = torch.optim.Adam(model.parameters(), lr=config.lr)
    schedule = plateau_of_accuracy(
        factor=config.scheduler_factor, patience=config.scheduler_patience
    )
    return Recipe(
        optimizer,
        schedule(optimizer),
        backpropagation_step(objective, config.clip_norm),
        selects="val_accuracy",
    )


def tests(config: Config) -> Tests:
    """Several where states start at random."""
    times = config.evaluations if config.is_random else 1
    return Tests(times, "best" if config.save_best else "last")


SPARCH = Paper(
    folder=PAPER,
    configs=CONFIGS,
    load_task=load_task,
    build=network,
    objective=objective_of,
    recipe=recipe,
    run_name=run_name,
    tests=tests,
    read_foreign=published.read,
    evaluation_flags=("evaluations", "init_state", "protocol"),
)
