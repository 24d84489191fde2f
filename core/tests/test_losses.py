from __future__ import annotations

import pytest
import torch

from core.losses import firing_rate_penalty


def test_rates_outside_the_interval_cost_their_distance_to_it() -> None:
    rates = torch.tensor([0.0, 0.1, 0.3, 0.5, 0.9], requires_grad=True)
    penalty = firing_rate_penalty(rates, minimum=0.1, maximum=0.5)
    penalty.backward()
    assert penalty.item() == pytest.approx(0.1 + 0.4)
    assert rates.grad is not None
    assert rates.grad.tolist() == [-1.0, 0.0, 0.0, 0.0, 1.0]


def test_it_is_a_sum_over_neurons() -> None:
    rates = torch.full((30,), 0.7)
    assert firing_rate_penalty(rates, minimum=0.0, maximum=0.5).item() == pytest.approx(30 * 0.2)
    assert firing_rate_penalty(torch.zeros(0), minimum=0.1, maximum=0.5).item() == 0.0
