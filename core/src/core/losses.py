"""Terms of a loss that look at spikes instead of predictions."""

from __future__ import annotations

import torch
from torch import Tensor


def firing_rate_penalty(rates: Tensor, *, minimum: float, maximum: float) -> Tensor:
    r"""How far firing rates leave an interval, summed over neurons.

        sum over n of relu(minimum - f_n) + relu(f_n - maximum)

    A sum, not a mean: its strength grows with the number of neurons. Source: Bittar and Garner
    (2022) and their code.

    Args:
        rates: ``f``, spikes per step of every neuron.
        minimum: Below it a neuron counts as too quiet.
        maximum: Above it a neuron counts as bursting.

    Returns:
        A scalar; its gradient on the bounds is zero.
    """
    return torch.relu(minimum - rates).sum() + torch.relu(rates - maximum).sum()
