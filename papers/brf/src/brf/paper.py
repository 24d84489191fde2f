"""The paper for :mod:`core.paper`: its networks, their objective, and how they are trained."""

from __future__ import annotations

import torch
from torch import nn

from brf import published
from brf.config import CONFIGS, PAPER, Config, EcgConfig, SmnistConfig
from brf.models import RecurrentSNN, build
from brf.objectives import make_objective
from brf.task import BrfTask, load_task
from brf.tbptt import truncated_step
from core.paper import Paper, Recipe
from core.training.loop import Objective, backpropagation_step
from core.training.schedules import linear_decay

OPTIMIZERS = {
    "adam": torch.optim.Adam,
    "radam": torch.optim.RAdam,
    "rmsprop": torch.optim.RMSprop,
}


def network(config: Config, task: BrfTask) -> RecurrentSNN:
    """The network for a task; that of PS-MNIST holds the order of the pixels."""
    model = build(config, task.inputs, task.classes)
    if task.permutation is not None:
        # of no use without the order of pixels it is trained on
        model.register_buffer("permutation", task.permutation)
    return model


def objective_of(config: Config) -> Objective:
    """Loss and accuracy of the task, as the recipe counts them."""
    return make_objective(
        per_step=isinstance(config, EcgConfig),
        label_last=getattr(config, "label_last", False),
        sub_seq_length=config.sub_seq_length,
        lambda_spike=getattr(config, "lambda_spike", 0.0),
    )


def recipe(config: Config, model: nn.Module, objective: Objective) -> Recipe:
    """Adam or another, a learning rate that falls linearly, the least validation loss."""
    optimizer = OPTIMIZERS[config.optimizer](model.parameters(), lr=config.lr)
    step = backpropagation_step(objective, config.clip_norm)
    if isinstance(config, SmnistConfig) and config.tbptt_steps is not None:
        step = truncated_step(
            config.tbptt_steps, label_last=config.label_last, clip_norm=config.clip_norm
        )
    return Recipe(
        optimizer,
        linear_decay(config.epochs)(optimizer),
        step,
        selects="val_loss",
        best_on_ties=config.best_on_ties,
    )


BRF = Paper(
    folder=PAPER,
    configs=CONFIGS,
    load_task=load_task,
    read_foreign=published.read,
    build=network,
    objective=objective_of,
    recipe=recipe,
)
