"""Figures of the paper and the thesis from their published logs, with our runs over them."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator
from numpy.typing import NDArray

from core.data.fetch import data_root
from core.outside.text import read_text
from core.plots.style import figure
from core.records.pictures import Drawn
from plif.config import PAPER, Config
from plif.layers import neurons_of
from plif.ours import Group, Kept, is_small, trained

FOLDER = PAPER / "results" / "figures"
_CSV_BYTES = 4 << 20
_PANELS = {
    "FashionMNIST": "Fashion-MNIST",
    "CIFAR10": "CIFAR-10",
    "CIFAR10DVS": "CIFAR10-DVS",
    "DVS128Gesture": "DVS128 Gesture",
    "MNIST": "MNIST (not in Figure 6)",
    "NMNIST": "N-MNIST (not in Figure 6)",
}
_SUFFIX = {
    "CIFAR10DVS": "_max_T20_n4_number",
    "DVS128Gesture": "_max_T20_n5_number",
    "NMNIST": "_max_T10_n2_number",
}
_NEURONS = {"PLIF, tau0 2": "plif_tau2.0", "PLIF, tau0 16": "plif_tau16.0"}
_NEURONS |= {"LIF, tau 2": "lif_tau2.0", "LIF, tau 16": "lif_tau16.0"}
_THESIS = {
    "per layer": "TUD_baseline",
    "per neuron": "TUD_no_reg",
    "per neuron, lambda 0.01": "TUD_lambda0.01",
    "per neuron, lambda 0.1": "TUD_lambda0.1",
}
_WINDOW = 64
_TICKS = (1, 1.5, 2, 3, 5, 7, 10, 15, 20, 30, 50)
_LOGS = "Redrawn from the published logs"
_SMALL = (
    "these networks are much smaller and train for fewer epochs (configs/small_*.yaml): they "
    "compare with each other, not with the published ones"
)

Table = Mapping[str, Mapping[str, NDArray[np.float64]]]
"""Run -> column -> values."""


def published_folder() -> Path:
    """Where the numbers of the published logs lie, if they are there."""
    return data_root() / "published" / "plif"


def read_table(name: str) -> Table:
    """The columns of a table of published numbers, by run; an empty field is NaN."""
    text = read_text(published_folder() / name, limit=_CSV_BYTES)
    runs: dict[str, dict[str, list[float]]] = {}
    for row in csv.DictReader(io.StringIO(text)):
        columns = runs.setdefault(row.pop("run_id"), {key: [] for key in row})
        for key, value in row.items():
            columns[key].append(float(value) if value else np.nan)
    return {run: {k: np.array(v) for k, v in columns.items()} for run, columns in runs.items()}


def accuracies(groups: Sequence[Group]) -> Drawn:
    """Figure 6: test accuracy by epoch, its mean over 64 epochs and every eighth value."""
    table, path = read_table("test_accuracy_every8.csv"), FOLDER / "published_accuracy.png"
    ours = [group for group in groups if group.config.use_max_pool and _of_layers(group.config)]
    with figure(path, width=11.0, height=6.6) as fig:
        for axes, (dataset, title) in zip(fig.subplots(2, 3).flat, _PANELS.items(), strict=True):
            lowest = 100.0
            for index, neuron in enumerate(_NEURONS.values()):
                run = table[f"A_{dataset}_{neuron}{_SUFFIX.get(dataset, '_max_T8')}"]
                raw, epoch = 100 * run["test_accuracy"], 1 + run["epoch"]
                mean = 100 * run["test_accuracy_mean_prev64"]
                axes.plot(epoch, raw, color=f"C{index}", alpha=0.25, linewidth=0.8)
                axes.plot(epoch, mean, color=f"C{index}")
                lowest = min(lowest, float(mean[run["epoch"] >= _WINDOW].min()))
            for group in ours:
                if group.config.dataset_name == dataset:
                    lowest = min(lowest, _over(axes, group, _colour_of_neuron(group.config)))
                    _logarithmic(axes)
            axes.set(title=title, xlabel="epoch", ylim=(lowest - 1, None))
            axes.set_ylabel("test accuracy (%)")
        _legend(fig, list(_NEURONS), ours)
    caption = (
        f"{_LOGS}: Figure 6 of the paper, and two data sets more. Test accuracy of networks "
        "trained on everything, mean of 64 epochs and, pale, every eighth value; one run each"
    )
    return Drawn(path, caption + _about(ours))


def time_constants(weights: Sequence[Kept]) -> Drawn:
    """Figure 7: the time constant of every layer by epoch, and those of our selected epochs."""
    table, path = read_table("w_every16.csv"), FOLDER / "published_tau.png"
    ours = [one for one in weights if one.config.use_plif and _of_layers(one.config)]
    theirs = ["CIFAR10", "CIFAR10DVS"]
    more = {one.config.dataset_name for one in ours} - {*theirs}
    rows = [*theirs, *[name for name in _PANELS if name in more]]
    with figure(path, width=9.0, height=3.3 * len(rows)) as fig:
        panels = fig.subplots(len(rows), 2)
        for row, dataset in zip(panels, rows, strict=True):
            for axes, tau in zip(row, (2.0, 16.0), strict=True):
                run = table[f"A_{dataset}_plif_tau{tau}{_SUFFIX.get(dataset, '_max_T8')}"]
                for layer in range(8):
                    w = run.get(f"w{layer}")
                    if w is not None and not np.isnan(w).all():
                        epoch = 1 + run["epoch"]
                        line = f"C{layer}" + ("--" if layer == 7 else "")  # there are 7 colours
                        axes.plot(epoch, 1 + np.exp(-w), line, label=f"layer {layer + 1}")
                title = _PANELS[dataset].partition(" (")[0]
                axes.set(title=f"{title}, tau0 = {tau:g}", yscale="log")
                axes.set(xlabel="epoch", ylabel="tau (steps)")
                axes.yaxis.set_major_locator(FixedLocator(_TICKS))
                axes.yaxis.set_major_formatter("{x:g}")
                axes.yaxis.set_minor_locator(NullLocator())
                alike = [one.config for one in ours]
                alike = [c for c in alike if (c.dataset_name, c.init_tau) == (dataset, tau)]
                _selected(axes, [one for one in ours if one.config in alike])
                axes.legend(fontsize=7, ncols=2)
    caption = f"{_LOGS}: Figure 7 of the paper. Time constants of PLIF layers, from the input on; "
    caption += "the first fully connected layer becomes a nearly perfect integrator"
    if ours:
        caption += f". Circles: ours, every kept run at its selected epoch; {_SMALL}"
    return Drawn(path, caption)


def _selected(axes: Axes, weights: Sequence[Kept]) -> None:
    """The time constants of every layer at the epoch whose weights are kept."""
    for one in weights:
        for layer, neurons in enumerate(neurons_of(trained(one))):
            tau = float(neurons.tau.detach())
            axes.plot(one.epoch, tau, "o", color=f"C{layer}", mec="black", mew=0.6, ms=5)
    if weights:
        _logarithmic(axes)


def thesis_accuracies(groups: Sequence[Group]) -> Drawn:
    """The thesis's accuracies by epoch, as far as they are published, and its models in ours."""
    table, path = read_table("tudelft_accuracy.csv"), FOLDER / "published_thesis.png"
    ours = [group for group in groups if group.config.use_plif and group.config.init_tau == 2.0]
    sets = [name for name in _PANELS if name in {group.config.dataset_name for group in ours}]
    with figure(path, width=9.0, height=3.8 * (2 if sets else 1)) as fig:
        grid = fig.add_gridspec(2 if sets else 1, 1)
        top = grid[0].subgridspec(1, 2).subplots(sharey=True, squeeze=False)[0]
        for axes, split in zip(top, ("test", "val"), strict=True):
            for index, run_id in enumerate(_THESIS.values()):
                run = table[run_id]
                _with_mean(axes, run["epoch"], 100 * run[f"{split}_accuracy"], f"C{index}")
            axes.set(title=f"thesis: {'test' if split == 'test' else 'validation'} accuracy (%)")
            axes.set(xlabel="epoch", ylim=(85, 101))
        if sets:
            below = grid[1].subgridspec(1, len(sets)).subplots(squeeze=False)[0]
            for axes, dataset in zip(below, sets, strict=True):
                for group in ours:
                    if group.config.dataset_name == dataset:
                        _over(axes, group, _colour_of_thesis(group.config))
                title = _PANELS[dataset].partition(" (")[0]
                axes.set(title=f"ours, {title}: test accuracy (%)", xlabel="epoch")
        _legend(fig, list(_THESIS), ours)
    caption = (
        f"{_LOGS}: accuracies of the thesis on DVS128 Gesture, mean of {_WINDOW} epochs over the "
        "raw values; of each run only a part was published, and each is one run"
    )
    return Drawn(path, caption + _about(ours, where="Below"))


