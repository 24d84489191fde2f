"""Who fired when, layer by layer, and what the readout made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from core.plots.style import figure

_NAMED = 4  # classes that get a colour of their own


def raster(
    layers: Mapping[str, np.ndarray],
    path: Path,
    *,
    title: str = "",
    step_ms: float | None = None,
    posterior_TC: np.ndarray | None = None,
    classes: Sequence[str] = (),
) -> Path:
    """One sample on its way through a network.

    Args:
        layers: name -> spikes ``[T, N]``, the input first; a binned input has counts, and one
            with values between whole numbers is drawn as a line per neuron.
        path: PNG to write.
        title: Stands over the figure.
        step_ms: duration of a step; without it the time axis counts steps.
        posterior_TC: belief in every class by step, drawn below the layers; the classes that are
            the strongest at some time are named.
        classes: their names, needed with ``posterior_TC``.
    """
    scale = 1.0 if step_ms is None else step_ms
    rows = len(layers) + (posterior_TC is not None)
    with figure(path, width=7.5, height=0.6 + 1.75 * rows) as fig:
        panels = list(fig.subplots(rows, 1, sharex=True, squeeze=False).flat)
        for axes, (name, spikes_TN) in zip(panels, layers.items(), strict=False):
            _spikes(axes, np.asarray(spikes_TN), name, scale)
        if posterior_TC is not None:
            _posterior(panels[-1], posterior_TC, classes, scale)
        panels[-1].set_xlabel("time step" if step_ms is None else "time (ms)")
        steps = len(next(iter(layers.values())))
        panels[-1].set_xlim(0, steps * scale)
        fig.suptitle(title, x=0.01, horizontalalignment="left", fontsize=11)
    return path


def _spikes(axes: Axes, spikes_TN: np.ndarray, name: str, scale: float) -> None:
    steps, neurons = spikes_TN.shape
    if (spikes_TN != np.round(spikes_TN)).any():
        axes.plot(np.arange(steps) * scale, spikes_TN, color="black", linewidth=0.7)
        axes.set(ylabel=name)
    else:
        when, which = np.nonzero(spikes_TN)
        # A stroke per spike, as tall as its row and never too small to see.
        size = np.clip(75 / neurons, 1.3, 12.0) ** 2
        marker = "o" if neurons > 20 else "|"
        width = 0.0 if neurons > 20 else 0.6
        axes.scatter(when * scale, which, s=size, color="black", marker=marker, linewidths=width)
        axes.set(ylabel=name, ylim=(-1, neurons))
        axes.set_title(f"{int(spikes_TN.sum())} spikes", loc="right", fontsize=9)
    axes.grid(visible=False)


def _posterior(axes: Axes, posterior_TC: np.ndarray, classes: Sequence[str], scale: float) -> None:
    time = np.arange(len(posterior_TC)) * scale
    strongest = np.argsort(posterior_TC[len(posterior_TC) // 4 :].max(0))[::-1][:_NAMED]
    others = np.setdiff1d(np.arange(posterior_TC.shape[1]), strongest)
    axes.plot(time, posterior_TC[:, others], color="#bbbbbb", linewidth=0.7)
    for rank, index in enumerate(strongest):
        axes.plot(time, posterior_TC[:, index], color=f"C{rank}", label=classes[index])
    axes.set(ylabel="class posterior", ylim=(0, 1.02))
    axes.legend(loc="upper left", ncols=2, fontsize=9)
