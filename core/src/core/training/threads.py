"""How many processor threads a run takes where its settings leave that open."""

from __future__ import annotations

import os

import torch
from torch import nn

from core.data.batches import RowBatches
from core.neurons import Neuron

SMALL_STEP = 10_000_000
"""Neuron updates of a training step below which a second thread is not worth its waiting.

Such a step takes at most about 0.2 s in one thread. Measured on a busy machine of two cores, two
threads took 11 times as long as one with 2e5 updates, 2.5 to 3.7 times with 7e5 (ECG) to 3e6
(SHD, two layers of 128), 2 times with 1e7 and 1.5 times with 5e7 (S-MNIST, batches of 256).
"""


def choose_threads(updates: int, *, cores: int, load: float) -> tuple[int, str]:
    """Number of threads for steps of a size on a machine with something else to do, and why.

    Args:
        updates: Neuron updates of a training step: time steps x samples x neurons.
        cores: Processor cores that this process may use.
        load: Processes that want to run here at the moment, this one apart.
    """
    if updates < SMALL_STEP:
        return 1, f"small work, {updates:.1e} neuron updates a step"
    idle = max(1, int(cores - load + 0.5))
    if idle < cores:
        return idle, f"load {load:.1f} on {cores} cores"
    return cores, f"{updates:.1e} neuron updates a step, and {cores} idle cores"


def settle_threads(model: nn.Module, batches: RowBatches, device: torch.device) -> str:
    """Choose for this process what ``threads: 0`` leaves open; returns why, in a few words.

    Args:
        model: Its neurons count; without spiking ones, the rows of its weight matrices.
        batches: Their first row tells the number of time steps.
        device: Where the model computes; threads do not matter on a GPU.
    """
    if device.type != "cpu":
        return ""
    inputs_TBI, _ = batches.take(batches.order(0)[:1], 0)
    updates = len(inputs_TBI) * min(batches.batch_size, batches.samples) * _neurons(model)
    cores = min(torch.get_num_threads(), _usable_cores())
    threads, why = choose_threads(updates, cores=cores, load=_load_of_others())
    torch.set_num_threads(threads)
    return why


def _neurons(model: nn.Module) -> int:
    spiking = sum(module.size for module in model.modules() if isinstance(module, Neuron))
    return spiking or sum(len(weight) for weight in model.parameters() if weight.ndim == 2)


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _load_of_others() -> float:
    """Load of the last minute; 0 where the system does not tell."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
