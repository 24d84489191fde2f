"""The networks of the Open Neuromorphic benchmark on this device."""

from __future__ import annotations

from typing import Any

from core.bench.first_minutes.device import device
from core.bench.first_minutes.rounds import REPEATS
from core.bench.gpu import BATCH, STEPS, open_neuromorphic


def items(rehearse: bool) -> list[dict[str, Any]]:
    """Sizes; the benchmark's largest one ranks dense products alone."""
    return [{"size": size} for size in ((16,) if rehearse else (512, 4096))]


def network(size: int) -> dict[str, Any]:
    """A linear layer and a LIF, beside SpikingJelly's where that is installed."""
    where = device()
    if where.type == "cpu":
        steps, batch, repeats, backend = 8, 2, 1, "auto"
    else:  # gpu: whatever has been verified so far
        steps, batch, repeats, backend = STEPS, BATCH, REPEATS, "gpu"
    found = open_neuromorphic(size, where, repeats, steps=steps, batch=batch, backend=backend)
    return {"steps": steps, "batch": batch, "backend": found["backend"], **found["contestants"]}
