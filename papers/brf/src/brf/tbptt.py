"""Truncated backpropagation through time, for the ALIF baseline on (P)S-MNIST.

The authors cut after every step ``t`` that ``K`` divides, step 0 included: the pieces are
``[0, 0], [1, K], [K+1, 2K], ...`` and the rest. For T = 784, K = 50 that makes 17 optimiser steps
per batch, the first on a single time step.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from brf.objectives import summed_nll
from core.metrics import BatchResult
from core.training.loop import TrainStep, descend


def pieces(steps: int, truncation: int) -> list[tuple[int, int]]:
    """Half-open intervals of time steps between two optimiser steps."""
    ends = [*range(1, steps, truncation), steps]
    return list(zip([0, *ends[:-1]], ends, strict=True))


def truncated_step(
    truncation: int, *, label_last: bool, clip_norm: float | None = None
) -> TrainStep:
    """A training step that updates the weights after each piece of the sequence.

    The loss of a piece is the sum of its steps' losses, or that of its last step when
    ``label_last``; states are carried over, gradients are not.

    Args:
        truncation: ``K``.
        label_last: See above; the prediction is then that of the very last step.
        clip_norm: Largest global gradient norm, None for no clipping.
    """

    def step(
        model: nn.Module, inputs_TBI: Tensor, targets_B: Tensor, optimizer: torch.optim.Optimizer
    ) -> BatchResult:
        state: tuple[Any, Any] = (None, None)
        potentials, values, spikes = [], [], torch.zeros((), dtype=torch.float64)
        for start, end in pieces(len(inputs_TBI), truncation):
            optimizer.zero_grad()
            output = model(inputs_TBI[start:end], state)
            counted = output.potentials_TBC[-1:] if label_last else output.potentials_TBC
            loss = summed_nll(counted, targets_B.expand(len(counted), len(targets_B)))
            descend(loss, model, optimizer, clip_norm)
            state = _detached(output.state)
            potentials.append(output.potentials_TBC.detach())
            values.append(loss.detach())
            spikes += output.spikes_TBH.detach().sum(dtype=torch.float64).cpu()
        total = torch.stack(values).sum()
        potentials_TBC = torch.cat(potentials)[-1 if label_last else 0 :]
        right = potentials_TBC.mean(0).argmax(-1) == targets_B
        return BatchResult(
            loss=total,
            value=total / (len(values) if label_last else len(potentials_TBC)),
            correct=right.sum(),
            predictions=right.numel(),
            spikes=spikes,
            samples=len(targets_B),
        )

    return step


def _detached(states: tuple[Any, Any]) -> tuple[Any, Any]:
    hidden, out = (type(s)(*[field.detach() for field in s]) for s in states)
    return hidden, out
