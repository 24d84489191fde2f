"""The paper for :mod:`core.paper`: its task, its network, their objective and its recipe."""

from __future__ import annotations

import torch
from torch import nn

from core.objectives import classification
from core.paper import Paper, Recipe
from core.training.loop import Objective, backpropagation_step
from core.training.schedules import linear_decay
from plif.config import CONFIGS, PAPER, Config
from plif.models import build
from plif.task import load_task


def recipe(config: Config, model: nn.Module, objective: Objective) -> Recipe:
    """Adam, a learning rate that falls linearly, the least validation loss."""
    optimizer = torch.optim.Adam(model.parameters(), lr=config.lr)
    schedule = linear_decay(config.epochs)(optimizer)
    return Recipe(optimizer, schedule, backpropagation_step(objective, config.clip_norm))


PLIF = Paper(
    folder=PAPER,
    configs=CONFIGS,
    load_task=load_task,
    build=build,
    objective=lambda config: classification(),
    recipe=recipe,
)
