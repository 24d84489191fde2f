from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

FOLDER = Path(__file__).parent / "golden"


@pytest.fixture(scope="session")
def golden() -> Callable[[str], dict[str, dict[str, Tensor]]]:
    """Arrays recorded from the authors' code: ``golden("cells")["rf_f64"]["x"]``.

    Arrays that belong to no group stand in group ``""``. Tests clone what they change.
    """

    @cache
    def load(name: str) -> dict[str, dict[str, Tensor]]:
        groups: dict[str, dict[str, Tensor]] = {}
        with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as arrays:
            for key in arrays:
                if arrays[key].dtype.kind == "U":  # names, which no tensor holds
                    continue
                group, _, array = key.rpartition("/")
                groups.setdefault(group, {})[array] = torch.from_numpy(arrays[key])
        return groups

    return load


@pytest.fixture(scope="session")
def agrees() -> Callable[..., None]:
    """``agrees(what, ours, golden)`` for values, ``..., gradient=True)`` for gradients.

    Values agree to 1e-9 in float64 and, relative to the largest entry where that exceeds 1, to
    1e-4 in float32. Gradients agree to 1e-6 and 1e-3 of the largest entry: the authors' code
    rounds ``sqrt(2 pi)`` to float32 even in a float64 run.
    """

    def check(what: str, ours: Tensor, theirs: Tensor, *, gradient: bool = False) -> None:
        largest = float(theirs.abs().max())
        if theirs.dtype == torch.float64:
            tolerance = 1e-6 * largest if gradient else 1e-9
        else:
            tolerance = 1e-3 * largest if gradient else 1e-4 * max(1.0, largest)
        torch.testing.assert_close(
            ours.detach(), theirs, rtol=0.0, atol=tolerance, msg=lambda text: f"{what}: {text}"
        )

    return check
