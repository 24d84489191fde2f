"""How a scan is cut into programs of the GPU.

A geometry decides how fast a scan is and whether a device can launch it. Sums of a recurrent layer
may run in another order in another one; everything else is the same to the bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import torch

#: Elements of a feed-forward tile: one per thread, as many programs as possible.
BLOCK = 128
#: Samples of a recurrent tile, and the inner dimension of its product at a time, at least what a
#: dense product in a kernel needs.
ROWS, INNER = 16, 16
#: Warps of a program with so many neurons, and with more. Fewer give a thread too many elements for
#: its registers, more too few registers: these spill least (core.scan.gpu.compiled).
NARROW, FEW_WARPS, MANY_WARPS = 128, 8, 16
#: Neurons of a recurrent layer that one program still holds: beyond, registers and shared memory
#: are too small for a tile.
MOST_RECURRENT = {torch.float32: 512, torch.float64: 256}


@dataclass(frozen=True)
class Geometry:
    """A way to cut a scan.

    Attributes:
        rows: Samples of a tile; 1 without recurrence.
        columns: Neurons of a tile; without recurrence, elements of samples x neurons.
        warps: Of a program.
        recurrent: Whether it cuts recurrent scans.
    """

    rows: int
    columns: int
    warps: int
    recurrent: bool

    def __str__(self) -> str:
        return f"{self.rows}x{self.columns}, {self.warps} warps"

    @property
    def tile(self) -> dict[str, int]:
        """Constants of a kernel."""
        if not self.recurrent:
            return {"BLOCK": self.columns}
        return {"ROWS": self.rows, "COLUMNS": self.columns, "INNER": INNER}

    def programs(self, batch: int, neurons: int) -> int:
        """How many."""
        if not self.recurrent:
            return -(-batch * neurons // self.columns)
        return -(-batch // self.rows)


_forced: ContextVar[Geometry | None] = ContextVar("forced", default=None)


@contextmanager
def forced(geometry: Geometry) -> Iterator[None]:
    """Cut every scan in the block in one way, and its way back, wherever that runs.

    Scans of the other kind (with and without recurrence) stay as they are. What a device cannot
    launch raises instead of falling back to another geometry.
    """
    token = _forced.set(geometry)
    try:
        yield
    finally:
        _forced.reset(token)


def candidates(recurrent: bool, batch: int, neurons: int, dtype: torch.dtype) -> list[Geometry]:
    """Geometries of a scan, the preferred one first; none where no kernel is made for the size."""
    if not recurrent:
        return [Geometry(1, BLOCK, 4, recurrent)]
    if neurons > MOST_RECURRENT.get(dtype, 0):
        return []
    # A power of two, and enough for a dense product.
    columns = max(16, 1 << (neurons - 1).bit_length())
    warps = FEW_WARPS if columns <= NARROW else MANY_WARPS
    return [Geometry(ROWS, columns, warps, recurrent)]


def chosen(recurrent: bool, batch: int, neurons: int, dtype: torch.dtype) -> Geometry:
    """The geometry of a scan: the forced one, else the preferred."""
    given = _forced.get()
    if given is not None and given.recurrent == recurrent:
        return given
    return candidates(recurrent, batch, neurons, dtype)[0]
