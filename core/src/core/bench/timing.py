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
#: Seconds of a pass below which finding its code and data again is a part that counts.
SHORT = 1.0
#: Seconds of a warm-up above which a contestant is not asked again: that pass counts.
PATIENCE = 8.0


def synchronise(device: torch.device) -> None:
    """Wait until the device has done what it was asked to."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(contestant: Contestant, device: torch.device, *, short: bool = False) -> float:
    """Wall time of one pass; before a short one, a pass that is not timed."""
    contestant.reset()
    synchronise(device)
    time.sleep(REST)
    if short:
        contestant.run()
        contestant.reset()
        synchronise(device)
    started = time.perf_counter()
    contestant.run()
    synchronise(device)
    return time.perf_counter() - started


def interleaved(
    contestants: Mapping[str, Contestant],
    repeats: int,
    device: torch.device,
    *,
    patience: float = PATIENCE,
) -> dict[str, float]:
    """Median wall time of each, in seconds, after one pass each to warm up.

    They take turns, so that a machine that is busy for a while slows all of them, with a rest
    before each. Whoever takes less than :data:`SHORT` runs once more, not timed, right before:
    in a training the code of a step is in the caches, here the others have evicted it.
    """
    times: dict[str, list[float]] = {name: [] for name in contestants}
    times_before: dict[str, float] = {}
    for round_number in range(repeats + 1):
        for name, contestant in contestants.items():
            if round_number and any(taken > patience for taken in times[name]):
                continue
            short = bool(round_number) and times_before[name] < SHORT
            taken = seconds(contestant, device, short=short)
            times_before[name] = taken
            if round_number or taken > patience:
                times[name].append(taken)
    for contestant in contestants.values():
        contestant.reset()
    return {name: statistics.median(values) for name, values in times.items()}
