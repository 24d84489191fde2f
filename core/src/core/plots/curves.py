"""Metrics by epoch.

Metric rows are the mappings a run writes to ``metrics.jsonl`` (and a record keeps as CSV):
``epoch`` (0 = untrained), ``train_accuracy``, ``val_accuracy``, ``test_accuracy`` in percent,
``sop`` in spikes per test sample.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from core.plots.style import STYLE, figure
from core.training.selection import Selects, best_row

Row = Mapping[str, object]

PUBLISHED = "#444444"
#: Share of the longest run's epochs: one that ended before is no part of a mean, which would end
#: with it.
EARLY = 0.5


def learning_curve(
    rows: Sequence[Row],
    path: Path,
    *,
    title: str,
    published: Mapping[int, float] | None = None,
    selects: Selects = "val_loss",
) -> Path:
    """Accuracy per epoch beside spikes per sample per epoch, for one run.

    The epoch that validation selects, the one a checkpoint is kept from, is marked. A network that
    does not spike has the left panel alone.

    Args:
        rows: metric rows of the run, in epoch order; values may be missing or None.
        path: PNG to write.
        title: Stands over the left panel.
        published: test accuracy (percent) by epoch of the curve to compare with, drawn dashed.
        selects: what the run selects its epoch by.
    """
    spikes = _series(rows, "sop")
    with figure(path, width=9 if spikes[0] else 5.4, height=3.6) as fig:
        panels = fig.subplots(1, 2, width_ratios=[1.5, 1]) if spikes[0] else [fig.subplots()]
        left = panels[0]
        if published:
            epochs, values = _sorted(published)
            left.plot(epochs, values, "--", color=PUBLISHED, label="test, published", zorder=3)
        for name, alpha in (("train", 0.45), ("validation", 0.75), ("test", 1.0)):
            key = "val_accuracy" if name == "validation" else f"{name}_accuracy"
            color = {"train": "C1", "validation": "C2", "test": "C0"}[name]
            epochs, values = _series(rows, key)
            if epochs:
                left.plot(epochs, values, color=color, alpha=alpha, label=name)
        _mark_best(left, rows, selects)
        accuracy_axis(left, "accuracy (%)")
        left.set_title(title)
        left.legend(loc="lower right")
        for right in panels[1:]:
            right.plot(*spikes, color="C0")
            right.set(xlabel="epoch", ylabel="spikes per test sample")
            right.set_ylim(bottom=0)
            epoch_axis(right)
    return path


def compare_curves(
    curves: Mapping[str, Sequence[Sequence[Row]]],
    path: Path,
    *,
    title: str = "",
    published: Mapping[str, Mapping[int, float]] | None = None,
    goals: Mapping[str, float] | None = None,
    goals_label: str = "published",
    metric: str = "test_accuracy",
    ylabel: str = "test accuracy (%)",
    bottom: float = 0.0,
) -> Path:
    """Mean and standard deviation over seeds of one metric per epoch, one colour per label.

    The band is mean +- the standard deviation over runs (n-1), drawn from two runs on, over the
    epochs all of a label's runs have. Runs that ended before half of the longest, as those that
    fail do, are thin lines of their own with a cross at the end. A dot marks the first epoch at
    which the mean reaches 95 % of its last value. This is the layout of Figure 5 of the BRF paper
    (Higuchi et al. 2024).
    Where only a final value is published, a diamond at the right edge marks it.

    Args:
        curves: label -> one sequence of metric rows per run.
        path: PNG to write.
        title: Stands over the axes.
        published: label -> metric by epoch; drawn dashed in the colour of the same label.
        goals: label -> published final value.
        goals_label: what the diamonds are, for the legend.
        metric: key of the rows to draw.
        ylabel: what the metric is, with its unit.
        bottom: least accuracy that is shown, in percent.
    """
    with figure(path, width=6.4, height=4.2) as fig:
        axes = fig.subplots()
        draw_curves(axes, curves, published or {}, metric)
        if metric.endswith("accuracy"):
            accuracy_axis(axes, ylabel, bottom)
        else:
            axes.set(xlabel="epoch", ylabel=ylabel)
            epoch_axis(axes)
        labels = list(curves)
        colored = {labels.index(label): value for label, value in (goals or {}).items()}
        mark_goals(axes, colored, goals_label)
        axes.set_title(title)
        axes.legend(loc="best")
    return path


def draw_curves(
    axes: Axes,
    curves: Mapping[str, Sequence[Sequence[Row]]],
    published: Mapping[str, Mapping[int, float]],
    metric: str = "test_accuracy",
) -> None:
    """Mean and band of every label, and its published curve dashed, in one colour per label."""
    for index, label in enumerate(dict.fromkeys([*curves, *published])):
        color = f"C{index}"
        if curves.get(label):
            _band(axes, curves[label], metric, label=label, index=index)
        if reference := published.get(label):
            epochs, values = _sorted(reference)
            axes.plot(epochs, values, "--", color=color, label=f"{label}, published", zorder=4)
            _dot(axes, np.array(epochs), np.array(values), color, filled=False)


def by_epoch(
    runs: Sequence[Sequence[Row]], metric: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Epochs ``[E]`` that all runs have, and the values of the runs there ``[runs, E]``.

    Runs that ended early are left out, see :func:`early`.
    """
    whole = _parted(runs, metric)[0]
    common = sorted(set.intersection(*map(set, whole))) if whole else []
    return np.array(common), np.array([[run[e] for e in common] for run in whole])


