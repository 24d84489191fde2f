"""The figure of a simulation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from bsnn.boerlin.config import Sandbox
from bsnn.boerlin.currents import NeuronCurrents
from bsnn.boerlin.network import Simulation
from bsnn.colours import BLUE, DARK_RED, GREY, RED, cycle
from core.plots import figure


def draw(
    path: Path, simulation: Simulation, currents: NeuronCurrents | None, config: Sandbox
) -> Path:
    """Signal, its integral and the estimate, raster and, where given, currents of one neuron.

    Args:
        path: PNG to write.
        simulation: What to draw.
        currents: Of ``config.plot_neuron``.
        config: Settings.
    """
    heights = [1, 2, 3] if currents is None else [1, 2, 3, 2]
    with figure(path, width=10, height=1.2 * sum(heights)) as fig:
        panels = list(fig.subplots(len(heights), sharex=True, height_ratios=heights).flat)
        shown = min(config.plot_dim, simulation.clean.shape[1])
        _signal(panels[0], simulation, shown, as_raster=config.plot_input_raster)
        _estimate(panels[1], simulation, shown)
        steps, neurons = simulation.spikes.T
        panels[2].scatter(steps, neurons, s=1.5, color=GREY, linewidths=0)
        panels[2].set(ylabel="neuron", ylim=(-1, len(simulation.rates)))
        if currents is not None:
            _currents(panels[3], currents, config.plot_neuron)
        panels[-1].set(xlabel="step", xlim=(0, len(simulation.target)))
    return path


def _signal(axes: Axes, simulation: Simulation, shown: int, *, as_raster: bool) -> None:
    if as_raster:
        steps, inputs = np.nonzero(simulation.clean)
        axes.scatter(steps, inputs, s=1.5, color=GREY, linewidths=0)
        axes.set(ylabel="input")
        return
    for j, colour in zip(range(shown), cycle(), strict=False):
        axes.plot(simulation.clean[:, j], color=colour, linewidth=1)
    axes.set(ylabel="signal c")


def _estimate(axes: Axes, simulation: Simulation, shown: int) -> None:
    for j, colour in zip(range(shown), cycle(), strict=False):
        axes.plot(simulation.target[:, j], color=colour, linewidth=2.5, alpha=0.45)
        axes.plot(simulation.estimate[:, j], color=colour, linewidth=0.9)
    axes.plot([], color=GREY, linewidth=2.5, alpha=0.45, label="x, the integral")
    axes.plot([], color=GREY, linewidth=0.9, label="its estimate")
    axes.legend(loc="upper right", ncols=2)
    axes.set(ylabel="x")
    axes.set_title(f"mean squared error {simulation.error:.4g}", loc="right", fontsize=9)


def _currents(axes: Axes, currents: NeuronCurrents, neuron: int) -> None:
    exc, inh = currents.smooth()
    axes.plot(exc, color=BLUE, linewidth=2, alpha=0.6, label="excitatory")
    axes.plot(-inh, color=RED, linewidth=0.7, label="- inhibitory")
    axes.plot(exc + inh, color=DARK_RED, linewidth=0.8, label="sum")
    axes.legend(loc="upper right", ncols=3)
    axes.set(ylabel=f"currents of {neuron}")
