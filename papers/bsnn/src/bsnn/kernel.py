"""Correlations of filtered currents in one kernel, without whole currents in memory.

A task is a part of the samples, whose rows lie side by side. It lists where inputs and spikes are
not zero once; then, for every sample and block of neurons as wide as a vector, it adds up the
currents of these steps and sums them raw, median-filtered and low-passed (see
:mod:`bsnn.lowpass`). Steps without any input cost nothing but their share of the grid. Currents
and their medians have single, all else double precision. :mod:`bsnn.balance` has the definitions.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import torch
from llvmlite import ir
from torch import Tensor

from bsnn.currents import Source
from bsnn.kernel_code import SOURCE, SUMS, Writer, names
from bsnn.lowpass import grid, modes, padding
from core.buffers import empty
from core.once import once
from core.scan.cpu import workers
from core.scan.cpu.code import Code
from core.scan.cpu.machine import Function, denormals, function, this_machine

KINDS = 3
"""Of filters: median, low-pass, none."""


def sums_of(sources: Sequence[Source]) -> Tensor:
    """Sums over time of both currents: of x, y, x x, y y and x y.

    Args:
        sources: What the currents are made of, float32 with the last dimension contiguous.

    Returns:
        float64 ``[3, 5, B, N]``: of the median-filtered, the low-passed and the raw currents.
    """
    steps, batch = sources[0].x_TBI.shape[:2]
    neurons = len(sources[0].weight_2NI) // 2
    lanes = this_machine().vector_bytes // 4
    blocks = -(-neurons // lanes)
    table = torch.zeros(sum(s.x_TBI.shape[2] for s in sources), 2, blocks * lanes)
    table[..., :neurons] = torch.cat([s.weight_2NI.t().reshape(-1, 2, neurons) for s in sources])
    sums = torch.empty(batch, blocks, KINDS, SUMS, lanes, dtype=torch.float64)
    places, threads = grid(steps), max(1, min(torch.get_num_threads(), batch))
    together = -(-batch // threads)
    memory = {
        "table": table,
        "sums": sums,
        "modes": torch.from_numpy(modes(steps).flat()),
        "grid": torch.from_numpy(places.places),
        "gaps": torch.from_numpy(places.gaps),
        "weights": torch.from_numpy(places.weights),
        **_scratch(threads, together, steps, len(table), len(places.places), lanes),
    }
    counters = (ctypes.c_int64 * 2)(0, 0)
    values = {
        **{"counters": ctypes.addressof(counters), "control": denormals(), "tasks": threads},
        **{"T": steps, "B": batch, "together": together, "blocks": blocks},
        **{"padding": padding(steps), "M": len(places.places)},
        **{"most": steps * len(table), "row": table[0].numel()},
        **{name: tensor.data_ptr() for name, tensor in memory.items()},
        **_slots_of(sources),
    }
    slots = (ctypes.c_int64 * len(values))(*[values[name] for name in names(len(sources))])
    workers.run(_kernel(len(sources)), slots, threads)
    return sums.permute(2, 3, 0, 1, 4).flatten(3)[..., :neurons]


def _scratch(
    threads: int, together: int, steps: int, rows: int, places: int, lanes: int
) -> dict[str, Tensor]:
    """Memory of every thread."""
    continued = steps + 2 * padding(steps)
    return {
        "starts": empty((threads, together, steps + 1), torch.int32),
        "rows": empty((threads, together, steps * rows), torch.int32),
        "values": empty((threads, together, steps * rows), torch.float32),
        "entries": torch.empty(threads, steps, dtype=torch.int32),
        "live": torch.empty(threads, continued, dtype=torch.int32),
        "times": torch.empty(threads, continued, dtype=torch.int32),
        "ends": torch.empty(threads, places, dtype=torch.int32),
        "currents": empty((threads, continued, 2, lanes), torch.float32),
        "forward": empty((threads, places, 2, lanes), torch.float64),
    }


def _slots_of(sources: Sequence[Source]) -> dict[str, int]:
    slots: dict[str, int] = {}
    first = 0
    for n, (x, _, lag) in enumerate(sources):
        entries = (x.data_ptr(), x.stride(0), x.stride(1), x.shape[2], first, lag)
        slots |= {f"{name}{n}": entry for name, entry in zip(SOURCE, entries, strict=True)}
        first += x.shape[2]
    return slots


@once
def _kernel(sources: int) -> Function:
    code = Code("balance", names(sources), ir.FloatType(), this_machine())
    Writer(code, sources).write()
    return function("balance", code.finish(), "CPU kernel of the balance of currents")
