"""Pictures of a run: one sample in a layer, balance and rate of an epoch, signal and estimate.

Pure functions of arrays, each writes one PNG and returns its path. ``T`` steps, ``I`` inputs,
``N`` neurons.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bsnn.balance import low_passed
from bsnn.colours import BLUE, DARK_BLUE, GREEN, GREY, RED, YELLOW, cycle
from core.plots import figure

Array: TypeAlias = NDArray[np.floating]

WIDTH = 12.0
"""Inches."""
_LEGEND: dict[str, Any] = {
    "frameon": True,
    "facecolor": "white",
    "edgecolor": "none",
    "framealpha": 0.8,
}


def looked_at(neurons: int) -> int:
    """The neuron that is looked at: 50, as the authors have it, or the middle one of fewer."""
    return 50 if neurons > 50 else neurons // 2


def sample(
    path: Path,
    *,
    inputs_TI: Array,
    spikes_TN: Array,
    neuron: int,
    voltage_T: Array | None = None,
    threshold: float | None = None,
    currents: tuple[Array, Array] | None = None,
    title: str = "",
) -> Path:
    """One sample on its way through a layer, with a closer look at one neuron.

    From the top: inputs; low-passed excitatory current and the negative of the inhibitory one; the
    neuron's voltage; spikes of the layer. What is not given is left out.

    Args:
        path: PNG to write.
        inputs_TI: Input; every value other than zero is a dot.
        spikes_TN: Of all neurons of the layer.
        neuron: The one that is looked at.
        voltage_T: Its potential.
        threshold: Its threshold.
        currents: Excitatory and inhibitory current of the neuron, ``[T]`` each.
        title: Stands over the figure.
    """
    wanted = {"inputs": 3, "currents": 5, "voltage": 5, "spikes": 5}
    if currents is None:
        del wanted["currents"]
    if voltage_T is None:
        del wanted["voltage"]
    with figure(path, width=WIDTH, height=0.5 * sum(wanted.values())) as fig:
        panels = _stacked(fig, list(wanted.values()))
        axes = dict(zip(wanted, panels, strict=True))
        _raster(axes["inputs"], inputs_TI, "input")
        if currents is not None:
            _currents(axes["currents"], *currents)
        if voltage_T is not None:
            _voltage(axes["voltage"], voltage_T, threshold, neuron)
        _raster(axes["spikes"], spikes_TN, "neuron", neuron)
        panels[-1].set(xlabel="step", xlim=(0, len(spikes_TN)))
        panels[0].set_title(title)
    return path


def balance_and_rate(
    path: Path, *, balance: Sequence[float], rate: Sequence[float], metric: str = "lowpass"
) -> Path:
    """Balance and firing rate of the batches of an epoch.

    Args:
        path: PNG to write.
        balance: Of every batch.
        rate: Spikes per neuron and step of every batch.
        metric: Which balance it is.
    """
    with figure(path, width=7, height=3.5) as fig:
        left = fig.subplots()
        right = left.twinx()
        batches = np.arange(1, len(balance) + 1)
        lines = left.plot(batches, balance, color=BLUE, marker="o", markersize=3, label="balance")
        lines += right.plot(batches, rate, color=YELLOW, marker="o", markersize=3, label="rate")
        left.set(xlabel="batch", ylabel=f"balance ({metric})")
        right.set(ylabel="spikes per neuron and step", ylim=(0, None))
        right.grid(visible=False)
        right.spines.right.set_visible(True)
        left.legend(handles=lines, loc="best")
    return path


def estimate(
    path: Path, *, signal_TI: Array, estimate_TI: Array, lines: int = 4, title: str = ""
) -> Path:
    """The integrated signal of an auto-encoder and what its spikes say of it.

    Args:
        path: PNG to write.
        signal_TI: See :func:`bsnn.reconstruction.integrated`.
        estimate_TI: See :func:`bsnn.reconstruction.decoded`.
        lines: So many inputs are drawn as lines, those that vary most.
        title: Stands over the figure.
    """
    error = float(np.mean((signal_TI - estimate_TI) ** 2))
    largest = max(float(np.abs(signal_TI).max()), float(np.abs(estimate_TI).max()), 1e-12)
    with figure(path, width=WIDTH, height=7) as fig:
        panels = _stacked(fig, [3, 3, 4])
        for axes, image, name in zip(panels, (signal_TI, estimate_TI), _IMAGES, strict=False):
            axes.imshow(
                _thinned(image).T,
                aspect="auto",
                origin="lower",
                interpolation="nearest",
                extent=(0, len(image), -0.5, image.shape[1] - 0.5),
                vmin=-largest,
                vmax=largest,
                cmap="RdBu_r",
            )
            axes.set(ylabel=name)
            axes.grid(visible=False)
        chosen = np.argsort(signal_TI.var(0))[::-1][:lines]
        for i, colour in zip(chosen, cycle(), strict=False):
            label = f"input {i}"
            panels[2].plot(signal_TI[:, i], color=colour, linewidth=2.5, alpha=0.4, label=label)
            panels[2].plot(estimate_TI[:, i], color=colour, linewidth=0.9)
        panels[2].legend(
            loc="upper right", ncols=len(chosen), title="signal wide, estimate thin", **_LEGEND
        )
        panels[2].set(xlabel="step", ylabel="both", xlim=(0, len(signal_TI)))
        panels[0].set_title(f"{title} mean squared error {error:.4g}".strip())
    return path


_IMAGES = ("signal, input", "estimate, input")
_COLUMNS = 1500  # of an image: more than pixels that it is drawn on


def _thinned(image_TI: Array) -> Array:
    return image_TI[:: max(1, len(image_TI) // _COLUMNS)]


def _stacked(fig: Figure, heights: list[int]) -> list[Axes]:
    """Panels without gaps that share time. Placed by hand: constrained layout takes longer."""
    fig.set_layout_engine(None)
    fig.subplots_adjust(left=0.08, right=0.98, top=0.95, bottom=0.06, hspace=0.0)
    panels = list(fig.subplots(len(heights), sharex=True, height_ratios=heights).flat)
    fig.align_ylabels(panels)
    return panels


def _raster(axes: Axes, spikes_TN: Array, name: str, marked: int | None = None) -> None:
    when, which = np.nonzero(spikes_TN)
    neurons = spikes_TN.shape[1]
    # Lines of markers are drawn much faster than scattered points.
    dots: dict[str, Any] = {
        "linestyle": "none",
        "marker": "|",
        "markersize": 3,
        "markeredgewidth": 0.7,
    }
    axes.plot(when, which, color=GREY, **dots)
    if marked is not None:
        own = when[which == marked]
        axes.plot(
            own, np.full(len(own), marked), color=RED, **dots, label=f"neuron {marked}: {len(own)}"
        )
        axes.legend(loc="upper right", title=f"{len(when)} spikes", **_LEGEND)
    every = 100 if neurons > 150 else 10 if neurons > 20 else 1
    axes.set(ylabel=name, ylim=(-1, neurons), yticks=range(0, neurons, every))
    axes.grid(visible=False)


def _currents(axes: Axes, excitatory_T: Array, inhibitory_T: Array) -> None:
    pair = np.stack([excitatory_T, -inhibitory_T], 1).astype(np.float64)
    excitatory, inhibitory = low_passed(pair).T
    axes.plot(excitatory, color=BLUE, linewidth=1.8, alpha=0.7, label="excitatory")
    axes.plot(inhibitory, color=RED, linewidth=0.9, label="- inhibitory")
    axes.set(ylabel="current, low-passed")
    axes.legend(loc="upper right", ncols=2, **_LEGEND)


def _voltage(axes: Axes, voltage_T: Array, threshold: float | None, neuron: int) -> None:
    axes.plot(voltage_T, color=DARK_BLUE, linewidth=0.9, label=f"of neuron {neuron}")
    if threshold is not None:
        axes.axhline(threshold, color=GREEN, linewidth=0.9, linestyle="--", label="threshold")
    axes.set(ylabel="voltage")
    axes.legend(loc="upper right", ncols=2, **_LEGEND)
