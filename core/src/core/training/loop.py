"""One epoch: ``train_one_epoch`` and ``evaluate``."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from core.errors import CannotRead, NotFinite
from core.metrics import BatchResult, Metrics, Totals
from core.training.finite import OVERFLOWED, likely_cause, name_broken, require_finite, total_norm

Objective = Callable[[nn.Module, Tensor, Tensor], BatchResult]
"""``(model, inputs_TBI, targets) -> BatchResult``."""

TrainStep = Callable[[nn.Module, Tensor, Tensor, torch.optim.Optimizer], BatchResult]
"""Forward, backward and optimiser step(s) on one batch."""


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
        descend(result.loss, model, optimizer, clip_norm)
        return result

    return step


def descend(
    loss: Tensor, model: nn.Module, optimizer: torch.optim.Optimizer, clip_norm: float | None
) -> None:
    """Backpropagate ``loss``, clip, and let the optimiser step; nothing passes that is not finite.

    A neuron whose potential is NaN never spikes, so that the loss alone may stay finite while
    the network is lost. What it costs to look: one norm each of gradients and parameters.

    Args:
        loss: Scalar.
        model: Its gradients were zero before.
        optimizer: Of the model's parameters.
        clip_norm: Largest global gradient norm, None for no clipping.

    Raises:
        NotFinite: The loss or a gradient, before the step; a parameter, after it.
    """
    loss.backward()
    gradients = {f"the gradient of {n}": p.grad for n, p in model.named_parameters()}
    present = {name: g for name, g in gradients.items() if g is not None}
    norm = total_norm(list(present.values()))
    if not math.isfinite(norm):
        if not math.isfinite(loss.detach()):
            raise NotFinite("the loss", "", likely_cause(model))
        raise NotFinite(name_broken(present), "", likely_cause(model, forward=False))
    if clip_norm is not None:
        nn.utils.clip_grads_with_norm_(model.parameters(), clip_norm, norm)
    try:
        optimizer.step()
    except RuntimeError as error:  # lr / (1 - beta1) is a number of Python, which is not float32
        if "without overflow" not in str(error):
            raise
        raise NotFinite("the step of the optimiser", "", OVERFLOWED) from error
    require_finite(dict(model.named_parameters()), OVERFLOWED)


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
        NotFinite: An input, the loss, a gradient or a parameter is NaN or infinite.
        CannotRead: A batch cannot be read.
    """
    model.train()
    totals = Totals()
    for step, (inputs, targets) in enumerate(_read(batches), start=1):
        try:
            result = train_step(model, inputs.to(device), targets.to(device), optimizer)
        except NotFinite as error:
            raise error.within(f"step {step}") from error
        value = totals.add(result)
        if not math.isfinite(value):
            raise NotFinite("the loss", f"step {step}", likely_cause(model))
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
    """Metrics over every batch, without gradients; the model is left in evaluation mode.

    Raises:
        CannotRead: A batch cannot be read.
    """
    model.eval()
    totals = Totals()
    for inputs, targets in _read(batches):
        totals.add(objective(model, inputs.to(device), targets.to(device)))
    return totals.metrics()


def _read(batches: Iterable[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches; an OSError that making one raises is about data and not about results."""
    try:
        yield from batches
    except OSError as error:
        of = f" {error.filename}" if error.filename else ""
        raise CannotRead(f"cannot read the data{of}: {error.strerror or error}") from error
