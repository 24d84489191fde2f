"""The loss of the paper, and the regulariser of time constants per neuron."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from core.layers import NetworkOutput
from core.metrics import BatchResult, count_spikes
from core.training.loop import Objective
from plif.layers import neurons_of

Regulariser = Callable[[nn.Module], Tensor]


def vote_loss(counts_BC: Tensor, targets_B: Tensor, steps: int) -> Tensor:
    """Mean over batch and classes of ``(counts / T - one_hot)^2``.

    This is what the authors' code computes. The formula in the paper, the mean over time of the
    squared error of each step, is larger by the variance over time.
    """
    one_hot_BC = nn.functional.one_hot(targets_B, counts_BC.shape[1]).to(counts_BC.dtype)
    return nn.functional.mse_loss(counts_BC / steps, one_hot_BC)


def spread_of_tau(
    model: nn.Module, *, weight: float, of: Literal["var_w", "var_tau"] = "var_w"
) -> Tensor:
    """``weight * sum over layers of Var(x_l)``, the unbiased variance over all neurons of a layer.

    Args:
        model: With one time constant per neuron.
        weight: ``lambda``.
        of: ``var_w``: ``x = w``, as the published losses prove; ``var_tau``: ``x = tau``, as the
            thesis writes it.

    Raises:
        ValueError: A layer has a single time constant, of which there is no variance.
    """
    layers = neurons_of(model)
    values = [layer.w if of == "var_w" else layer.tau for layer in layers]
    if any(value.numel() < 2 for value in values):
        raise ValueError("the regulariser is about one time constant per neuron (tau_per_neuron)")
    return weight * torch.stack([value.var() for value in values]).sum()


def objective(steps: int, penalty: Regulariser | None = None, *, amp: bool = False) -> Objective:
    """:func:`vote_loss`, plus ``penalty(model)`` while training.

    A prediction is the class with the most votes, of equals the first. The reported loss of
    training has the penalty in it, as in the authors' logs; that of an evaluation has not.

    Args:
        steps: ``T``.
        penalty: Such as :func:`spread_of_tau`.
        amp: Let the GPU compute convolutions and products in bfloat16; neurons and loss do not.
    """

    def measure(model: nn.Module, inputs: Tensor, targets_B: Tensor) -> BatchResult:
        with torch.autocast(inputs.device.type, dtype=torch.bfloat16, enabled=amp):
            output: NetworkOutput = model(inputs)
        counts_BC = output.y.float() if amp else output.y
        loss = vote_loss(counts_BC, targets_B, steps)
        if penalty is not None and model.training:
            loss = loss + penalty(model)
        layers = count_spikes(output.spikes_TBN)
        return BatchResult(
            loss=loss,
            value=loss.detach(),
            correct=(counts_BC.argmax(-1) == targets_B).sum(),
            predictions=len(targets_B),
            spikes=torch.stack([layer.spikes for layer in layers]).sum() if layers else None,
            samples=len(targets_B),
            neuron_steps=sum(layer.places for layer in layers) or None,
            layers=layers,
        )

    return measure


def penalty_of(weight: float, of: Literal["var_w", "var_tau"]) -> Regulariser | None:
    """:func:`spread_of_tau` with a weight, or None where it is zero."""
    return partial(spread_of_tau, weight=weight, of=of) if weight else None
