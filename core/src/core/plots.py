"""Figures of runs, drawn from records or raw metrics with one style and no display.

Every function writes one PNG and returns its path. Metric rows are the mappings a run writes
to ``metrics.jsonl`` (and a record keeps as CSV): ``epoch`` (0 = untrained), ``train_accuracy``,
``val_accuracy``, ``test_accuracy`` in percent, ``sop`` in spikes per test sample.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

Row = Mapping[str, object]

STYLE: dict[Any, Any] = {
    "figure.dpi": 100,
    "savefig.dpi": 150,
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e3e3e3",
    "grid.linewidth": 0.8,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    # Okabe-Ito: distinguishable with the common forms of colour blindness and in print
    "axes.prop_cycle": cycler(
        color=["#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"]
    ),
}
"""The one style of every figure; a paper's own figures use it through :func:`figure`."""

PUBLISHED = "#444444"


@contextmanager
def figure(path: Path, *, width: float, height: float) -> Iterator[Figure]:
    """A figure of ``width`` x ``height`` inches in the house style, saved to ``path`` at the end.

    The folder is made when it is missing. Nothing is written when the body raises.
    """
    with mpl.rc_context(STYLE):
        fig = Figure(figsize=(width, height), layout="constrained")
        yield fig
        path.parent.mkdir(parents=True, exist_ok=True)
        fig.savefig(path)


def learning_curve(
    rows: Sequence[Row],
    path: Path,
    *,
    title: str,
    published: Mapping[int, float] | None = None,
) -> Path:
    """Accuracy per epoch beside spikes per sample per epoch, for one run.

    The epoch with the least validation loss, the one a checkpoint is kept from, is marked.

    Args:
        rows: metric rows of the run, in epoch order; values may be missing or None.
        path: PNG to write.
        title: Stands over the left panel.
        published: test accuracy (percent) by epoch of the curve to compare with, drawn dashed.
    """
    with figure(path, width=9, height=3.6) as fig:
        left, right = fig.subplots(1, 2, width_ratios=[1.5, 1])
        if published:
            epochs, values = _sorted(published)
            left.plot(epochs, values, "--", color=PUBLISHED, label="test, published", zorder=3)
        for name, alpha in (("train", 0.45), ("validation", 0.75), ("test", 1.0)):
            key = "val_accuracy" if name == "validation" else f"{name}_accuracy"
            color = {"train": "C1", "validation": "C2", "test": "C0"}[name]
            epochs, values = _series(rows, key)
            if epochs:
                left.plot(epochs, values, color=color, alpha=alpha, label=name)
        _mark_best(left, rows)
        _accuracy_axis(left, "accuracy (%)")
        left.set_title(title)
        left.legend(loc="lower right")
        right.plot(*_series(rows, "sop"), color="C0")
        right.set(xlabel="epoch", ylabel="spikes per test sample")
        right.set_ylim(bottom=0)
        _epoch_axis(right)
    return path


def compare_curves(
    curves: Mapping[str, Sequence[Sequence[Row]]],
    path: Path,
    *,
    title: str = "",
    published: Mapping[str, Mapping[int, float]] | None = None,
    metric: str = "test_accuracy",
    ylabel: str = "test accuracy (%)",
) -> Path:
    """Mean and standard deviation over seeds of one metric per epoch, one colour per label.

    The band is mean +- the standard deviation over runs (n-1), drawn from two runs on, over the
    epochs all of a label's runs have. A dot marks the first epoch at which the mean reaches
    95 % of its last value. This is the layout of Figure 5 of the BRF paper (Higuchi et al. 2024).

    Args:
        curves: label -> one sequence of metric rows per run.
        path: PNG to write.
        title: Stands over the axes.
        published: label -> metric by epoch; drawn dashed in the colour of the same label.
        metric: key of the rows to draw.
        ylabel: what the metric is, with its unit.
    """
    published = published or {}
    labels = list(dict.fromkeys([*curves, *published]))
    with figure(path, width=6.4, height=4.2) as fig:
        axes = fig.subplots()
        for index, label in enumerate(labels):
            color = f"C{index}"
            if curves.get(label):
                _band(axes, curves[label], metric, label=label, color=color)
            if reference := published.get(label):
                epochs, values = _sorted(reference)
                name = f"{label}, published"
                axes.plot(epochs, values, "--", color=color, label=name, zorder=4)
                _dot(axes, np.array(epochs), np.array(values), color, filled=False)
        if metric.endswith("accuracy"):
            _accuracy_axis(axes, ylabel)
        else:
            axes.set(xlabel="epoch", ylabel=ylabel)
            _epoch_axis(axes)
        axes.set_title(title)
        axes.legend(loc="best")
    return path


