"""How a scan is cut into tasks, and how much scratch memory a task needs."""

from __future__ import annotations

from dataclasses import dataclass

#: Elements of a feed-forward task: long runs of memory, and states that stay in cache.
TILE = 1024
#: Scratch bytes of the states of a segment, of which the nearest large cache holds a few.
SEGMENT_BYTES = 384 << 10
LONGEST_SEGMENT = 64
#: Rows of the product's result beyond the task's, see recurrence.multiply.
SPARE_ROWS = 8


@dataclass(frozen=True)
class Geometry:
    """Depends on shapes alone: not on the number of threads, so that results do not either.

    Attributes:
        rows: Samples of a task.
        columns: Neurons of a task.
        row_blocks: Tasks along the samples.
        column_blocks: Tasks along the neurons.
        padded: Reals of a scratch row.
        segment: Steps between two kept states.
        segments: How many.
    """

    rows: int
    columns: int
    row_blocks: int
    column_blocks: int
    padded: int
    segment: int
    segments: int

    @property
    def tasks(self) -> int:
        """How many tasks."""
        return self.row_blocks * self.column_blocks


def plan(
    steps: int,
    batch: int,
    neurons: int,
    *,
    states: int,
    coupled: int,
    lanes: int,
    real: int,
    whole_rows: bool = False,
) -> Geometry:
    """Cut ``[steps, batch, neurons]`` into tasks.

    Where currents are ``coupled`` to the step before (so many), a task has all neurons of its
    samples. So has one with ``whole_rows``.
    """
    columns = neurons if coupled or whole_rows else min(neurons, TILE)
    # With recurrence: more rows read the weight less often, and states leave the nearest cache.
    rows = (8 if batch <= 64 else 16) if coupled else max(1, TILE // columns)
    rows = max(1, min(rows, batch))
    padded = -(-columns // lanes) * lanes
    step_bytes = rows * padded * (states + coupled) * real
    segment = max(4, min(LONGEST_SEGMENT, SEGMENT_BYTES // step_bytes))
    segment = min(segment, steps)
    return Geometry(
        rows=rows,
        columns=columns,
        row_blocks=-(-batch // rows),
        column_blocks=-(-neurons // columns),
        padded=padded,
        segment=segment,
        segments=-(-steps // segment),
    )


def forward_scratch(
    geometry: Geometry, states: int, *, coupled: int, pathways: int, product_row: int
) -> int:
    """Reals of scratch memory of the forward kernel."""
    products = pathways * (geometry.rows + SPARE_ROWS) * product_row
    return geometry.padded * (coupled + geometry.rows * states) + products


def backward_scratch(
    geometry: Geometry,
    states: int,
    coefficients: int,
    *,
    coupled: int,
    pathways: int,
    product_row: int,
) -> int:
    """Reals of scratch memory of the backward kernel; ``product_row`` is 0 without recurrence."""
    rows = geometry.rows
    per_step = rows * (states + coupled)
    in_rows = coefficients + rows * states + geometry.segment * per_step
    products = (1 + 2 * pathways) * (rows + SPARE_ROWS) * product_row
    return geometry.padded * in_rows + products
