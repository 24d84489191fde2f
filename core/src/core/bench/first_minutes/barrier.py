"""What it costs programs of this device to wait for each other, and nothing else."""

from __future__ import annotations

import statistics
import time
from typing import Any

import torch

from core.bench.first_minutes.contract import cannot_launch
from core.bench.first_minutes.crew import in_a_line
from core.bench.first_minutes.device import device
from core.bench.first_minutes.rounds import REPEATS, WARM_UP
from core.bench.timing import synchronise
from core.scan.gpu.meeting import APART, MEETING
from core.scan.gpu.module import IMPORTS, imported

#: Of a program, as those of scans.
WARPS = 8
#: All programs meet ``meetings`` times at one counter.
TEXT = f"""{IMPORTS}
{MEETING}

@triton.jit(do_not_specialize=["meetings"])
def meet(counter, meetings):
    for meeting in range(meetings):
        arrive(counter)
        wait_for(counter, (meeting + 1) * tl.num_programs(0))
"""


def items(rehearse: bool) -> list[dict[str, Any]]:
    """Programs that meet; an interpreter runs one after the other, so that only one can."""
    each = {"meetings": 1 if rehearse else 1000}
    return [{"programs": count, **each} for count in ((1,) if rehearse else (2, 8, 32, 128))]


def barrier(programs: int, meetings: int) -> dict[str, Any]:
    """Microseconds per barrier: a launch with ``meetings`` less one with none, medians.

    Args:
        programs: At one counter; where the device cannot hold them at once, it says why.
        meetings: Barriers in a launch.
    """
    try:
        alone, _ = _seconds(programs, 0)
        together, arrived = _seconds(programs, meetings)
    except Exception as error:
        if cannot_launch(error):
            return {"why": in_a_line(error)}
        raise
    if arrived != programs * meetings:
        return {"error": f"{arrived} arrivals instead of {programs * meetings}"}
    each = 1e6 * (together - alone) / meetings
    return {"us_per_barrier": each, "empty_launch_us": 1e6 * alone}


def _seconds(programs: int, meetings: int) -> tuple[float, int]:
    """Median time of a launch, and the arrivals of the last one."""
    where = device()
    gpu = where.type == "cuda"
    options = {"num_warps": WARPS, "launch_cooperative_grid": True} if gpu else {}
    counter = torch.zeros(APART, dtype=torch.int32, device=where)
    found = []
    for _ in range(WARM_UP + (REPEATS if gpu else 1)):
        counter.zero_()
        synchronise(where)
        started = time.perf_counter()
        imported(TEXT).meet[(programs,)](counter, meetings, **options)
        synchronise(where)
        found.append(time.perf_counter() - started)
    return statistics.median(found[-REPEATS:]), int(counter[0])
