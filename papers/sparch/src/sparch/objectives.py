"""Loss and counts of the paper's tasks: which word was spoken."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from core.layers import NetworkOutput
from core.losses import firing_rate_penalty
from core.objectives import classification
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
    """:func:`core.objectives.classification`, of both kinds of networks.

    ``y`` of a spiking network is a sum of ``T`` softmaxes, so that its entries are in ``[0, T]``.
    The authors' code averages the accuracies of batches, of which the last is smaller, and divides
    summed rates by one batch too few; here all are exact.

    Args:
        penalty: Added to the loss of a spiking network, never to the reported value.
    """
    return classification(penalty, _run)


def _run(model: nn.Module, inputs_TBI: Tensor) -> NetworkOutput:
    output: NetworkOutput = model.run(inputs_TBI)  # type: ignore[operator]
    return output
