"""Neurons and training steps timed beside SpikingJelly's, with equal results."""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from spikingjelly.activation_based import functional
from torch import Tensor

from core.bench.limits import ARRAYS, COPIED_BYTES
from core.bench.memory import peak_of
from core.bench.table import duration
from core.bench.timing import Contestant, interleaved
from core.data.dvs import DvsEvents, decode_aedat31, decode_nmnist, read_recording
from core.data.frames import count_frames
from core.data.synthetic_dvs import encode_aedat31, encode_nmnist
from core.neurons import PLIF
from core.records.grid import grid
from core.records.readme import update_between_markers
from core.scan import scan
from core.training.devices import here
from plif.config import Config
from plif.models import SpikingNet
from plif.nodes import ParametricLIFNode
from plif.objectives import vote_loss
from plif.paper import network
from plif.peer import Peer, node_like
from plif.sets import empty_task

BLOCK = "plif bench"
EVENTS = 200_000
"""Events of a file that is read; a gesture has about as many."""
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Layer:
    """One spiking layer over a random current, of which about 5 % of the steps spike."""

    name: str
    steps: int
    batch: int
    shape: tuple[int, ...]
    per_neuron: bool


LAYERS = tuple(
    Layer(f"{name}, one tau per {'neuron' if per else 'layer'}", steps, batch, shape, per)
    for name, batch, shape in (("MNIST", 16, (128, 28, 28)), ("Gesture", 1, (128, 128, 128)))
    for steps in (8, 20)
    for per in (False, True)
)
STEPS = {
    "MNIST": (Config(dataset_name="MNIST", T=8), 16),
    "Gesture": (Config(dataset_name="DVS128Gesture", T=20), 1),
}
"""Settings and batch size of the networks whose training steps are timed."""


