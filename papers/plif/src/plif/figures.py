"""The paper's and the thesis's figures from their published logs, and those of kept networks."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from numpy.typing import NDArray

from core.data.fetch import data_root, is_present
from core.outside.shape import inside
from core.outside.text import read_text
from core.paper import read_own
from core.plots import before_and_after
from core.plots.style import figure
from core.records import load_manifest
from core.records.pictures import Drawn
from core.training.seeding import seed_everything
from plif.config import PAPER, Config
from plif.layers import neurons_of, spiking
from plif.models import StaticNet
from plif.paper import PLIF, network
from plif.sets import empty_task
from plif.task import load_task

FOLDER = PAPER / "results" / "figures"
_CSV_BYTES = 4 << 20
_PANELS = {
    "FashionMNIST": "Fashion-MNIST",
    "CIFAR10": "CIFAR-10",
    "CIFAR10DVS": "CIFAR10-DVS",
    "DVS128Gesture": "DVS128 Gesture",
}
_SUFFIX = {
    "CIFAR10DVS": "_max_T20_n4_number",
    "DVS128Gesture": "_max_T20_n5_number",
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
_LOGS = "Redrawn from the published logs, no runs of ours"

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


def draw_all(tell: Callable[[str], None]) -> Iterator[Drawn]:
    """Draw what the published logs and the kept weights at hand allow.

    Args:
        tell: Is told what could not be drawn, and why.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    if published_folder().is_dir():
        yield accuracies()
        yield time_constants()
        yield thesis_accuracies()
    else:
        tell(f"{published_folder()} is not here, so the published curves are not drawn again")
    kept = _kept()
    if not kept:
        tell(
            "no weights of a network with one time constant per neuron are kept yet (core record "
            "RUN --keep-weights), so there are no figures of its time constants and first spikes"
        )
    for stem, config, weights in kept:
        yield distributions(stem, config, weights)
        if isinstance(_trained(config, weights), StaticNet) and _at_hand(config):
            yield first_spikes(stem, config, weights)


# ---- published logs


def accuracies() -> Drawn:
    """Figure 6: test accuracy by epoch, its mean over 64 epochs and every eighth value."""
    table, path = read_table("test_accuracy_every8.csv"), FOLDER / "published_accuracy.png"
    with figure(path, width=9.0, height=6.6) as fig:
        for axes, (dataset, title) in zip(fig.subplots(2, 2).flat, _PANELS.items(), strict=True):
            lowest = 100.0
            for index, (label, neuron) in enumerate(_NEURONS.items()):
                run = table[f"A_{dataset}_{neuron}{_SUFFIX.get(dataset, '_max_T8')}"]
                raw = 100 * run["test_accuracy"]
                mean = 100 * run["test_accuracy_mean_prev64"]
                axes.plot(run["epoch"], raw, color=f"C{index}", alpha=0.25, linewidth=0.8)
                axes.plot(run["epoch"], mean, color=f"C{index}", label=label)
                lowest = min(lowest, float(mean[run["epoch"] >= _WINDOW].min()))
            axes.set(title=title, xlabel="epoch", ylim=(lowest - 1, None))
            axes.set_ylabel("test accuracy (%)")
        fig.get_axes()[0].legend(fontsize=8, loc="lower right")
    return Drawn(
        path,
        f"{_LOGS}: Figure 6 of the paper. Test accuracy of networks trained on everything, mean of "
        "64 epochs and, pale, every eighth value; one run each",
    )


def time_constants() -> Drawn:
    """Figure 7: the time constant of every layer by epoch."""
    table, path = read_table("w_every16.csv"), FOLDER / "published_tau.png"
    with figure(path, width=9.0, height=6.6) as fig:
        panels = fig.subplots(2, 2)
        for row, dataset in zip(panels, ("CIFAR10", "CIFAR10DVS"), strict=True):
            for axes, tau in zip(row, ("2.0", "16.0"), strict=True):
                run = table[f"A_{dataset}_plif_tau{tau}{_SUFFIX.get(dataset, '_max_T8')}"]
                for layer in range(8):
                    w = run.get(f"w{layer}")
                    if w is not None and not np.isnan(w).all():
                        axes.plot(run["epoch"], 1 + np.exp(-w), label=f"layer {layer + 1}")
                axes.set(title=f"{_PANELS[dataset]}, tau0 = {float(tau):g}", yscale="log")
                axes.set(xlabel="epoch", ylabel="tau (steps)")
                axes.legend(fontsize=7, ncols=2)
    return Drawn(
        path,
        f"{_LOGS}: Figure 7 of the paper. Time constants of PLIF layers, from the input on; the "
        "first fully connected layer becomes a nearly perfect integrator",
    )


