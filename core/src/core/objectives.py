"""Objectives that several papers have: loss and counts of a batch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from core.layers import NetworkOutput
from core.metrics import BatchResult, count_spikes
from core.training.loop import Objective


def _forward(model: nn.Module, inputs_TBI: Tensor) -> NetworkOutput:
    output: NetworkOutput = model(inputs_TBI)
    return output


def classification(
    penalty: Callable[[Tensor], Tensor] | None = None,
    run: Callable[[nn.Module, Tensor], NetworkOutput] = _forward,
) -> Objective:
    """Cross-entropy of the readout's output as logits, averaged over the batch.

        value = mean over the batch of -log softmax(y)[target]
        loss  = value + penalty(firing rates)       (while training)

    A prediction is the argmax of ``y``. Spikes are counted before dropout and without a gradient,
    exactly, over samples.

    Args:
        penalty: Added to the loss, never to the reported value.
        run: Model and inputs ``[T, B, I]`` to what the network gives, ``y`` ``[B, C]``.
    """

    def objective(model: nn.Module, inputs_TBI: Tensor, targets_B: Tensor) -> BatchResult:
        output = run(model, inputs_TBI)
        return classified(output, targets_B, penalty if model.training else None)

    return objective


def classified(
    output: NetworkOutput, targets_B: Tensor, penalty: Callable[[Tensor], Tensor] | None = None
) -> BatchResult:
    """What :func:`classification` says about what a network gave.

    Args:
        output: With ``y`` ``[B, C]``.
        targets_B: Classes.
        penalty: Added to the loss.
    """
    loss = nn.functional.cross_entropy(output.y, targets_B)
    value = loss.detach()
    if penalty is not None:
        loss = loss + penalty(output.firing_rates)
    layers = count_spikes(output.spikes_TBN)
    return BatchResult(
        loss=loss,
        value=value,
        correct=(output.y.argmax(-1) == targets_B).sum(),
        predictions=len(targets_B),
        spikes=torch.stack([layer.spikes for layer in layers]).sum() if layers else None,
        samples=len(targets_B),
        neuron_steps=sum(layer.places for layer in layers) or None,
        layers=layers,
    )
