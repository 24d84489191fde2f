"""Times of forward and backward, the same way for every contestant."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from core.bench.first_minutes.device import device

#: Rounds that count, after one that compiles and one that warms up.
REPEATS, WARM_UP = 7, 2
#: Seconds of a round from which so few count, and none is queued.
SLOW, FEW = 0.1, 3
#: Cycles for which the device idles while the host asks for all of a queued round: milliseconds.
IDLE = 20_000_000


def times(
    forward: Callable[[], Tensor], leaves: Iterable[Tensor], gradient: Tensor
) -> dict[str, Any]:
    """Seconds of forward and backward: the median, and the least and the largest.

    Before every round the gradients of all leaves are forgotten, so that none is added up, and
    ``output.backward(gradient)`` follows the forward. ``queued_seconds`` are those of both where
    the host was done asking before the device began (what takes more requests than a device's
    queue holds, as an eager loop does, waits all the same); the others include the host.
    """
    kept, gpu = list(leaves), device().type == "cuda"

    def rounds(count: int, idle: int = 0) -> list[tuple[float, float]]:
        found = []
        for _ in range(count):
            for leaf in kept:
                leaf.grad = None
            found.append(_round(forward, gradient, idle))
        return found

    slow = sum(rounds(WARM_UP if gpu else 1)[-1]) > SLOW
    plain = rounds(1 if not gpu else FEW if slow else REPEATS)
    ahead, back = ([pair[i] for pair in plain] for i in (0, 1))
    queued = None if slow or not gpu else statistics.median(map(sum, rounds(REPEATS, IDLE)))
    return {
        **_spread("forward", ahead),
        **_spread("backward", back),
        "seconds": statistics.median(map(sum, plain)),
        "queued_seconds": queued,
    }


def _spread(name: str, seconds: list[float]) -> dict[str, Any]:
    return {
        f"{name}_seconds": statistics.median(seconds),
        f"{name}_spread": [min(seconds), max(seconds)],
    }


def _round(forward: Callable[[], Tensor], gradient: Tensor, idle: int) -> tuple[float, float]:
    """Between events on the device."""
    if device().type == "cpu":
        start = time.perf_counter()
        output = forward()
        middle = time.perf_counter()
        output.backward(gradient)
        return middle - start, time.perf_counter() - middle
    torch.cuda.synchronize()
    events = [torch.cuda.Event(enable_timing=True) for _ in range(3)]
    if idle:
        torch.cuda._sleep(idle)
    events[0].record()
    output = forward()
    events[1].record()
    output.backward(gradient)
    events[2].record()
    torch.cuda.synchronize()
    return (
        events[0].elapsed_time(events[1]) / 1e3,
        events[1].elapsed_time(events[2]) / 1e3,
    )