def early(
    runs: Sequence[Sequence[Row]], metric: str
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Epochs and values of the runs that ended before :data:`EARLY` of the longest."""
    return [(np.array(list(run)), np.array(list(run.values()))) for run in _parted(runs, metric)[1]]


def draw_early(
    axes: Axes, epochs: NDArray[np.float64], values: NDArray[np.float64], color: str
) -> None:
    """One of :func:`early`: a thin line and a cross where it ends."""
    axes.plot(epochs, values, color=color, linewidth=0.8, alpha=0.6)
    axes.plot(epochs[-1:], values[-1:], "x", color=color, markersize=5)


def _parted(
    runs: Sequence[Sequence[Row]], metric: str
) -> tuple[list[dict[float, float]], list[dict[float, float]]]:
    """Runs that went on and runs that ended early, as values by epoch."""
    by_run = [dict(zip(*_series(rows, metric), strict=True)) for rows in runs]
    longest = max((max(run, default=0.0) for run in by_run), default=0.0)
    last = [max(run, default=-1.0) for run in by_run]
    return (
        [run for run, end in zip(by_run, last, strict=True) if end >= EARLY * longest],
        [run for run, end in zip(by_run, last, strict=True) if 0 <= end < EARLY * longest],
    )


def _series(rows: Iterable[Row], key: str) -> tuple[list[float], list[float]]:
    """Epochs and values of the rows in which ``key`` is a finite number."""
    epochs, values = [], []
    for row in rows:
        value = row.get(key)
        if isinstance(value, int | float) and math.isfinite(value):
            epochs.append(float(str(row["epoch"])))
            values.append(float(value))
    return epochs, values


def _sorted(values: Mapping[int, float]) -> tuple[list[float], list[float]]:
    return [float(e) for e in sorted(values)], [values[e] for e in sorted(values)]


def _mark_best(axes: Axes, rows: Sequence[Row], selects: Selects) -> None:
    finite = dict(zip(*_series(rows, selects), strict=True))
    accuracy = dict(zip(*_series(rows, "test_accuracy"), strict=True))
    if not finite:
        return
    best = best_row([{"epoch": e, selects: v} for e, v in finite.items()], selects=selects)["epoch"]
    if best in accuracy:
        what = "least validation loss" if selects == "val_loss" else "best validation accuracy"
        name = f"{accuracy[best]:.2f} % at the {what} (epoch {best:g})"
        # In the legend, where no curve can run through it.
        axes.plot(best, accuracy[best], "o", color="C0", markersize=5, zorder=4, label=name)


def _band(
    axes: Axes, runs: Sequence[Sequence[Row]], metric: str, *, label: str, index: int
) -> None:
    epochs, values = by_epoch(runs, metric)
    if not epochs.size:
        return
    mean = values.mean(axis=0)
    ended, color = early(runs, metric), f"C{index}"
    count = f" (n = {len(values)}{f', {len(ended)} ended early' if ended else ''})"
    count = "" if len(runs) == 1 else count
    for one in ended:
        draw_early(axes, *one, color)
    # When all colours are used up, the next ones are told apart by their strokes.
    stroke = ("-", "-.", ":")[index // len(STYLE["axes.prop_cycle"]) % 3]
    axes.plot(epochs, mean, stroke, color=color, label=f"{label}{count}")
    if len(values) > 1:
        std = values.std(axis=0, ddof=1)
        axes.fill_between(epochs, mean - std, mean + std, color=color, alpha=0.18, linewidth=0)
    _dot(axes, epochs, mean, color, filled=True)


def _dot(axes: Axes, epochs: np.ndarray, mean: np.ndarray, color: str, *, filled: bool) -> None:
    first = int(np.argmax(mean >= 0.95 * mean[-1]))
    face = color if filled else "white"
    axes.plot(epochs[first], mean[first], "o", color=color, markerfacecolor=face, zorder=5)


def mark_goals(axes: Axes, goals: Mapping[int, float], label: str) -> None:
    """Diamonds on the right edge, in the colour of their curve, so far as they are in view."""
    right, (bottom, top) = axes.get_xlim()[1], axes.get_ylim()
    shown = {index: value for index, value in goals.items() if bottom <= value <= top}
    for index, value in shown.items():
        mark = axes.plot(right, value, "D", markersize=6, zorder=6, clip_on=False)[0]
        mark.set(color=f"C{index}", markerfacecolor="white")
    if shown:
        axes.plot([], [], "D", color=PUBLISHED, markerfacecolor="white", label=label)
        axes.set_xlim(right=right)


def accuracy_axis(axes: Axes, ylabel: str, bottom: float = 0.0) -> None:
    """Epochs against percent, from ``bottom`` to a little above 100."""
    axes.set(xlabel="epoch", ylabel=ylabel, ylim=(bottom, 102 - 0.02 * bottom))
    epoch_axis(axes)


def epoch_axis(axes: Axes) -> None:
    """Epochs are counted in whole numbers, from 0."""
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