def thesis_accuracies() -> Drawn:
    """The thesis's accuracies by epoch, as far as they are published."""
    table, path = read_table("tudelft_accuracy.csv"), FOLDER / "published_thesis.png"
    with figure(path, width=9.0, height=3.8) as fig:
        for axes, split in zip(fig.subplots(1, 2, sharey=True), ("test", "val"), strict=True):
            for index, (label, run_id) in enumerate(_THESIS.items()):
                run = table[run_id]
                _with_mean(axes, run["epoch"], 100 * run[f"{split}_accuracy"], label, f"C{index}")
            axes.set(title=f"{'test' if split == 'test' else 'validation'} accuracy (%)")
            axes.set(xlabel="epoch", ylim=(85, 101))
        fig.get_axes()[0].legend(fontsize=8, loc="lower right")
    return Drawn(
        path,
        f"{_LOGS}: accuracies of the thesis on DVS128 Gesture, mean of {_WINDOW} epochs over the "
        "raw values; of each run only a part was published, and each is one run",
    )


def _with_mean(
    axes: Axes, epoch: NDArray[np.float64], raw: NDArray[np.float64], label: str, color: str
) -> None:
    axes.plot(epoch, raw, color=color, alpha=0.2, linewidth=0.7)
    window = min(_WINDOW, len(raw))
    mean = np.convolve(raw, np.ones(window) / window, "valid")
    axes.plot(epoch[window - 1 :], mean, color=color, label=label)


# ---- kept networks


def distributions(stem: str, config: Config, weights: Mapping[str, Any]) -> Drawn:
    """Time constants of every layer before and after training."""
    seed_everything(config.seed)
    start = network(config, empty_task(config.dataset_name))
    pairs = zip(neurons_of(start), neurons_of(_trained(config, weights)), strict=True)
    layers = {
        f"layer {number}": {"tau (steps)": tuple(_tau(neurons) for neurons in pair)}
        for number, pair in enumerate(pairs, start=1)
    }
    path = FOLDER / f"tau_{stem}.png"
    before_and_after(layers, path, title=f"PLIF per neuron, {stem}")  # type: ignore[arg-type]
    return Drawn(path, f"Time constants of {stem} before and after training, layer by layer")


def first_spikes(stem: str, config: Config, weights: Mapping[str, Any]) -> Drawn:
    """What the first spiking layer makes of four test images: channels by mean rate."""
    model = _trained(config, weights)
    assert isinstance(model, StaticNet)
    task = load_task(config)
    images, _ = task.test.take(torch.arange(4), 0)
    with torch.no_grad():
        neurons = neurons_of(model)[0]
        spikes_TBCHW = spiking(neurons, model.current(images), config.backend)
    rate_BCHW = spikes_TBCHW.mean(0).numpy()
    shown = np.argsort(rate_BCHW.mean((0, 2, 3)))[::-1][:6]
    path = FOLDER / f"spikes_{stem}.png"
    with figure(path, width=9.0, height=5.4) as fig:
        panels = fig.subplots(len(rate_BCHW), 1 + len(shown), squeeze=False)
        for row, image, rates in zip(panels, images[0], rate_BCHW, strict=True):
            _picture(row[0], image[0].numpy())
            for axes, channel in zip(row[1:], shown, strict=True):
                _picture(axes, rates[channel])
        panels[0, 0].set_title("image", fontsize=8)
        for axes, channel in zip(panels[0, 1:], shown, strict=True):
            axes.set_title(f"channel {channel + 1}", fontsize=8)
    return Drawn(
        path,
        f"Firing rates of the first spiking layer of {stem} for four test images, its six most "
        "active channels: what Figures 9 to 12 of the paper show of its networks",
    )


def _picture(axes: Axes, values: NDArray[np.generic]) -> None:
    axes.imshow(values, cmap="gray_r", interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.grid(False)


def _tau(neurons: Any) -> NDArray[np.float32]:
    values: NDArray[np.float32] = neurons.tau.detach().flatten().numpy()
    return values


def _trained(config: Config, weights: Mapping[str, Any]) -> Any:
    model = network(config, empty_task(config.dataset_name))
    model.load_state_dict(dict(weights))
    return model.eval()


def _at_hand(config: Config) -> bool:
    name = {"MNIST": "mnist", "FashionMNIST": "fashion_mnist"}.get(config.dataset_name)
    return config.data == "embedded" or (name is not None and is_present(name))


def _kept() -> Sequence[tuple[str, Config, Mapping[str, Any]]]:
    """Name, settings and weights, one per configuration with time constants per neuron."""
    chosen: dict[str, tuple[str, Config, Mapping[str, Any]]] = {}
    for entry in sorted(load_manifest(PAPER), key=lambda entry: int(entry["seed"])):
        path = inside(PAPER / "checkpoints", entry["file"])
        loaded = read_own(PLIF, path)
        if loaded.config.tau_per_neuron:
            config = replace(loaded.config, threads=1)
            chosen.setdefault(str(entry["config"]), (path.stem, config, loaded.weights))
    return list(chosen.values())
