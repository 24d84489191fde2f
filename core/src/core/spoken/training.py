"""How networks of the family are trained: objective, optimiser, tests, and what cannot be trained.

Imports PyTorch; see :mod:`core.paper` for what is done with these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from core.errors import UserError
from core.layers import NetworkOutput, PooledReadout
from core.losses import firing_rate_penalty
from core.objectives import classification
from core.paper import Recipe, Task, Tests
from core.spoken.settings import SpokenSettings
from core.training.loop import Objective, backpropagation_step
from core.training.schedules import plateau_of_accuracy


@dataclass(frozen=True)
class RatePenalty:
    """``factor`` times :func:`core.losses.firing_rate_penalty`; the authors' regulariser."""

    factor: float
    minimum: float
    maximum: float

    def __call__(self, rates_N: Tensor) -> Tensor:
        """The penalty of these firing rates."""
        return self.factor * firing_rate_penalty(
            rates_N, minimum=self.minimum, maximum=self.maximum
        )


def make_objective(penalty: RatePenalty | None = None) -> Objective:
    """:func:`core.objectives.classification`, of both kinds of networks.

    ``y`` of a spiking network is a sum of ``T`` softmaxes, so that its entries are in ``[0, T]``.
    The authors' codes average the accuracies of batches, of which the last is smaller, and divide
    summed rates by one batch too few; here all are exact.

    Args:
        penalty: Added to the loss of a spiking network, never to the reported value.
    """
    return classification(penalty, _run)


def _run(model: Any, inputs_TBI: Tensor) -> NetworkOutput:
    output: NetworkOutput = model.run(inputs_TBI)
    return output


def objective_of(config: SpokenSettings) -> Objective:
    """Loss and counts as the settings ask for them."""
    if not config.use_regularizers:
        return make_objective()
    return make_objective(RatePenalty(config.reg_factor, config.reg_fmin, config.reg_fmax))


def recipe(config: SpokenSettings, model: nn.Module, objective: Objective) -> Recipe:
    """Adam, a learning rate that falls on plateaus, the highest validation accuracy."""
    return recipe_with(torch.optim.Adam(model.parameters(), lr=config.lr), config, objective)


def recipe_with(
    optimizer: torch.optim.Optimizer, config: SpokenSettings, objective: Objective
) -> Recipe:
    """:func:`recipe` with another optimiser."""
    schedule = plateau_of_accuracy(
        factor=config.scheduler_factor, patience=config.scheduler_patience
    )
    return Recipe(
        optimizer,
        schedule(optimizer),
        backpropagation_step(objective, config.clip_norm),
        selects="val_accuracy",
    )


def tests(config: SpokenSettings) -> Tests:
    """Several where states start at random."""
    times = config.evaluations if config.is_random else 1
    return Tests(times, "best" if config.save_best else "last")


class _Batched(Protocol):
    @property
    def batch_size(self) -> int: ...

    @property
    def is_spiking(self) -> bool: ...


def refuse_batch_of_one(config: _Batched, task: Task, model: nn.Module) -> None:
    """The readout of a network without spikes takes batch norm over samples alone.

    Raises:
        UserError: A training batch is a single sample; the authors' codes die there, at the end of
            the first epoch.
    """
    samples, size = task.train.samples, config.batch_size
    pooled = [module for module in model.modules() if isinstance(module, PooledReadout)]
    batch_norm = any(isinstance(readout.norm, nn.BatchNorm1d) for readout in pooled)
    fitting = [n for n in range(1, samples + 1) if (samples % n or n) > 1]  # samples of the last
    if not batch_norm or size in fitting or size > samples > 1:
        return
    nearest = [*[n for n in fitting if n < size][-1:], *[n for n in fitting if n > size][:1]]
    use = f"--batch_size {' or '.join(map(str, nearest))}, or " if nearest else ""
    raise UserError(
        f"--batch_size {size} leaves a single one of {samples} training samples for the last "
        f"batch, on which batch norm cannot be trained; use {use}--normalization layernorm"
    )
