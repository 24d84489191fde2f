"""What the machine allows: bytes that must move and products that must be computed."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass

import torch

from core.bench.timing import Contestant, seconds
from core.bench.workloads import Workload

COPIED_BYTES = 256 * 2**20
ROUNDS = 9

#: The forward reads the current and writes the output; the backward reads the current and the
#: output's gradient and writes the current's gradient. What an implementation keeps in between
#: is its own business.
ARRAYS = 5


@dataclass(frozen=True)
class Machine:
    """Rates measured in this process, anew for every row: a machine may be busier than before.

    Attributes:
        bytes_per_second: Of a large copy, reading and writing both counted.
        flop_per_second: Of the dense product ``[B, H] x [H, H]``; None where a row has none.
    """

    bytes_per_second: float
    flop_per_second: float | None


def bytes_moved(workload: Workload) -> int:
    """Bytes of :data:`ARRAYS` float32 arrays ``[T, B, H]``."""
    return ARRAYS * 4 * workload.steps * workload.batch * workload.size


def dense_flop(workload: Workload) -> int:
    """Operations of the backward through a recurrent weight, ``2 T B H^2``.

    The forward gathers rows of the weight by spikes, and a dense weight gradient is not counted:
    both get cheaper with fewer spikes.
    """
    return 2 * workload.steps * workload.batch * workload.size**2 if workload.recurrent else 0


def limit_seconds(workload: Workload, machine: Machine) -> float:
    """Seconds that the bytes take to move, plus those that the products take.

    Raises:
        ValueError: A recurrent workload on a machine whose rate of products was not measured.
    """
    moving = bytes_moved(workload) / machine.bytes_per_second
    if not workload.recurrent:
        return moving
    if machine.flop_per_second is None:
        raise ValueError(f"the row {workload.name} needs the rate of dense products")
    return moving + dense_flop(workload) / machine.flop_per_second


def copy_bandwidth(device: torch.device, size: int = COPIED_BYTES) -> float:
    """Bytes per second, read and written, of copying ``size`` bytes."""
    source = torch.ones(size // 4, device=device)
    target = torch.zeros_like(source)
    return 2 * size / _median(lambda: target.copy_(source), device)


def product_rate(batch: int, size: int, device: torch.device) -> float:
    """Operations per second of ``[batch, size] x [size, size]`` in a loop, into one result."""
    left = torch.randn(batch, size, device=device)
    right = torch.randn(size, size, device=device)
    result = torch.empty(batch, size, device=device)
    flop = 2 * batch * size**2
    times = max(1, min(5000, int(2e9 / flop)))

    def loop() -> None:
        for _ in range(times):
            torch.mm(left, right, out=result)

    return times * flop / _median(loop, device)


def measured(workload: Workload, device: torch.device) -> Machine:
    """The rates that limit a workload."""
    products = product_rate(workload.batch, workload.size, device) if workload.recurrent else None
    # A tiny workload only shows that this runs; a large copy would take longer than all of it.
    copied = COPIED_BYTES // 64 if workload.tiny else COPIED_BYTES
    return Machine(copy_bandwidth(device, copied), products)


def _median(run: Callable[[], object], device: torch.device) -> float:
    timed = Contestant(run)
    return statistics.median([seconds(timed, device) for _ in range(ROUNDS + 1)][1:])
