"""How time grows with steps and batch: a straight line, or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core.bench.workloads import Step, Workload

#: Axis and rows of every fit.
FITS = (
    ("T", ("brf-T196", "brf-T392", "brf-T784")),
    ("B", ("brf-B64", "brf-B128", "brf-B256")),
    ("T", ("silif-step-T75", "silif-step-T150", "silif-step")),
)


def fit(sizes: Sequence[float], times: Sequence[float]) -> tuple[float, float, float]:
    """Least squares of ``time = a + b size``: ``a``, ``b`` and ``R^2``.

    ``R^2`` is one minus the share of the variance that the line leaves.
    """
    x, y = np.asarray(sizes, dtype=float), np.asarray(times, dtype=float)
    slope, intercept = np.polyfit(x, y, 1)
    left = float(((y - intercept - slope * x) ** 2).sum())
    all_of_it = float(((y - y.mean()) ** 2).sum())
    return float(intercept), float(slope), 1.0 - left / all_of_it


def through_origin(points: Sequence[tuple[int, float]]) -> tuple[float, float]:
    """``a`` and ``b`` of ``time = a T + b T^2``, least squares over points ``(T, time)``.

    What a loop that reads ``current[t]`` under autograd takes: work per step, and a whole sequence
    of zeros per step in its backward.
    """
    T, time = np.asarray(points, dtype=float).T
    (a, b), *_ = np.linalg.lstsq(np.stack([T, T**2], axis=1), time, rcond=None)
    return float(a), float(b)


def growth_rows(
    measured: Mapping[str, tuple[Workload | Step, Mapping[str, Any]]],
) -> list[dict[str, Any]]:
    """One row per fit all of whose workloads are ``measured`` (name -> workload, its row)."""
    rows: list[dict[str, Any]] = []
    for axis, names in FITS:
        if not all(name in measured for name in names):
            continue
        points = []
        for name in names:
            workload, row = measured[name]
            size = workload.steps if axis == "T" else workload.batch
            points.append((size, float(row["seconds"])))
        a, b, r2 = fit(*zip(*points, strict=True))
        rows.append(
            {
                "workload": "growth",
                "axis": axis,
                "rows": list(names),
                "backend": measured[names[0]][1]["backend"],
                "a_seconds": a,
                "b_seconds": b,
                "r2": r2,
                "points": [list(point) for point in points],
            }
        )
    return rows
