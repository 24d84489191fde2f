"""The paper for :mod:`core.paper`: its networks, their objective, and how they are trained."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from core.errors import UserError
from core.paper import Paper, Recipe
from core.training.loop import Objective, backpropagation_step
from plif import published
from plif.config import CONFIGS, PAPER, Config, run_name
from plif.models import SpikingNet, build
from plif.objectives import objective, penalty_of
from plif.sets import ImageTask
from plif.tags import AuthorsTags
from plif.task import load_task


def network(config: Config, task: ImageTask) -> SpikingNet:
    """The network of a data set.

    Raises:
        UserError: The settings do not fit.
    """
    try:
        return build(config, task)
    except ValueError as error:
        raise UserError(f"{error}; --help explains each option") from error


def objective_of(config: Config) -> Objective:
    """Loss, counts and regulariser as the settings ask for them."""
    penalty = penalty_of(config.reg_lambda, config.regulariser)
    return objective(config.T, penalty, amp=config.amp)


def schedule(config: Config, optimizer: torch.optim.Optimizer) -> LambdaLR:
    """``lr (1 + cos(pi e / T_max)) / 2`` in epoch ``e``, from 0 on: it falls, and rises again."""
    return LambdaLR(optimizer, lambda e: (1 + math.cos(math.pi * e / config.T_max)) / 2)


def recipe(config: Config, model: nn.Module, objective: Objective) -> Recipe:
    """Adam, a cosine, and the last of the epochs with the highest accuracy."""
    optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate)
    return Recipe(
        optimizer,
        schedule(config, optimizer),
        backpropagation_step(objective, config.clip_norm),
        selects="val_accuracy",
        best_on_ties="last",
        log=AuthorsTags(),
    )


PLIF = Paper(
    folder=PAPER,
    configs=CONFIGS,
    load_task=load_task,
    build=network,
    objective=objective_of,
    recipe=recipe,
    run_name=run_name,
    read_foreign=published.read,
    evaluation_flags=("T", "init_tau", "use_max_pool", "split_by", "normalization"),
)