def layer_row(layer: Layer, repeats: int) -> dict[str, str]:
    """Forward and backward of a layer as SpikingJelly node, ours beside theirs."""
    torch.manual_seed(0)
    size = (layer.steps, layer.batch, *layer.shape)
    x = (1.2 * torch.randn(size)).requires_grad_()
    weight = torch.randn(size)
    ours: Any = ParametricLIFNode(
        detach_reset=True,
        step_mode="m",
        surrogate_function=_atan(),
        tau_shape=layer.shape if layer.per_neuron else None,
    )
    theirs = node_like(PLIF(1, detach_reset=True))
    theirs.step_mode = "m"
    theirs.w = torch.nn.Parameter(ours.w.detach().clone())
    found: dict[str, tuple[Tensor, ...]] = {}

    def run(node: Any, keep: str = "") -> None:
        functional.reset_net(node)
        x.grad = node.w.grad = None
        spikes = node(x)
        spikes.backward(weight)
        if keep and x.grad is not None:
            found[keep] = (spikes.detach(), x.grad.clone(), node.w.grad.clone())

    run(ours, "ours")
    run(theirs, "theirs")
    rate = float(found["ours"][0].mean())
    equal = torch.equal(found["ours"][0], found["theirs"][0])
    difference = _difference(found)
    found.clear()
    source, target = torch.ones(2, COPIED_BYTES // 4)
    # The limit beside what it limits: a machine may be busier a moment later.
    contestants = {
        **{"ours": Contestant(partial(run, ours)), "theirs": Contestant(partial(run, theirs))},
        "copy": Contestant(partial(target.copy_, source)),
    }
    times = interleaved(contestants, repeats, _CPU)
    limit = times["copy"] * ARRAYS * 4 * x.numel() / (2 * COPIED_BYTES)
    return {
        "layer": layer.name,
        "T, B": f"{layer.steps}, {layer.batch}",
        "ours": duration(times["ours"]),
        "SpikingJelly": duration(times["theirs"]),
        "speed-up": f"{times['theirs'] / times['ours']:.1f}",
        "limit": duration(limit),
        "ours / limit": f"{times['ours'] / limit:.1f}",
        "spikes": f"{rate:.1%}",
        "results": f"spikes {'equal' if equal else 'DIFFER'}, gradients to {difference:.0e}",
    }


def _difference(found: dict[str, tuple[Tensor, ...]]) -> float:
    """Largest difference of gradients, of the largest gradient."""
    pairs = list(zip(found["ours"], found["theirs"], strict=True))[1:]
    return max(float((a - b).abs().max() / b.abs().max()) for a, b in pairs)


def _atan() -> Any:
    from spikingjelly.activation_based import surrogate

    return surrogate.ATan()


def contestants(name: str) -> dict[str, Callable[[], float]]:
    """Training steps of a network without its optimiser: each gives its loss.

    ``step`` and ``sequence`` are ours with either batch norm; SpikingJelly's multi-step network
    has that of the sequence, its single-step network in a loop that of the step.
    """
    settings, batch = STEPS[name]
    task = empty_task(settings.dataset_name)
    nets: dict[str, SpikingNet] = {}
    for statistics in ("step", "sequence"):
        torch.manual_seed(0)
        config = Config(
            **{"dataset_name": settings.dataset_name, "T": settings.T, "use_plif": True},  # type: ignore[arg-type]
            **{"use_max_pool": True, "detach_reset": True, "batch_norm": statistics},  # type: ignore[arg-type]
            dropout=0.0,  # so that all compute the same
        )
        nets[statistics] = network(config, task)
    frames = 1 if settings.is_static else settings.T
    x = 2.0 * torch.rand(frames, batch, *task.shape)
    targets = torch.arange(batch) % task.classes

    def run(net: torch.nn.Module) -> float:
        for parameter in net.parameters():
            parameter.grad = None
        output = net(x)
        counts = output if isinstance(output, Tensor) else output.y
        loss = vote_loss(counts, targets, settings.T)
        loss.backward()
        return float(loss.detach())

    return {
        "ours, step": partial(run, nets["step"]),
        "SpikingJelly, single-step": partial(run, Peer(nets["step"], "s")),
        "ours, sequence": partial(run, nets["sequence"]),
        "SpikingJelly, multi-step": partial(run, Peer(nets["sequence"], "m")),
    }


def step_rows(name: str, repeats: int) -> list[dict[str, str]]:
    """Time, memory and loss of the training steps of a network."""
    runs = contestants(name)
    losses = {who: run() for who, run in runs.items()}
    times = interleaved({who: Contestant(run) for who, run in runs.items()}, repeats, _CPU)
    context = multiprocessing.get_context("spawn")
    peaks = {}
    for who in runs:
        with context.Pool(1) as pool:  # a fresh process each
            peaks[who] = pool.apply(step_peak, (name, who, torch.get_num_threads()))
    return [
        {
            "network": name,
            "batch norm of": "a step" if who.endswith("step") and "multi" not in who else "all",
            "who": who.partition(",")[0],
            "time": duration(times[who]),
            "memory": "" if peaks[who] is None else f"{peaks[who]:.0f} MB",
            "loss": f"{losses[who]:.6f}",
        }
        for who in runs
    ]


def step_peak(name: str, who: str, threads: int) -> float | None:
    """Peak of this process's memory in a training step, above that before it, in MB."""
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    tiny = PLIF(3, detach_reset=True)
    scan(tiny, torch.zeros(2, 1, 3, requires_grad=True))[0].sum().backward()  # kernels are there
    return peak_of(contestants(name)[who])


def reader_rows(repeats: int) -> list[dict[str, str]]:
    """Files and frames of event cameras, ours beside SpikingJelly's readers."""
    from spikingjelly.datasets import utils

    generator = np.random.default_rng(0)
    x, y = generator.integers(0, 34, (2, EVENTS))
    t = np.sort(generator.integers(0, 300_000, EVENTS))
    events = DvsEvents(t, x, y, generator.integers(0, 2, EVENTS))
    fields = {name: getattr(events, name) for name in "txyp"}
    with tempfile.TemporaryDirectory() as folder:
        gesture, digit = Path(folder) / "a.aedat", Path(folder) / "a.bin"
        gesture.write_bytes(encode_aedat31(events))
        digit.write_bytes(encode_nmnist(events))
        frames = utils.integrate_events_by_fixed_frames_number
        runs = {
            "AEDAT 3.1": (
                lambda: decode_aedat31(read_recording(gesture), "a"),
                lambda: utils.load_aedat_v3(gesture),
            ),
            "N-MNIST": (
                lambda: decode_nmnist(read_recording(digit), "a"),
                lambda: utils.load_ATIS_bin(digit),
            ),
            "20 frames": (
                lambda: count_frames(events, 20, "number", height=128, width=128),
                lambda: frames(fields, "number", 20, 128, 128),
            ),
        }
        rows = []
        for name, (ours, theirs) in runs.items():
            pair = {"ours": Contestant(ours), "theirs": Contestant(theirs)}
            times = interleaved(pair, repeats, _CPU)
            rows.append(
                {
                    "events": name,
                    "ours": duration(times["ours"]),
                    "SpikingJelly": duration(times["theirs"]),
                    "speed-up": f"{times['theirs'] / times['ours']:.1f}",
                }
            )
    return rows


def bench(repeats: int, threads: int, page: Path | None) -> str:
    """All rows as Markdown tables.

    Args:
        repeats: Timed passes of each, of which the median counts.
        threads: Processor threads.
        page: Where the tables go, between its markers.
    """
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    layers = []
    for layer in LAYERS:
        layers.append(layer_row(layer, repeats))
        print(layers[-1], file=sys.stderr, flush=True)
    steps = [row for name in STEPS for row in step_rows(name, repeats)]
    events = reader_rows(repeats)
    tables = [grid(tuple(rows[0]), rows) for rows in (layers, steps, events)]
    text = "\n\n".join([*tables, ""])
    text += f"{here(_CPU)}, medians of {repeats}"
    if hasattr(os, "getloadavg"):
        text += f", while the machine's load was {os.getloadavg()[0]:.1f}"
    if page is not None:
        update_between_markers(page, BLOCK, text)
    return text
