"""Products with spikes against dense ones, over the share of values that are not zero.

Where the two cost the same, the break-even, :data:`core.projection.SPARSE` should not be far.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from core import projection
from core.bench.table import duration
from core.bench.timing import Contestant, interleaved
from core.errors import UserError
from core.records.grid import grid
from core.records.readme import update_between_markers
from core.training.devices import choose_device, here

BLOCK = "rates"
SIZES = (128, 256, 512, 1024)
"""Inputs and outputs of the layer."""
RATES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5)
ROWS = (100, 128)
"""Steps and batch."""
_CPU = torch.device("cpu")


class Point(NamedTuple):
    """Seconds of forward and backward at one size and rate."""

    size: int
    rate: float
    sparse: float
    dense: float


def spike_rates(
    *,
    repeats: int,
    threads: int,
    readme: Path | None,
    sizes: Sequence[int] = SIZES,
    rows: tuple[int, int] = ROWS,
) -> str:
    """Time both products, and return the break-even of every size as a Markdown table.

    Args:
        repeats: Timed passes of each, of which the median counts.
        threads: Processor threads.
        readme: File with the markers of the table, which is then written there, too, with
            ``rates.png`` beside it.
        sizes: Of the layers.
        rows: Steps and batch.

    Raises:
        UserError: A file without the markers, or no kernels on this machine.
    """
    if readme is not None:
        update_between_markers(readme, BLOCK, "", write=False)
    choose_device("cpu", threads)
    if (reason := projection.missing()) is not None:
        raise UserError(f"--rates needs the kernels of the CPU: {reason}")
    points = [_measure(size, rate, rows, repeats) for size in sizes for rate in RATES]
    table = [_row(size, [p for p in points if p.size == size]) for size in sizes]
    text = grid(tuple(table[0]), table)
    steps, batch = rows
    text += f"\n\nT={steps} B={batch}; {here(_CPU)}, forward and backward, medians of {repeats}"
    if readme is not None:
        draw(points, readme.with_name("rates.png"))
        update_between_markers(readme, BLOCK, text)
    return text


def _measure(size: int, rate: float, rows: tuple[int, int], repeats: int) -> Point:
    generator = torch.Generator().manual_seed(0)
    x_TBI = (torch.rand(*rows, size, generator=generator) < rate).float().requires_grad_()
    weight = torch.randn(size, size, generator=generator).requires_grad_()
    gradient_TBN = torch.randn(*rows, size, generator=generator)
    times = interleaved(
        {
            "sparse": _contestant(1.1, x_TBI, weight, gradient_TBN),
            "dense": _contestant(0.0, x_TBI, weight, gradient_TBN),
        },
        repeats,
        _CPU,
    )
    return Point(size, rate, times["sparse"], times["dense"])


def _contestant(share: float, x_TBI: Tensor, weight: Tensor, gradient_TBN: Tensor) -> Contestant:
    def run() -> None:
        with _sparse_below(share):
            projection.project(x_TBI, weight).backward(gradient_TBN)

    def reset() -> None:
        x_TBI.grad = weight.grad = None

    return Contestant(run, reset)


@contextmanager
def _sparse_below(share: float) -> Iterator[None]:
    """Take the product by spikes up to another share, and for small layers too."""
    before = projection.SPARSE, projection.FEW_PRODUCTS
    projection.SPARSE, projection.FEW_PRODUCTS = share, 0
    try:
        yield
    finally:
        projection.SPARSE, projection.FEW_PRODUCTS = before


def break_even(points: Sequence[Point]) -> float | None:
    """The rate at which both products take the same time; None where one is always faster.

    Between two measured rates the logarithm of the ratio is taken to be straight.
    """
    ratios = np.log([point.sparse / point.dense for point in points])
    for place in range(1, len(points)):
        low, high = ratios[place - 1], ratios[place]
        if low < 0 <= high:
            part = low / (low - high)
            return points[place - 1].rate + float(part) * (
                points[place].rate - points[place - 1].rate
            )
    return None


def _row(size: int, points: Sequence[Point]) -> dict[str, str]:
    even = break_even(points)
    shown = {
        f"{point.rate:.1%}": f"{duration(point.sparse)} ({point.dense / point.sparse:.1f})"
        for point in points
        if point.rate in (0.01, 0.05, 0.1, 0.2)
    }
    return {
        "layer": f"{size} x {size}",
        "dense": duration(float(np.median([point.dense for point in points]))),
        **{f"at {rate} (times faster)": text for rate, text in shown.items()},
        "break-even": "none" if even is None else f"{even:.0%}",
    }


def draw(points: Sequence[Point], path: Path) -> Path:
    """Time of the product by spikes over that of the dense one, against the share of spikes."""
    from core.plots import figure  # matplotlib takes a second to import

    with figure(path, width=6.4, height=4.2) as fig:
        axes = fig.subplots()
        for size in dict.fromkeys(point.size for point in points):
            of_size = [point for point in points if point.size == size]
            rates = [100 * point.rate for point in of_size]
            ratios = [point.sparse / point.dense for point in of_size]
            axes.plot(rates, ratios, "o-", markersize=4, label=f"{size} x {size}")
        axes.axhline(1.0, color="#444444", linewidth=1.0)
        axes.axvline(
            100 * projection.SPARSE, color="#444444", linewidth=1.0, linestyle="--",
            label=f"taken below {projection.SPARSE:.0%}",
        )  # fmt: skip
        axes.set(xscale="log", yscale="log", xlabel="values that are not zero (%)")
        axes.set_ylabel("time by spikes / dense")
        axes.legend(fontsize=9)
    return path