def raster(
    spikes_TH: np.ndarray,
    path: Path,
    *,
    title: str = "",
    step_ms: float | None = None,
) -> Path:
    """Which neuron fired when, with the number of spikes per step above it.

    Args:
        spikes_TH: one sample, [T steps, H neurons]; non-zero is a spike.
        path: PNG to write.
        title: Stands over the figure.
        step_ms: duration of a step; without it the time axis counts steps.
    """
    steps, neurons = spikes_TH.shape
    fired = np.asarray(spikes_TH) != 0
    scale = 1.0 if step_ms is None else step_ms
    when, which = np.nonzero(fired)
    with figure(path, width=7.5, height=4.2) as fig:
        top, main = fig.subplots(2, 1, sharex=True, height_ratios=[1, 4])
        top.plot(np.arange(steps) * scale, fired.sum(axis=1), color="C1", linewidth=0.9)
        top.set(ylabel="spikes\nper step")
        top.set_ylim(bottom=0)
        # One dot per spike, as tall as the row it stands on, and never too small to see.
        size = max(0.8, (170 / neurons) ** 2 / 4)
        main.scatter(when * scale, which, s=size, color="black", marker="o", linewidths=0)
        main.set(ylabel="neuron", xlabel="time step" if step_ms is None else "time (ms)")
        main.set_xlim(0, steps * scale)
        main.set_ylim(-1, neurons)
        main.grid(visible=False)
        top.set_title(f"{title}  ({int(fired.sum())} spikes)" if title else "")
    return path


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


def _mark_best(axes: Axes, rows: Sequence[Row]) -> None:
    epochs, losses = _series(rows, "val_loss")
    accuracy = dict(zip(*_series(rows, "test_accuracy"), strict=True))
    if not losses:
        return
    best = epochs[losses.index(min(losses))]
    if best in accuracy:
        name = f"{accuracy[best]:.2f} % at the least validation loss (epoch {best:g})"
        # In the legend, where no curve can run through it.
        axes.plot(best, accuracy[best], "o", color="C0", markersize=5, zorder=4, label=name)


def _band(
    axes: Axes, runs: Sequence[Sequence[Row]], metric: str, *, label: str, color: str
) -> None:
    by_run = [dict(zip(*_series(rows, metric), strict=True)) for rows in runs]
    common = sorted(set.intersection(*(set(run) for run in by_run)))
    if not common:
        return
    epochs = np.array(common)
    values = np.array([[run[e] for e in common] for run in by_run])
    mean = values.mean(axis=0)
    count = "" if len(runs) == 1 else f" (n = {len(runs)})"
    axes.plot(epochs, mean, color=color, label=f"{label}{count}")
    if len(runs) > 1:
        std = values.std(axis=0, ddof=1)
        axes.fill_between(epochs, mean - std, mean + std, color=color, alpha=0.18, linewidth=0)
    _dot(axes, epochs, mean, color, filled=True)


def _dot(axes: Axes, epochs: np.ndarray, mean: np.ndarray, color: str, *, filled: bool) -> None:
    first = int(np.argmax(mean >= 0.95 * mean[-1]))
    face = color if filled else "white"
    axes.plot(epochs[first], mean[first], "o", color=color, markerfacecolor=face, zorder=5)


def _accuracy_axis(axes: Axes, ylabel: str) -> None:
    axes.set(xlabel="epoch", ylabel=ylabel, ylim=(0, 102))
    _epoch_axis(axes)


def _epoch_axis(axes: Axes) -> None:
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
