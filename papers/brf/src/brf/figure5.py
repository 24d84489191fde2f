"""Figure 5 of the paper: how the networks converge on its four tasks, ours and published.

The error is drawn by its logarithm, so that one point between two good networks shows, and the
epoch nearly so, because most of the way is gone in the first ten.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

from core.plots import figure
from core.plots.curves import by_epoch, draw_early, early
from core.records import Record
from core.records.changes import PROTOCOL
from core.records.claims import Claim
from core.records.pictures import Drawn

TASKS = {"smnist": "S-MNIST", "psmnist": "PS-MNIST", "ecg": "ECG (QTDB)", "shd": "SHD made again"}
NEURONS = {"rf": "RF", "brf": "BRF", "alif": "ALIF", "hrf": "BHRF"}
_LEAST = 0.1
"""Errors below it, in percent, are drawn there."""


def figure5(claims: Sequence[Claim], records: Sequence[Record], path: Path) -> Drawn:
    """A panel per task, a colour per neuron: ours as lines, published curves dashed.

    Where the authors published no curve of a network, that of the seed repository (one run, other
    epochs) is dotted, and the published final error is a diamond at the right edge.
    """
    published = {claim.config: claim.published_curve for claim in claims if claim.published_curve}
    goals = {
        claim.config: claim.value
        for claim in claims
        if claim.metric == "test_accuracy" and claim.source == "Table 1" and claim.config
    }
    with figure(path, width=9.0, height=7.4) as fig:
        panels = fig.subplots(2, 2).flat
        for axes, (task, title) in zip(panels, TASKS.items(), strict=True):
            counts = []
            for index, (neuron, label) in enumerate(NEURONS.items()):
                config, color = f"configs/{task}_{neuron}.yaml", f"C{index}"
                runs = _runs(records, config)
                if runs:
                    _ours(axes, [run.curve for run in runs], color)
                    counts.append(f"{label} {_told(runs)}")
                _published(axes, config, published, color)
                if config in goals and goals[config] < 100:
                    _goal(axes, goals[config], color)
            _dress(axes, title, counts)
        fig.legend(handles=_legend(), loc="outside lower center", ncols=4, fontsize=9)
    return Drawn(
        path,
        "Figure 5: test error over epochs on the four tasks of the paper, both axes by their "
        "logarithm (from epoch 1 on): lines and bands our runs, mean and standard deviation, with "
        "their number and epochs in the panel, runs that ended early thin with a cross; "
        "dashed the authors' logs, mean of 5 runs; dotted a "
        "run of the seed repository, where there is no log of the authors; diamonds the selected "
        "errors of Table 1. SHD is the set made again",
    )


def _runs(records: Sequence[Record], config: str) -> list[Record]:
    return [
        run
        for run in records
        if run.kind == "train"
        and run.curve
        and not set(run.changes) - PROTOCOL
        and run.fields.get("config_file") == config
    ]


def _told(runs: Sequence[Record]) -> str:
    epochs = max(int(run.fields["epochs_done"]) for run in runs)
    return f"{len(runs)} x {epochs}"


def _ours(axes: Axes, curves: Sequence[Sequence[Mapping[str, float | None]]], color: str) -> None:
    epochs, accuracy = by_epoch(curves, "test_accuracy")
    error = 100 - accuracy
    mean = error.mean(0)
    axes.plot(epochs, mean, color=color)
    for there, values in early(curves, "test_accuracy"):
        draw_early(axes, there, 100 - values, color)
    if len(error) > 1:
        std = error.std(0, ddof=1)
        low = np.maximum(mean - std, _LEAST)
        axes.fill_between(epochs, low, mean + std, color=color, alpha=0.18, linewidth=0)


def _published(
    axes: Axes, config: str, published: Mapping[str | None, Mapping[int, float]], color: str
) -> None:
    stroke = "--"
    curve = published.get(config)
    if curve is None:
        stroke, curve = ":", published.get(config.replace(".yaml", "_seed.yaml"))
    if curve:
        axes.plot(sorted(curve), [100 - curve[e] for e in sorted(curve)], stroke, color=color)


def _goal(axes: Axes, accuracy: float, color: str) -> None:
    axes.plot(
        *(1.0, 100 - accuracy),
        "D",
        color=color,
        markerfacecolor="white",
        markersize=6,
        transform=axes.get_yaxis_transform(),
        clip_on=False,
        zorder=6,
    )


def _dress(axes: Axes, title: str, counts: Sequence[str]) -> None:
    axes.set_title(title)
    axes.set_xscale("symlog", linthresh=1.0, base=10)
    axes.set_yscale("log")
    axes.set(xlabel="epoch", ylabel="test error (%)", ylim=(0.75 * _lowest(axes), 100))
    axes.set_xlim(left=0)
    right = axes.get_xlim()[1]
    axes.set_xticks([e for e in (0, 1, 3, 10, 20, 50, 100, 300) if e <= right])
    axes.set_yticks(
        [e for e in (0.5, 1, 2, 5, 8, 10, 15, 20, 30, 50, 100) if e >= axes.get_ylim()[0]]
    )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_locator(NullLocator())
        axis.set_minor_formatter(NullFormatter())
    told = "our runs x epochs: " + ", ".join(counts) if counts else "no run of ours"
    told = textwrap.fill(told, 48)
    axes.text(0.02, 0.02, told, transform=axes.transAxes, fontsize=8, color="#444444")


def _lowest(axes: Axes) -> float:
    """Least error that a line or diamond shows."""
    return min(float(np.min(np.asarray(line.get_ydata()))) for line in axes.lines)


def _legend() -> list[Line2D]:
    gray = "#444444"
    neurons = [
        Line2D([], [], color=f"C{index}", label=label)
        for index, label in enumerate(NEURONS.values())
    ]
    return [
        *neurons,
        Line2D([], [], color=gray, label="ours"),
        Line2D([], [], color=gray, linestyle="--", label="authors"),
        Line2D([], [], color=gray, linestyle=":", label="seed repository"),
        Line2D(
            *([], []),
            color=gray,
            linestyle="",
            marker="D",
            markerfacecolor="white",
            label="Table 1",
        ),
    ]
