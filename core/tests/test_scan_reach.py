"""A step that counts, draws or remembers anywhere outside of its state runs on the reference."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from core.errors import UserError
from core.neurons import LIF
from core.neurons.leaky import SpikeAndPotential
from core.scan import scan

#: As many steps see one threshold, and later ones another: no two calls show the difference.
WARM_UP = 20
STEPS = [0]


class Timed(LIF):
    """A LIF whose threshold depends on what ``self.count()`` has come to."""

    def __init__(self, count: Callable[[], float]) -> None:
        super().__init__(4, tau_mem=2.0)
        self.count = count

    def step(self, coefficients: Any, state: SpikeAndPotential, current: Tensor) -> Any:
        (alpha,) = coefficients
        charged = alpha * state.potential * (1.0 - state.spike) + current
        spike = self.surrogate(charged - (1.0 if self.count() < WARM_UP else 0.3))
        return SpikeAndPotential(spike, charged), spike


class Counter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.steps = 0

    def forward(self) -> int:
        self.steps += 1
        return self.steps


def by_global() -> int:
    STEPS[0] += 1
    return STEPS[0]


def by_closure() -> Callable[[], int]:
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return steps

    return count


def by_object() -> Callable[[], int]:
    held = SimpleNamespace(steps=0)

    def count() -> int:
        held.steps += 1
        return int(held.steps)

    return count


def by_array() -> Callable[[], float]:
    steps = np.zeros(1)

    def count() -> float:
        steps[0] += 1
        return float(steps[0])

    return count


def by_draw() -> Callable[[], float]:
    generator = np.random.default_rng(0)
    return lambda: WARM_UP * (0.01 + generator.random())


@pytest.mark.parametrize(
    "count",
    [
        Counter(),
        by_global,
        by_closure(),
        by_object(),
        by_array(),
        by_draw(),
        itertools.count().__next__,
    ],
    ids=["submodule", "global", "closure", "object", "array", "draws", "iterator"],
)
def test_what_a_step_keeps_outside_of_its_state_is_refused(count: Callable[[], float]) -> None:
    neuron = Timed(count)
    for _ in range(2):
        with pytest.raises(UserError, match=r"cannot run Timed here: .*outside of its state"):
            scan(neuron, torch.ones(2, 3, 4), backend="cpu")


class Fixed(SimpleNamespace):
    """Something that refers to itself and to what has no bytes."""


def test_what_stays_as_it_is_may_be_read_wherever_it_is() -> None:
    settings = Fixed(level=0.5, make=lambda: iter(()), running=(n for n in ""))
    settings.itself = settings
    table = {"level": [np.float64(settings.level)]}

    def read() -> float:
        return settings.level + table["level"][0] + by_name()

    def by_name() -> float:
        return read.__code__.co_argcount + WARM_UP

    current = torch.ones(3, 2, 4)
    neuron = Timed(read)
    fused, reference = (scan(neuron, current, backend=b)[0] for b in ("cpu", "reference"))
    assert torch.equal(fused, reference)
