"""One epoch: ``train_one_epoch`` and ``evaluate``."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from core.metrics import BatchResult, Metrics, Totals
from core.neurons import Neuron

Objective = Callable[[nn.Module, Tensor, Tensor], BatchResult]
"""``(model, inputs_TBI, targets) -> BatchResult``."""

TrainStep = Callable[[nn.Module, Tensor, Tensor, torch.optim.Optimizer], BatchResult]
"""Forward, backward and optimiser step(s) on one batch."""


class Diverged(Exception):
    """A loss is not finite.

    Attributes:
        where: Such as ``"epoch 3, step 5"``; steps count batches from 1.
        cause: What the model's tensors tell, see :func:`likely_cause`.
    """

    def __init__(self, where: str, cause: str) -> None:
        super().__init__(f"the loss is not finite in {where}: {cause}")
        self.where, self.cause = where, cause


def backpropagation_step(objective: Objective, clip_norm: float | None) -> TrainStep:
    """The ordinary step: backpropagation through all time steps, then one optimiser step.

    Args:
        objective: Loss and counts of a batch.
        clip_norm: Largest global gradient norm, None for no clipping.
    """

    def step(
        model: nn.Module, inputs: Tensor, targets: Tensor, optimizer: torch.optim.Optimizer
    ) -> BatchResult:
        optimizer.zero_grad()
        result = objective(model, inputs, targets)
        result.loss.backward()
        if clip_norm is not None:
            nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
        optimizer.step()
        return result

    return step


def train_one_epoch(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    train_step: TrainStep,
    optimizer: torch.optim.Optimizer,
    *,
    device: torch.device,
    on_step: Callable[[float, int], Any] = lambda value, step: None,
) -> Metrics:
    """Train on every batch once; metrics are those of the forward passes before each update.

    Args:
        model: Left in training mode.
        batches: Pairs of inputs ``[T, B, I]`` and targets.
        train_step: Such as :func:`backpropagation_step`.
        optimizer: Its learning rate is not touched here.
        device: Where batches go.
        on_step: Called with the batch value and the step, counted from 1.

    Raises:
        Diverged: A batch value is NaN or infinite.
    """
    model.train()
    totals = Totals()
    for step, (inputs, targets) in enumerate(batches, start=1):
        result = train_step(model, inputs.to(device), targets.to(device), optimizer)
        value = totals.add(result)
        if not math.isfinite(value):
            raise Diverged(f"step {step}", likely_cause(model))
        on_step(value, step)
    return totals.metrics()


@torch.no_grad()
def evaluate(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    objective: Objective,
    *,
    device: torch.device,
) -> Metrics:
    """Metrics over every batch, without gradients; the model is left in evaluation mode."""
    model.eval()
    totals = Totals()
    for inputs, targets in batches:
        totals.add(objective(model, inputs.to(device), targets.to(device)))
    return totals.metrics()


def likely_cause(model: nn.Module) -> str:
    """Why a loss may have become NaN, as far as the model's tensors tell."""
    broken = [name for name, p in model.named_parameters() if not torch.isfinite(p).all()]
    if broken:
        return (
            f"parameters {', '.join(broken)} are not finite, so an earlier update overflowed; "
            "lower --lr or clip gradients (--clip_norm 1)"
        )
    for module in model.modules():
        hint = module.divergence_hint() if isinstance(module, Neuron) else None
        if hint:
            return hint
    return (
        "all parameters are finite, so a potential overflowed within the sequence; lower --lr or "
        "clip gradients (--clip_norm 1)"
    )
