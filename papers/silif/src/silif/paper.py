"""The paper for :mod:`core.paper`: its networks, their objective, and how they are trained."""

from __future__ import annotations

import torch
from torch import nn

from core.paper import Paper, Recipe, Task
from core.spoken import training as spoken
from core.spoken.networks import BatchFirst
from core.spoken.training import tests
from core.training.loop import Objective
from silif import published
from silif.config import CONFIGS, PAPER, Config, run_name
from silif.models import build
from silif.ssm import parameter_groups
from silif.task import load_task


def objective_of(config: Config) -> Objective:
    """Loss and counts; the penalty of protocol ``published`` has no gradient and is left out."""
    penalty = config.use_regularizers and config.protocol != "published"
    return spoken.objective_of(config) if penalty else spoken.make_objective()


def recipe(config: Config, model: nn.Module, objective: Objective) -> Recipe:
    """That of the family, under ``s4_opt`` with AdamW."""
    if not config.s4_opt:
        return spoken.recipe(config, model, objective)
    groups = parameter_groups(model, config.lr)
    return spoken.recipe_with(torch.optim.AdamW(groups, lr=config.lr), config, objective)


def network(config: Config, task: Task) -> BatchFirst:
    """The network for a task."""
    return build(config, task.inputs, task.classes)


SILIF = Paper(
    folder=PAPER,
    configs=CONFIGS,
    load_task=load_task,
    build=network,
    objective=objective_of,
    recipe=recipe,
    run_name=run_name,
    tests=tests,
    read_foreign=published.read,
    evaluation_flags=("evaluations", "init_state", "protocol", "nb_steps", "max_time"),
)
