"""Wall times of contestants that take turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Contestant:
    """One way to run forward and backward.

    Attributes:
        run: One pass; timed. It keeps nothing, so what it frees is part of the time.
        reset: Forgets the gradients of the pass before; not timed.
    """

    run: Callable[[], object]
    reset: Callable[[], object] = lambda: None


#: Seconds between contestants: threads of the one before that wait for work in a busy loop go to
#: sleep instead of slowing the next.
REST = 0.1
#: Seconds of a warm-up above which a contestant is not asked again: that pass counts.
PATIENCE = 8.0


def synchronise(device: torch.device) -> None:
    """Wait until the device has done what it was asked to."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(contestant: Contestant, device: torch.device) -> float:
    """Wall time of one pass."""
    contestant.reset()
    synchronise(device)
    time.sleep(REST)
    started = time.perf_counter()
    contestant.run()
    synchronise(device)
    return time.perf_counter() - started


def interleaved(
    contestants: Mapping[str, Contestant], repeats: int, device: torch.device
) -> dict[str, float]:
    """Median wall time of each, in seconds, after one pass each to warm up.

    They take turns, so that a machine that is busy for a while slows all of them, with a rest
    before each.
    """
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for round_number in range(repeats + 1):
        for name, contestant in contestants.items():
            if round_number and any(taken > PATIENCE for taken in times[name]):
                continue
            taken = seconds(contestant, device)
            if round_number or taken > PATIENCE:
                times[name].append(taken)
    for contestant in contestants.values():
        contestant.reset()
    return {name: statistics.median(values) for name, values in times.items()}
