"""The Open Neuromorphic benchmark: a linear layer and a LIF, beside SpikingJelly's.

Batch 16, 500 steps, as many inputs as neurons; forward and backward timed apart. Source: the
benchmark of open-neuromorphic.org, "SNN library benchmarks" (2023).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn

from core.bench import peers
from core.bench.timing import synchronise
from core.neurons import BoundedLIF
from core.scan import Case, choose, scan

SIZES = (512, 4096, 16384)
STEPS, BATCH = 500, 16
Forward = Callable[[Tensor], Tensor]


def open_neuromorphic(
    size: int,
    device: torch.device,
    repeats: int,
    *,
    steps: int = STEPS,
    batch: int = BATCH,
    backend: str = "auto",
) -> dict[str, Any]:
    """One row: seconds forward and backward, and peak memory, of both libraries.

    Args:
        size: Neurons, and inputs.
        device: A GPU; elsewhere memory is None.
        repeats: Passes, of which the median counts.
        steps: ``T``.
        batch: ``B``.
        backend: Of our scan.
    """
    torch.manual_seed(0)
    linear = nn.Linear(size, size, device=device)
    neuron = BoundedLIF(size, initial="zero").to(device)
    input_TBI = (torch.rand(steps, batch, size, device=device) > 0.5).float()
    with torch.no_grad():
        backend = choose(Case(neuron, linear(input_TBI)), backend).name
    contestants = {"core": lambda x: scan(neuron, linear(x), backend=backend)[0]}
    parameters: list[Tensor] = [*linear.parameters(), *neuron.parameters()]
    jelly = next(peer for peer in peers.PEERS if peer.name == "spikingjelly LIFNode")
    absent = {}
    node = None
    if peers.installed(jelly.package):
        with suppress(ImportError):  # of what it needs
            node, _ = jelly.build(size, device)
    if node is None:
        absent[jelly.name] = peers.NOT_INSTALLED
    else:
        contestants[jelly.name] = lambda x: node(linear(x))
    return {
        "workload": f"linear-lif-{size}",
        "shape": f"T={steps} B={batch} H={size}",
        "backend": backend,
        "device": device.type,
        "contestants": {
            name: _measure(forward, input_TBI, parameters, repeats)
            for name, forward in contestants.items()
        }
        | absent,
        "repeats": repeats,
        "versions": peers.versions(),
    }


def _measure(
    forward: Forward, input_TBI: Tensor, parameters: list[Tensor], repeats: int
) -> dict[str, float | None]:
    device, forwards, backwards = input_TBI.device, [], []
    gpu = device.type == "cuda"
    for round_number in range(repeats + 1):
        for tensor in parameters:
            tensor.grad = None
        if gpu:
            torch.cuda.reset_peak_memory_stats(device)
        synchronise(device)
        started = time.perf_counter()
        output = forward(input_TBI)
        synchronise(device)
        between = time.perf_counter()
        output.sum().backward()
        synchronise(device)
        if round_number:  # the first one warms up
            forwards.append(between - started)
            backwards.append(time.perf_counter() - between)
        del output
    return {
        "forward_seconds": statistics.median(forwards),
        "backward_seconds": statistics.median(backwards),
        "peak_mb": torch.cuda.max_memory_allocated(device) / 2**20 if gpu else None,
    }
