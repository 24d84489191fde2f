"""How groups of runs converge, beside what was published, and how far apart they are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator

from core.plots.curves import Row, accuracy_axis, by_epoch, draw_curves, epoch_axis, mark_goals
from core.plots.style import STYLE, figure

_LINEAR = 2.0
"""Differences up to so many points are drawn to scale, larger ones by their logarithm."""


def convergence(
    curves: Mapping[str, Sequence[Sequence[Row]]],
    path: Path,
    *,
    title: str = "",
    published: Mapping[str, Mapping[int, float]] | None = None,
    goals: Mapping[str, float] | None = None,
    goals_label: str = "published value",
    selected: Mapping[str, Sequence[int]] | None = None,
    bottom: float = 0.0,
) -> Path:
    """Test accuracy per epoch, and below it the differences from the first label.

    Above as in :func:`core.plots.compare_curves`; a short bar at the bottom marks the epoch that a
    run selected. Below, the difference of the means with its standard error over runs, and dashed
    that between the published curves; with one label alone there is no such panel.

    Args:
        curves: label -> one sequence of metric rows per run; the first label is compared with.
        path: PNG to write.
        title: Stands over the axes.
        published: label -> test accuracy (percent) by epoch.
        goals: label -> published final value in percent; a diamond at the right edge.
        goals_label: what the diamonds are, for the legend.
        selected: label -> selected epoch of every run.
        bottom: least accuracy that is shown, in percent.
    """
    several = len(curves) > 1
    labels = list(curves)
    with figure(path, width=6.8, height=6.4 if several else 4.2) as fig:
        panels = (
            fig.subplots(2, 1, sharex=True, height_ratios=[1.7, 1]) if several else [fig.subplots()]
        )
        above = panels[0]
        draw_curves(above, curves, published or {})
        accuracy_axis(above, "test accuracy (%)", bottom)
        for label, epochs in (selected or {}).items():
            color = _color(labels, label)
            above.plot(epochs, [bottom] * len(epochs), "|", color=color, markersize=14, zorder=6)
        if any((selected or {}).values()):
            above.plot([], [], "|", color="#444444", markersize=9, label="selected epoch of a run")
        above.set_title(title)
        if several:
            above.set_xlabel("")
            _differences(panels[1], curves, published or {})
            epoch_axis(panels[1])
        mark_goals(above, {labels.index(k): v for k, v in (goals or {}).items()}, goals_label)
        above.legend(loc="best", fontsize=8, ncols=2)
    return path


def _differences(
    axes: Axes,
    curves: Mapping[str, Sequence[Sequence[Row]]],
    published: Mapping[str, Mapping[int, float]],
) -> None:
    labels = list(curves)
    first = labels[0]
    epochs_of, values_of = {}, {}
    for label in labels:
        epochs_of[label], values_of[label] = by_epoch(curves[label], "test_accuracy")
    axes.axhline(0, color=_color(labels, first), linewidth=1.2)
    for label in labels[1:]:
        common, here, there = np.intersect1d(
            epochs_of[first], epochs_of[label], assume_unique=True, return_indices=True
        )
        if not common.size:
            continue
        ours, base = values_of[label][:, there], values_of[first][:, here]
        mean = ours.mean(0) - base.mean(0)
        color = _color(labels, label)
        axes.plot(common, mean, color=color, linewidth=1.2)
        if min(len(ours), len(base)) > 1:
            error = np.sqrt(ours.var(0, ddof=1) / len(ours) + base.var(0, ddof=1) / len(base))
            axes.fill_between(
                common, mean - error, mean + error, color=color, alpha=0.18, linewidth=0
            )
        shared = sorted(published.get(label, {}).keys() & published.get(first, {}).keys())
        if shared:
            gaps = [published[label][epoch] - published[first][epoch] for epoch in shared]
            axes.plot(shared, gaps, "--", color=color, linewidth=1.2)
    axes.set_yscale("symlog", linthresh=_LINEAR, linscale=1.5)
    largest = max(2.0, *(abs(bound) for bound in axes.get_ylim()))
    ticks = [size for size in (1, 2, 20) if size <= largest]
    axes.set_yticks([*(-size for size in reversed(ticks)), 0, *ticks])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:+g}" if value else "0"))
    axes.yaxis.set_minor_locator(NullLocator())
    low, high = axes.get_ylim()
    axes.set_ylim(math.floor(low), math.ceil(high))
    axes.set(xlabel="epoch", ylabel=f"minus {first} (points)")


def _color(labels: Sequence[str], label: str) -> str:
    return f"C{list(labels).index(label) % len(STYLE['axes.prop_cycle'])}"