# ---- curves and legends


def _logarithmic(axes: Axes) -> None:
    """Epochs of a short run beside a thousand others."""
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")


def _of_layers(config: Config) -> bool:
    """A model of the paper: one time constant per layer, 2 or 16 at the start."""
    return not config.tau_per_neuron and config.init_tau in (2.0, 16.0)


def _colour_of_neuron(config: Config) -> str:
    name = f"{'plif' if config.use_plif else 'lif'}_tau{config.init_tau:.1f}"
    return f"C{list(_NEURONS.values()).index(name)}"


def _colour_of_thesis(config: Config) -> str:
    label = "per layer"
    if config.tau_per_neuron:
        label = f"per neuron, lambda {config.reg_lambda:g}" if config.reg_lambda else "per neuron"
    return f"C{list(_THESIS).index(label)}"


def _over(axes: Axes, group: Group, colour: str) -> float:
    """Mean and range of our runs by epoch; returns the least mean from the second half on."""
    mean = group.accuracy.mean(0)
    style = "--" if is_small(group.stem) else "-."
    axes.plot(group.epochs, mean, color=colour, linestyle=style)
    low, high = group.accuracy.min(0), group.accuracy.max(0)
    axes.fill_between(group.epochs, low, high, color=colour, alpha=0.2, linewidth=0)
    return float(low[len(low) // 2 :].min())


def _legend(fig: object, labels: Sequence[str], ours: Sequence[Group]) -> None:
    lines = [Line2D([], [], color=f"C{index}") for index in range(len(labels))]
    names = list(labels)
    kinds: Sequence[tuple[bool, Literal["--", "-."], str]] = (
        (True, "--", "ours, small"),
        (False, "-.", "ours, full width"),
    )
    for small, style, name in kinds:
        if any(is_small(group.stem) == small for group in ours):
            lines.append(Line2D([], [], color="black", linestyle=style))
            names.append(f"{name}, mean and range of the runs")
    fig.legend(lines, names, loc="outside lower center", ncols=3, fontsize=8)  # type: ignore[attr-defined]


def _about(ours: Sequence[Group], where: str = "Dashed") -> str:
    """What the caption says of our runs."""
    if not ours:
        return "; no runs of ours yet"
    small = [group for group in ours if is_small(group.stem)]
    counts = sorted({len(group.accuracy) for group in small})
    said = f". {where}: ours, {' or '.join(map(str, counts))} runs each; {_SMALL}" if small else ""
    if len(small) < len(ours):
        said += ". Dotted and dashed: ours of full width, as far as they were trained"
    return said


def _with_mean(
    axes: Axes, epoch: NDArray[np.float64], raw: NDArray[np.float64], colour: str
) -> None:
    axes.plot(epoch, raw, color=colour, alpha=0.2, linewidth=0.7)
    window = min(_WINDOW, len(raw))
    mean = np.convolve(raw, np.ones(window) / window, "valid")
    axes.plot(epoch[window - 1 :], mean, color=colour)
