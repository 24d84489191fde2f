"""How values are spread over the neurons of layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from core.plots.style import figure

BEFORE, AFTER = "#8a8a8a", "C0"


SATURATED = 0.5
"""Spikes per step above which a neuron says no more than that it is on."""


def cumulative(
    groups: Mapping[str, Sequence[np.ndarray]],
    path: Path,
    *,
    title: str = "",
    xlabel: str,
    names: Sequence[str],
) -> Path:
    """Share of neurons up to each firing rate: a panel per layer, a curve per model.

    The legends count the neurons that never fire and those that fire in more than every second
    step (:data:`SATURATED`).

    Args:
        groups: model -> per layer, the rate of every neuron ``[N]`` in spikes per step.
        path: PNG to write.
        title: Stands over the figure.
        xlabel: what the value is, with its unit.
        names: of the layers; a model may have fewer.
    """
    with figure(path, width=1.0 + 4.0 * len(names), height=3.9) as fig:
        panels = fig.subplots(1, len(names), squeeze=False, sharex=True, sharey=True)[0]
        for layer, axes in enumerate(panels):
            for index, (model, values) in enumerate(groups.items()):
                if layer < len(values):
                    _steps(axes, values[layer], model, f"C{index}")
            axes.set(title=names[layer], xlabel=xlabel, xlim=(0, 1), ylim=(0, 1.02))
            axes.axvline(SATURATED, color="#999999", linewidth=0.8, linestyle=":")
            axes.legend(loc="lower right", fontsize=8, title="silent / saturated of all")
        panels[0].set_ylabel("share of neurons")
        fig.suptitle(title, x=0.01, horizontalalignment="left", fontsize=11)
    return path


def before_and_after(
    layers: Mapping[str, Mapping[str, tuple[np.ndarray, np.ndarray]]], path: Path, *, title: str
) -> Path:
    """Histograms of the parameters of neurons, untrained and trained: a row per layer.

    Args:
        layers: layer -> parameter -> its values ``[N]`` before and after training. A parameter has
            the same bins in every layer.
        path: PNG to write.
        title: Stands over the figure.
    """
    names = list(dict.fromkeys(name for values in layers.values() for name in values))
    edges = {name: _edges([v[name] for v in layers.values() if name in v]) for name in names}
    with figure(path, width=1.2 + 2.1 * len(names), height=0.9 + 1.6 * len(layers)) as fig:
        panels = fig.subplots(len(layers), len(names), squeeze=False, sharex="col")
        for row, (layer, values) in zip(panels, layers.items(), strict=True):
            row[0].set_ylabel(f"{layer}\nneurons")
            for column, name in enumerate(names):
                row[column].set_visible(name in values)
                if name in values:
                    _overlay(row[column], values[name], edges[name])
        for column, name in enumerate(names):
            lowest = [axes for axes in panels[:, column] if axes.get_visible()][-1]
            lowest.set_xlabel(name)
            lowest.tick_params(labelbottom=True)
        panels[0, 0].legend(loc="best", fontsize=8)
        fig.suptitle(title, x=0.01, horizontalalignment="left", fontsize=11)
    return path


def _steps(axes: Axes, rate_N: np.ndarray, model: str, color: str) -> None:
    silent, saturated = int((rate_N == 0).sum()), int((rate_N > SATURATED).sum())
    label = f"{model}: {silent} / {saturated} of {len(rate_N)}"
    axes.ecdf(rate_N, color=color, label=label)


def _overlay(axes: Axes, values: tuple[np.ndarray, np.ndarray], edges: list[float]) -> None:
    before_N, after_N = values
    axes.hist(before_N, edges, color=BEFORE, alpha=0.5, label="untrained")
    axes.hist(after_N, edges, color=AFTER, histtype="step", label="trained", linewidth=1.4)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))


def _edges(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[float]:
    """Edges of 24 bins over everything given, also where that is one value."""
    values = np.concatenate([value for pair in pairs for value in pair])
    return list(np.histogram_bin_edges(values, 24))
