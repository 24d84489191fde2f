"""How values are spread over the neurons of layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from core.plots.style import figure

BEFORE, AFTER = "#8a8a8a", "C0"


def violins(
    groups: Mapping[str, Sequence[np.ndarray]],
    path: Path,
    *,
    title: str = "",
    ylabel: str,
    names: Sequence[str],
) -> Path:
    """One violin per layer and model: how a value is spread over neurons.

    The bar in a violin is the median, the cross the mean.

    Args:
        groups: model -> per layer, the value of every neuron ``[N]``.
        path: PNG to write.
        title: Stands over the axes.
        ylabel: what the value is, with its unit.
        names: of the layers, for the legend; a model may have fewer.
    """
    with figure(path, width=max(4.0, 1.4 + 1.1 * len(groups)), height=3.8) as fig:
        axes = fig.subplots()
        layers = max(len(values) for values in groups.values())
        for place, values in enumerate(groups.values()):
            for layer, value_N in enumerate(values):
                at = place + 0.8 * ((layer + 0.5) / layers - 0.5)
                _violin(axes, value_N, at, 0.72 / layers, f"C{layer}")
        axes.set_xticks(range(len(groups)), list(groups))
        axes.set(ylabel=ylabel, title=title, xlim=(-0.6, len(groups) - 0.4))
        axes.set_ylim(bottom=0)
        axes.grid(visible=False, axis="x")
        patches = [Patch(color=f"C{i}", alpha=0.5, label=names[i]) for i in range(layers)]
        axes.legend(handles=patches, loc="best")
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


def _violin(axes: Axes, value_N: np.ndarray, at: float, width: float, color: str) -> None:
    if np.ptp(value_N) > 0:  # a density needs a spread
        parts = axes.violinplot([value_N], [at], widths=width, showextrema=False)
        for body in parts["bodies"]:  # type: ignore[attr-defined]
            body.set(facecolor=color, alpha=0.5, linewidth=0)
    axes.plot([at - width / 3, at + width / 3], [np.median(value_N)] * 2, color=color)
    axes.plot(at, value_N.mean(), "x", color=color, markersize=5)


def _overlay(axes: Axes, values: tuple[np.ndarray, np.ndarray], edges: list[float]) -> None:
    before_N, after_N = values
    axes.hist(before_N, edges, color=BEFORE, alpha=0.5, label="untrained")
    axes.hist(after_N, edges, color=AFTER, histtype="step", label="trained", linewidth=1.4)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))


def _edges(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[float]:
    """Edges of 24 bins over everything given, also where that is one value."""
    values = np.concatenate([value for pair in pairs for value in pair])
    return list(np.histogram_bin_edges(values, 24))
