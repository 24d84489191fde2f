"""One row of the benchmark: everybody's times over one workload, and what they are held against."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from core.bench import peers
from core.bench.limits import limit_seconds, measured
from core.bench.loops import backend_output, contestant, public_loop_seconds
from core.bench.memory import peak_mb
from core.bench.timing import interleaved
from core.bench.workloads import SPIKE_RATES, Inputs, Workload, inputs
from core.errors import RunFailed
from core.scan import Case, choose

REFERENCE = "reference"


@dataclass(frozen=True)
class Options:
    """How rows are measured.

    Attributes:
        repeats: Passes of each contestant, of which the median counts.
        device: Where the contestants run.
        public_loop: Whether to time the loop that indexes time.
    """

    repeats: int
    device: torch.device
    public_loop: bool


def measure(workload: Workload, options: Options) -> dict[str, Any]:
    """The row of a workload, JSON-able; ``core/benchmarks/README.md`` explains its keys.

    Raises:
        RunFailed: A full-sized workload spikes more or less than it should, or the process that
            measures memory failed.
    """
    device = options.device
    ours = inputs(workload, device)
    backend = choose(Case(ours.neuron, ours.current_TBH, ours.weight)).name
    output = backend_output(ours, backend).detach()
    rate = float(output.mean())
    low, high = SPIKE_RATES
    if not workload.tiny and not low <= rate <= high:
        raise RunFailed(
            f"the row {workload.name} spikes in {rate:.2%} of its steps, outside {low:.0%} to "
            f"{high:.0%}: set another value in core.bench.workloads.DRIVE"
        )
    versus = (
        peers.Field({}, {}, None) if workload.for_growth else peers.field(workload, ours, output)
    )
    del output
    backends = dict.fromkeys((backend, REFERENCE))
    contestants = {
        name: contestant(ours, partial(backend_output, backend=name)) for name in backends
    }
    times = interleaved({**contestants, **versus.contestants}, options.repeats, device)
    machine = measured(workload, device)
    limit = limit_seconds(workload, machine)
    taken, reference = times[backend], times[REFERENCE]
    return {
        "workload": workload.name,
        "neuron": workload.neuron,
        "shape": workload.shape,
        "backend": backend,
        "seconds": taken,
        "reference_seconds": reference,
        "speedup": reference / taken,
        **_public_loop(workload, ours, options),
        **_peers(taken, times, versus),
        "limit_seconds": limit,
        "limit_ratio": taken / limit,
        **_memory(workload, ours, backend),
        "spike_rate": rate,
        "device": device.type,
        "threads": torch.get_num_threads(),
        "repeats": options.repeats,
        "bytes_per_second": machine.bytes_per_second,
        "flop_per_second": machine.flop_per_second,
        "versions": peers.versions(),
    }


def _public_loop(workload: Workload, ours: Inputs, options: Options) -> dict[str, Any]:
    taken, how = None, "not run"
    if options.public_loop and not workload.for_growth:
        taken, how = public_loop_seconds(ours, options.device)
    return {"public_loop_seconds": taken, "public_loop": how}


def _peers(taken: float, times: dict[str, float], versus: peers.Field) -> dict[str, Any]:
    ran = {name: times[name] for name in versus.contestants}
    fastest = min(ran, key=ran.__getitem__, default=None)
    return {
        "fastest_peer": fastest,
        "peer_seconds": None if fastest is None else ran[fastest],
        "peer_speedup": None if fastest is None else ran[fastest] / taken,
        "jax_agreement": versus.jax_agreement,
        "peers": {**ran, **versus.absent},
    }


def _memory(workload: Workload, ours: Inputs, backend: str) -> dict[str, float | None]:
    if workload.for_growth or workload.tiny:
        return {"peak_mb": None, "reference_peak_mb": None}
    peak = peak_mb(workload, backend, ours)
    reference = peak if backend == REFERENCE else peak_mb(workload, REFERENCE, ours)
    return {"peak_mb": peak, "reference_peak_mb": reference}
