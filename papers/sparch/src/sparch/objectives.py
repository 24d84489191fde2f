"""Loss and counts of the paper's tasks: which word was spoken."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from core.layers import NetworkOutput
from core.losses import firing_rate_penalty
from core.metrics import BatchResult, count_spikes
from core.training.loop import Objective


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
    """Cross-entropy of the readout's output as logits, averaged over the batch.

        value = mean over the batch of -log softmax(y)[target]
        loss  = value + penalty(firing rates)       (while training a spiking network)

    ``y`` of a spiking network is a sum of ``T`` softmaxes, so that its entries are in ``[0, T]``.
    A prediction is the argmax of ``y``. Spikes are counted before dropout and without a gradient,
    exactly, over samples: the authors' code averages the accuracies of batches, of which the last
    is smaller, and divides summed rates by one batch too few.

    Args:
        penalty: Added to the loss, never to the reported value.
    """

    def objective(model: nn.Module, inputs_TBI: Tensor, targets_B: Tensor) -> BatchResult:
        output: NetworkOutput = model.run(inputs_TBI)  # type: ignore[operator]
        loss = nn.functional.cross_entropy(output.y, targets_B)
        value = loss.detach()
        if penalty is not None and model.training:
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

    return objective
