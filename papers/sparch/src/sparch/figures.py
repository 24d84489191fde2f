"""Figures of the kept networks: how neurons fire, and what training does to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from core import checkpoints
from core.data.binning import BinnedEvents
from core.data.events import EventData
from core.data.fetch import is_present
from core.data.speech import find_speech, load_event_split
from core.layers import SoftmaxSumReadout, SpikingLayer
from core.layers.normalization import normalize
from core.neurons.adaptive import Bounded
from core.outside.shape import inside
from core.paper import read_own
from core.plots import before_and_after, cumulative, raster
from core.projection import project
from core.records import load_manifest
from core.records.pictures import Drawn
from core.scan import scan
from core.spoken.names import outer_shapes
from core.spoken.networks import NON_SPIKING
from core.training.seeding import seed_everything
from sparch.config import PAPER, Config
from sparch.models import SNN, SPIKING, build
from sparch.paper import SPARCH
from sparch.task import BINNING

FOLDER = PAPER / "results" / "figures"
_BATCH = 128


@dataclass(frozen=True)
class Kept:
    """A spiking network of ``checkpoints/`` that was trained on events."""

    stem: str
    entry: Mapping[str, Any]
    """Its line in the manifest."""
    config: Config
    weights: Mapping[str, Tensor]

    @property
    def label(self) -> str:
        """Such as ``RadLIF 128``."""
        return _label(self.config.model_type, self.config.nb_hiddens)

    def network(self, *, trained: bool = True) -> SNN:
        """The network, as it was kept or as its seed made it."""
        seed_everything(self.config.seed)
        (_, inputs), (classes, _), _ = outer_shapes(self.weights, self.stem)
        model = build(self.config, inputs, classes)
        assert isinstance(model, SNN)
        if trained:
            checkpoints.load_into(model, self.weights, self.stem)
        return model.eval()


def draw_all(tell: Callable[[str], None]) -> Iterator[Drawn]:
    """Draw what the records, the kept weights and the data at hand allow.

    Args:
        tell: Is told what could not be drawn, and why.

    Raises:
        UserError: Records, weights or data are damaged.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    kept = _kept_networks()
    if not kept:
        tell(
            "no weights of a spiking network on shd or ssc are kept yet (core record RUN "
            "--keep-weights), so there are no figures of firing rates, spikes and parameters"
        )
    for (data, protocol), networks in _grouped(kept).items():
        test = _test_set(networks[0].config.dataset_name, data)
        if test is None:
            tell(f"{data} is not here, so there are no figures of rates and spikes on it")
        else:
            yield firing_rates(networks, test, data, protocol)
            yield one_utterance(_best(networks), test, data)
    if adaptive := [network for network in kept if "ad" in network.config.model_type]:
        yield parameters(_best(adaptive))


# ---- networks


def firing_rates(networks: Sequence[Kept], test: EventData, data: str, protocol: str) -> Drawn:
    """How often the neurons of each layer fire, over the whole test set."""
    binned = _binned(test)
    rates = {network.label: _rates(network.network(), binned) for network in networks}
    layers = max(len(by_layer) for by_layer in rates.values())
    path = cumulative(
        rates,
        FOLDER / f"rates_{data}_{protocol}.png",
        title=f"{data}, protocol {protocol}",
        xlabel="spikes per neuron and step",
        names=[f"layer {layer + 1}" for layer in range(layers)],
    )
    return Drawn(
        path,
        f"Firing rates: share of neurons up to each rate, over the {binned.samples} test "
        f"recordings of {data}. The legends count neurons that never fire and those that fire in "
        "more than every second step",
    )


@torch.no_grad()
def _rates(model: SNN, binned: BinnedEvents) -> list[np.ndarray]:
    """Spikes per step of every neuron, by layer."""
    sums: list[Tensor] = []
    for rows in torch.arange(binned.samples).split(_BATCH):
        fired = model.run(binned.take(rows)).spikes_TBN
        spikes = [spikes_TBN.sum((0, 1), dtype=torch.float64) for spikes_TBN in fired]
        sums = [a + b for a, b in zip(sums, spikes, strict=True)] if sums else spikes
    return [(total / (binned.samples * binned.steps)).numpy() for total in sums]


