"""The paper's and the thesis's figures from their published logs, and those of kept networks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from numpy.typing import NDArray

from core.data.fetch import is_present
from core.plots import before_and_after
from core.plots.style import figure
from core.records.pictures import Drawn
from core.records.readme import update_between_markers
from core.training.seeding import seed_everything
from plif.config import PAPER, Config
from plif.layers import neurons_of, spiking
from plif.models import StaticNet
from plif.ours import BLOCK, Kept, accuracy_table, kept, recorded, trained
from plif.paper import network
from plif.redrawn import (
    FOLDER,
    accuracies,
    published_folder,
    thesis_accuracies,
    time_constants,
)
from plif.sets import empty_task
from plif.task import load_task


def draw_all(tell: Callable[[str], None]) -> Iterator[Drawn]:
    """Draw what logs, records and kept weights allow, and write the README's table of runs.

    Args:
        tell: Is told what could not be drawn, and why.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    groups, weights = recorded(), kept()
    update_between_markers(PAPER / "README.md", BLOCK, accuracy_table(groups))
    if published_folder().is_dir():
        yield accuracies(groups)
        yield time_constants(weights)
        yield thesis_accuracies(groups)
    else:
        tell(f"{published_folder()} is not here, so the published curves are not drawn again")
    of_neurons = _first_of_each(one for one in weights if one.config.tau_per_neuron)
    if not of_neurons:
        tell(
            "no weights of a network with one time constant per neuron are kept yet (core record "
            "RUN --keep-weights), so there are no figures of its time constants and first spikes"
        )
    for one in of_neurons:
        yield distributions(one)
        if isinstance(trained(one), StaticNet) and _at_hand(one.config):
            yield first_spikes(one)


def _first_of_each(weights: Iterable[Kept]) -> Sequence[Kept]:
    """Those of the lowest seed of every configuration."""
    chosen: dict[str, Kept] = {}
    for one in weights:
        chosen.setdefault(one.stem, one)
    return list(chosen.values())


def distributions(one: Kept) -> Drawn:
    """Time constants of every layer before and after training."""
    seed_everything(one.config.seed)
    start = network(one.config, empty_task(one.config.dataset_name))
    pairs = zip(neurons_of(start), neurons_of(trained(one)), strict=True)
    layers = {
        f"layer {number}": {"tau (steps)": tuple(_tau(neurons) for neurons in pair)}
        for number, pair in enumerate(pairs, start=1)
    }
    path = FOLDER / f"tau_{one.name}.png"
    before_and_after(layers, path, title=f"{one.stem}\nseed {one.config.seed}")  # type: ignore[arg-type]
    return Drawn(path, f"Time constants of {one.name} before and after training, layer by layer")


def first_spikes(one: Kept) -> Drawn:
    """What the first spiking layer makes of four test images: channels by mean rate."""
    model = trained(one)
    assert isinstance(model, StaticNet)
    task = load_task(one.config)
    images, _ = task.test.take(torch.arange(4), 0)
    with torch.no_grad():
        neurons = neurons_of(model)[0]
        spikes_TBCHW = spiking(neurons, model.current(images), one.config.backend)
    rate_BCHW = spikes_TBCHW.mean(0).numpy()
    shown = np.argsort(rate_BCHW.mean((0, 2, 3)))[::-1][:6]
    path = FOLDER / f"spikes_{one.name}.png"
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
        f"Firing rates of the first spiking layer of {one.name} for four test images, its six most "
        "active channels: what Figures 9 to 12 of the paper show of its networks",
    )


def _picture(axes: Axes, values: NDArray[np.generic]) -> None:
    axes.imshow(values, cmap="gray_r", interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.grid(False)


def _tau(neurons: Any) -> NDArray[np.float32]:
    values: NDArray[np.float32] = neurons.tau.detach().flatten().numpy()
    return values


def _at_hand(config: Config) -> bool:
    name = {"MNIST": "mnist", "FashionMNIST": "fashion_mnist"}.get(config.dataset_name)
    return config.data == "embedded" or (name is not None and is_present(name))
