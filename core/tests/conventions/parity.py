"""Neurons of another library beside ours: equal spikes, equal gradients to rounding."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import pytest
import torch
from torch import Tensor

from core.neurons import Neuron
from core.scan import scan

T, B, N = 40, 3, 6
Forward = Callable[[Tensor], tuple[Tensor, Tensor | None]]


def library(name: str) -> Any:
    """The library; skips where it is not installed, unless SNN_PEERS says that all are."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what others use that PyTorch gives up
        if os.environ.get("SNN_PEERS"):
            return import_module(name)
        return pytest.importorskip(name, reason="installed by nox -s peers")


def current(scale: float = 1.0, mean: float = 0.3, seed: int = 0) -> Tensor:
    """A random current ``[T, B, N]``."""
    generator = torch.Generator().manual_seed(seed)
    return scale * (mean + torch.randn(T, B, N, generator=generator))


def stepped(cell: Callable[..., Any], potential: str | int | None = None) -> Forward:
    """A cell that takes ``(input, state)``, or holds its state, over time."""

    def forward(current_TBN: Tensor) -> tuple[Tensor, Tensor | None]:
        spikes, potentials, state = [], [], None
        for one in current_TBN.unbind(0):
            spike, state = cell(one, state)
            spikes.append(spike)
            if potential is not None:
                found = getattr(state, potential) if isinstance(potential, str) else state
                potentials.append(found)
        return torch.stack(spikes), torch.stack(potentials) if potentials else None

    return forward


def assert_equal(
    theirs: Forward,
    ours: Neuron,
    current_TBN: Tensor,
    parameters: Sequence[tuple[Tensor, Tensor]] = (),
    rates: tuple[float, float] = (0.02, 0.6),
    **options: Any,
) -> None:
    """Same spikes, potentials (where they show theirs) and gradients on both backends.

    Args:
        theirs: Current to spikes and potentials.
        ours: The neurons that came of theirs.
        current_TBN: Input.
        parameters: Trained tensors, theirs and ours.
        rates: Between which the share of spikes is: a test in which nothing happens shows nothing.
        options: For :func:`scan`.
    """
    generator = torch.Generator().manual_seed(1)
    weights = torch.randn(current_TBN.shape, generator=generator)
    x = current_TBN.clone().requires_grad_()
    spikes, potentials = theirs(x)
    assert rates[0] < float(spikes.detach().mean()) < rates[1]
    loss = (spikes * weights).sum()
    if potentials is not None:
        loss = loss + (potentials * weights).sum()
    expected = torch.autograd.grad(loss, [x, *(pair[0] for pair in parameters)])
    for backend in ("reference", "cpu"):
        y = current_TBN.clone().requires_grad_()
        found, _, traces = scan(ours, y, backend=backend, record=("potential",), **options)
        assert torch.equal(found, spikes), backend
        loss = (found * weights).sum()
        if potentials is not None:
            torch.testing.assert_close(traces["potential"], potentials, rtol=1e-4, atol=1e-5)
            loss = loss + (traces["potential"] * weights).sum()
        gradients = torch.autograd.grad(loss, [y, *(pair[1] for pair in parameters)])
        for mine, other in zip(gradients, expected, strict=True):
            scale = float(other.abs().max())
            assert scale > 0.0
            other = other.view_as(mine)  # a sample may have a shape of its own
            torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5 * scale)
