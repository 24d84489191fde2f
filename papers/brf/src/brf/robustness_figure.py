"""Accuracy and spikes against the strength of a perturbation, beside the published means."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from brf.config import PAPER
from brf.perturbations import LEVELS
from brf.scoring import Row
from core.outside.shape import check
from core.outside.text import read_yaml
from core.plots import figure

TITLES = {
    "input_noise": ("Noisy input", "standard deviation"),
    "spike_deletion": ("Deleted spikes", "probability"),
    "synaptic_noise": ("Noisy weights", "relative standard deviation"),
    "bit_precision": ("Rounded parameters", "binary places"),
}
PUBLISHED = PAPER / "robustness.yaml"
COLORS = {"brf": "C0", "rf": "C1"}


def published() -> dict[str, dict[str, dict[str, list[float]]]]:
    """Means of Figure 12 by study, neuron and quantity, one per level."""
    shape = {str: {str: {"accuracy": [float], "sop": [float]}}}
    found: dict[str, Any] = check(read_yaml(PUBLISHED), shape, str(PUBLISHED))
    return found


def draw(measured: Mapping[str, Sequence[Row]], path: Path) -> Path:
    """A column per study: accuracy above, spikes per sample below; published ones on S-MNIST.

    Args:
        measured: By label; a label that starts with the name of a neuron has its colour, one
            without "ours" is dotted.
        path: PNG to write.
    """
    with figure(path, width=13.0, height=6.0) as fig:
        panels = fig.subplots(2, len(LEVELS), squeeze=False)
        for column, study in enumerate(LEVELS):
            for row, (key, unit) in enumerate(
                (("accuracy", "test accuracy (%)"), ("sop", "spikes per sample"))
            ):
                axes = panels[row][column]
                _panel(axes, study, key, measured)
                axes.set_ylabel(unit if column == 0 else "")
                axes.set_ylim(bottom=0)
            panels[0][column].set_title(TITLES[study][0])
            panels[1][column].set_xlabel(TITLES[study][1])
        panels[0][0].legend(loc="lower left", fontsize=8)
    return path


def _panel(axes: Axes, study: str, key: str, measured: Mapping[str, Sequence[Row]]) -> None:
    if study == "bit_precision":
        axes.set_xscale("log", base=2)
    of_task = {row["task"] for rows in measured.values() for row in rows} == {"smnist"}
    for neuron, values in published()[study].items() if of_task else ():
        label = f"{neuron.upper()}, published (5 networks)"
        axes.plot(LEVELS[study], values[key], "--", color=COLORS[neuron], label=label)
    for index, (label, rows) in enumerate(measured.items()):
        levels = sorted({row["level"] for row in rows if row["study"] == study})
        draws = [[r[key] for r in rows if (r["study"], r["level"]) == (study, s)] for s in levels]
        color = COLORS.get(label.partition(" ")[0], f"C{index + 2}")
        means = [statistics.fmean(values) for values in draws]
        spread = [statistics.stdev(values) if len(values) > 1 else 0.0 for values in draws]
        style = "o-" if "ours" in label else "s:"
        axes.errorbar(
            levels, means, spread, fmt=style, color=color, markersize=3, capsize=2, label=label
        )
