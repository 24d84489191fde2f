"""Claims beside what was measured: one dot per claim."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from core.plots.style import figure

LIMIT = 6.0
"""Dots further out stand at the edge, as triangles."""
_PER_LINE = 24
"""Dots without a place, side by side."""
_PILE = 7
"""Dots at one place, one over the other; more stand side by side around it."""
_PITCH = 0.105
_NO_COLOR = "#c4c4c4"


@dataclass(frozen=True)
class Dot:
    """A claim.

    Attributes:
        verdict: Chooses its colour.
        place: Ours minus published, in units; None where nothing was measured.
        in_margins: The unit is the margin, because no standard deviation is published.
    """

    verdict: str
    place: float | None
    in_margins: bool = False


@dataclass(frozen=True)
class Lane:
    """Claims of one source, side by side; ``name`` stands at the left."""

    name: str
    dots: Sequence[Dot]


def dot_plot(
    lanes: Sequence[Lane], path: Path, *, colors: Mapping[str, str], title: str = ""
) -> Path:
    """Distances of measured from published values, a lane per source.

    Args:
        lanes: From top to bottom.
        path: PNG to write.
        colors: verdict -> colour; verdicts without one are grey. They stand in the legend so.
        title: Stands over the figure.
    """
    rows = [_rows(lane) for lane in lanes]
    height = sum(rows) * _PITCH + 0.22 * len(lanes)
    with figure(path, width=9.4, height=1.35 + height) as fig:
        left, right = fig.subplots(1, 2, sharey=True, width_ratios=[2.2, 1])
        top, ticks = 0.0, []
        for lane, number in zip(lanes, rows, strict=True):
            extent = number * _PITCH + 0.22
            _lane(left, right, lane, -(top + extent / 2), colors)
            ticks.append(-(top + extent / 2))
            top += extent
            for axes in (left, right):
                axes.axhline(-top, color="#e3e3e3", linewidth=0.8)
        left.set_yticks(ticks, [lane.name for lane in lanes], fontsize=8)
        left.set(xlim=(-LIMIT - 0.5, LIMIT + 0.5), ylim=(-top, 0))
        left.set_xlabel("(ours - published) / published deviation, diamonds: / margin")
        left.axvline(0, color="#444444", linewidth=1)
        left.grid(visible=False, axis="y")
        right.set(xlim=(-1, _PER_LINE), xticks=[], xlabel="without a distance")
        right.grid(visible=False)
        right.tick_params(left=False)
        _legend(fig, lanes, colors)
        left.set_title(title)
    return path


def _rows(lane: Lane) -> int:
    """Lines of dots that a lane needs."""
    piles: dict[int, int] = {}
    for dot in lane.dots:
        if dot.place is not None:
            piles[_bin(dot.place)] = piles.get(_bin(dot.place), 0) + 1
    without = sum(dot.place is None for dot in lane.dots)
    return max(1, min(_PILE, max(piles.values(), default=1)), -(-without // _PER_LINE))


def _bin(place: float) -> int:
    return round(6 * max(-LIMIT, min(LIMIT, place)))


def _lane(left: Axes, right: Axes, lane: Lane, middle: float, colors: Mapping[str, str]) -> None:
    piles: dict[int, list[Dot]] = {}
    for dot in sorted(lane.dots, key=lambda dot: dot.verdict):
        if dot.place is not None:
            piles.setdefault(_bin(dot.place), []).append(dot)
    for pile in piles.values():
        for dot, (aside, y) in zip(pile, _heap(len(pile), middle), strict=True):
            assert dot.place is not None
            x = max(-LIMIT, min(LIMIT, dot.place)) + aside
            marker = "D" if dot.in_margins else "o"
            if abs(dot.place) > LIMIT:
                marker = "<" if dot.place < 0 else ">"
            left.plot(x, y, marker, color=colors.get(dot.verdict, _NO_COLOR), markersize=4.5)
    without = sorted((dot for dot in lane.dots if dot.place is None), key=lambda d: d.verdict)
    lines = -(-len(without) // _PER_LINE)
    for number, y in enumerate(_spread(lines, middle)):
        for x, dot in enumerate(without[number * _PER_LINE : (number + 1) * _PER_LINE]):
            color = colors.get(dot.verdict, _NO_COLOR)
            right.plot(x, y, "o", color=color, markersize=5)


def _heap(number: int, middle: float) -> Iterable[tuple[float, float]]:
    """Places of the dots of a pile: distance to the side, and height."""
    columns = -(-number // _PILE)
    apart = min(0.22, 1 / columns)  # a pile is no wider than half a unit to each side
    for column in range(columns):
        inside = range(column, number, columns)
        for y in _spread(len(inside), middle):
            yield apart * (column - (columns - 1) / 2), y


def _spread(number: int, middle: float) -> Iterable[float]:
    return [middle + _PITCH * ((number - 1) / 2 - index) for index in range(number)]


def _legend(fig: Figure, lanes: Sequence[Lane], colors: Mapping[str, str]) -> None:
    counts: dict[str, int] = {}
    for lane in lanes:
        for dot in lane.dots:
            counts[dot.verdict] = counts.get(dot.verdict, 0) + 1
    order = [*(name for name in colors if name in counts), *sorted(counts.keys() - colors.keys())]
    handles = [
        Line2D(
            [],
            [],
            linestyle="",
            marker="o",
            markersize=5,
            color=colors.get(name, _NO_COLOR),
            label=f"{name} ({counts[name]})",
        )
        for name in order
    ]
    fig.legend(handles=handles, loc="outside upper left", ncols=5, fontsize=8)