@torch.no_grad()
def one_utterance(network: Kept, test: EventData, data: str) -> Drawn:
    """The first test recording on its way through a network, and the running decision.

    The belief in the classes at step ``t`` is the softmax of ``y`` as it would be if the recording
    ended there: of the sum of the readout's softmaxes up to ``t``, the logits of the loss.
    """
    model = network.network()
    x_TBI = _binned(test).take([0])
    output = model.run(x_TBI)
    layers = {"input\nchannel": x_TBI[:, 0].numpy()}
    for number, spikes_TBN in enumerate(output.spikes_TBN, start=1):
        layers[f"layer {number}\nneuron"] = spikes_TBN[:, 0].numpy()
    sums_TC = _readout_potential(model, output.outputs_TBN[-1])[:, 0].softmax(-1).cumsum(0)
    spoken, heard = test.words[test.labels[0]], test.words[int(sums_TC[-1].argmax())]
    path = raster(
        layers,
        FOLDER / f"raster_{data}.png",
        title=f'{network.label}: "{spoken}" of {data}, recognised as "{heard}"',
        step_ms=BINNING.step_ms,
        posterior_TC=sums_TC.softmax(-1).numpy(),
        classes=test.words,
    )
    return Drawn(
        path,
        f"The first test recording of {data} on its way through {network.label}, and below it what "
        "the network would answer if the recording ended there",
    )


def _readout_potential(model: SNN, output_TBN: Tensor) -> Tensor:
    """What the readout sums the softmax of, ``[T, B, C]``."""
    readout = model.snn[-1]
    assert isinstance(readout, SoftmaxSumReadout)
    current_TBC = normalize(readout.norm, project(output_TBN, readout.W.weight, readout.W.bias))
    potential_TBC, _ = scan(readout.neuron, current_TBC, backend=readout.backend)
    return potential_TBC


def parameters(network: Kept) -> Drawn:
    """Decays and couplings of the neurons as they act (clamped), before and after training."""
    before, after = network.network(trained=False), network.network()
    layers = {}
    for number, (old, new) in enumerate(zip(before.snn, after.snn, strict=True), start=1):
        name = f"layer {number}" if isinstance(new, SpikingLayer) else "readout"
        layers[name] = _acting(_neuron(old), _neuron(new))
    path = before_and_after(
        layers, FOLDER / "parameters.png", title=f"{network.label}, {network.stem}"
    )
    return Drawn(
        path,
        f"Parameters of the neurons of {network.label} before and after training, clamped as they "
        "act; what piles up at an end of its interval no longer learns",
    )


def _neuron(layer: nn.Module) -> Bounded:
    neuron = layer.neuron
    assert isinstance(neuron, Bounded)
    return neuron


def _acting(old: Bounded, new: Bounded) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {
        name: (
            old.clamped(name).detach().numpy(),
            new.clamped(name).detach().numpy(),
        )
        for name in new.BOUNDS
    }


# ---- what is at hand


def _kept_networks() -> list[Kept]:
    """Spiking networks on events, one per network, data and protocol: that of the least seed."""
    chosen: dict[tuple[str, str, str], Kept] = {}
    for entry in sorted(load_manifest(PAPER), key=lambda entry: int(entry["seed"])):
        path = inside(PAPER / "checkpoints", entry["file"])
        loaded = read_own(SPARCH, path)
        config, weights = loaded.config, loaded.weights
        if config.is_spiking and config.dataset_name in ("shd", "ssc"):
            kept = Kept(path.stem, entry, config, weights)
            chosen.setdefault((kept.label, entry["data"]["name"], config.protocol), kept)
    return sorted(chosen.values(), key=lambda kept: _place(kept.label))


def _grouped(kept: Sequence[Kept]) -> dict[tuple[str, str], list[Kept]]:
    groups: dict[tuple[str, str], list[Kept]] = {}
    for network in kept:
        place = (str(network.entry["data"]["name"]), network.config.protocol)
        groups.setdefault(place, []).append(network)
    return groups


def _best(networks: Sequence[Kept]) -> Kept:
    return max(networks, key=lambda network: float(network.entry["test_accuracy"]))


def _test_set(dataset: str, data: str) -> EventData | None:
    """The test recordings a network was scored on; None where they would have to be fetched."""
    if data == f"synthetic-{dataset}":
        place: str | None = "embedded"
    elif data == "shd-regenerated" and is_present("shd_regen"):
        place = "regenerated"
    elif data == dataset and is_present(dataset):
        place = None
    else:
        return None
    return load_event_split(find_speech(dataset, place), "test")


def _binned(events: EventData) -> BinnedEvents:
    return BINNING(events)


def _label(model: str, hiddens: int) -> str:
    return f"{model} {hiddens}"


def _place(label: str) -> tuple[int, int]:
    """Spiking networks first, in the order of the paper, small before large."""
    model, hiddens = label.split()
    return [*SPIKING, *NON_SPIKING].index(model), int(hiddens)
