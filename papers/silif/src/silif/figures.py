"""The paper's figures: eigenvalues of its networks, and accuracy beside synaptic operations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure

from core.data.fetch import is_present
from core.plots import figure
from core.records import load_records
from core.records.pictures import Drawn
from silif.config import PAPER
from silif.eigenvalues import (
    PUBLISHED,
    Eigenvalues,
    Which,
    eigenvalues,
    growing,
    oscillating,
    published_weights,
)
from silif.synops import figure3

FOLDER = PAPER / "results" / "figures"
LABELS = {"CadLIF": "cAdLIF", "CSiLIF": "C-SiLIF", "SiLIF": "SiLIF", "ResonateFire": "RF"}
COLORS = {"CadLIF": "#e9c46a", "CSiLIF": "#2a9d8f", "SiLIF": "#264653", "ResonateFire": "#e76f51"}
TITLES: dict[Which, str] = {
    "figure": "by the formula of the published figure",
    "step": "of the step that the networks run",
}
BINS = 30
REAL, IMAGINARY, COUNTS = (-0.2, 1.06), (-0.5, 0.5), (0.7, 2000.0)
"""Limits of the panels at the right; the published one ends at 1."""


def draw_all(tell: Callable[[str], None]) -> Iterator[Drawn]:
    """Draw what published weights, records and claims allow.

    Args:
        tell: Is told what could not be drawn, and why.

    Raises:
        UserError: Weights or records are damaged.
    """
    if is_present("silif_published"):
        yield figure2()
    else:
        tell("the published weights are not here (core fetch silif_published): no eigenvalues")
    yield figure3(load_records(PAPER), FOLDER / "figure3_synops.png")


def figure2() -> Drawn:
    """Eigenvalues of the first hidden layer of the four published networks, in two ways.

    Raises:
        UserError: The weights are not on this machine and cannot be downloaded.
    """
    weights = {model: published_weights(model) for model in PUBLISHED}
    path = FOLDER / "figure2_eigenvalues.png"
    with figure(path, width=9.0, height=7.6) as fig:
        parts: Any = fig.subfigures(2, 1)
        for part, which in zip(parts, TITLES, strict=True):
            values = {m: eigenvalues(m, weights[m], 0, which) for m in PUBLISHED}
            part.suptitle(f"Eigenvalues {TITLES[which]}", x=0.01, ha="left", fontsize=11)
            _row(part, values)
    return Drawn(
        path,
        "Eigenvalues of the 512 neurons of the first hidden layer of the four published networks: "
        "above by the formula of the published figure, which for SiLIF is another map than the one "
        "that runs, and for cAdLIF ignores the clamps; below of the linear part of the step that "
        "the networks run. Neurons outside of the unit circle grow by themselves; both eigenvalues "
        "of every neuron are drawn",
    )


def _row(part: SubFigure, values: Mapping[str, Eigenvalues]) -> None:
    """All eigenvalues at the left; at the right the crowded part, with histograms of all."""
    axes = part.subplot_mosaic(
        [["all", "top", "."], ["all", "part", "side"]],
        width_ratios=[3.5, 3.2, 1.0],
        height_ratios=[1.0, 2.6],
    )
    angle = np.linspace(0.0, 2.0 * np.pi, 200)
    for name in ("all", "part"):
        axes[name].plot(np.cos(angle), np.sin(angle), color="#999999", linewidth=0.8)
        _scatter(axes[name], values)
        axes[name].set_xlabel(r"Re $\bar\lambda$")
        axes[name].set_ylabel(r"Im $\bar\lambda$")
    square = {"xlim": (-1.08, 1.08), "ylim": (-1.08, 1.08), "aspect": "equal"}
    axes["all"].set(title="(a) Full Range", yticks=[-1.0, -0.5, 0.0, 0.5, 1.0], **square)
    axes["all"].legend(loc="lower left", bbox_to_anchor=(1.0, 0.0), markerscale=2.0, fontsize=8)
    axes["part"].set(xlim=REAL, ylim=IMAGINARY)
    axes["top"].set_title("(b) Partial Range with Histograms")
    _histogram(axes["top"], [v.real for v in values.values()], REAL, "vertical")
    _histogram(axes["side"], [v.imag for v in values.values()], IMAGINARY, "horizontal")
    axes["top"].tick_params(labelbottom=False)
    axes["side"].tick_params(labelleft=False)


def _scatter(axes: Axes, values: Mapping[str, Eigenvalues]) -> None:
    for model, pairs in values.items():
        label = f"{LABELS[model]}\n{oscillating(pairs)} oscillate, {growing(pairs)} grow"
        points = pairs.ravel()
        axes.scatter(
            points.real, points.imag, s=7, alpha=0.6, color=COLORS[model], linewidths=0, label=label
        )


def _histogram(
    axes: Axes, values: Sequence[Any], limits: tuple[float, float], orientation: Any
) -> None:
    inside = [v[(v >= limits[0]) & (v <= limits[1])].ravel() for v in values]
    axes.hist(
        inside,
        bins=BINS,
        range=limits,
        log=True,
        orientation=orientation,
        color=list(COLORS.values()),
    )
    if orientation == "vertical":
        axes.set(xlim=limits, ylim=COUNTS, ylabel="count")
    else:
        axes.set(ylim=limits, xlim=COUNTS, xlabel="count")
