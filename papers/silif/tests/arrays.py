"""Arrays made with the authors' code."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from core.data.fetch import is_present

FOLDER = Path(__file__).parent / "golden"


@cache
def golden(name: str) -> dict[str, Tensor]:
    """The arrays of a file that are numbers. Tests clone what they change."""
    with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as arrays:
        return {
            key: torch.from_numpy(arrays[key]) for key in arrays if arrays[key].dtype.kind != "U"
        }


def part(arrays: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The arrays whose name starts with a prefix, without it."""
    return {
        key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)
    }


def close(what: str, ours: Tensor | None, theirs: Tensor, tolerance: float = 1e-4) -> None:
    """``ours`` differs by less than this part of the largest value."""
    assert ours is not None, what
    largest = float(theirs.abs().max())
    torch.testing.assert_close(
        ours.detach(),
        theirs.to(ours.dtype),
        rtol=0.0,
        atol=max(tolerance * largest, 1e-9),
        msg=lambda text: f"{what}: {text}",
    )


def need(name: str) -> None:
    """Skip the test when published weights are not here."""
    if not os.environ.get("SNN_DATA"):
        pytest.skip("SNN_DATA is not set: no published weights to test with")
    if not is_present(name):
        pytest.skip(f"{name} is not in the folder that SNN_DATA names")
