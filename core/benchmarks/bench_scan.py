"""How long a neuron takes over time, forward and backward, against loops as they are often written.

    nox -s bench                                   # or: python core/benchmarks/bench_scan.py

One process, interleaved repeats, medians, and ratios rather than times: machines are shared.
``indexed`` is the loop of many public repositories: it reads ``current[t]`` under autograd, whose
backward fills the whole sequence with zeros at every step, so its time grows with T squared.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from core.neurons import ALIF, BRF, LIF, Neuron
from core.scan import BACKENDS, scan
from core.training.devices import device_name

#: name: neuron, recurrent, T, B, H
WORKLOADS: dict[str, tuple[type[Neuron], bool, int, int, int]] = {
    "lif": (LIF, False, 100, 128, 512),
    "alif": (ALIF, True, 100, 64, 128),
    "brf": (BRF, True, 100, 64, 128),
    "brf, T x 2": (BRF, True, 200, 64, 128),
    "brf, T x 4": (BRF, True, 400, 64, 128),
}


def indexed_loop(neuron: Neuron, current_TBH: Tensor, weight: Tensor | None) -> Tensor:
    """The loop to compare with: indexes time under autograd."""
    coefficients, outputs = neuron.coefficients(), []
    state = neuron.initial_state(current_TBH.shape[1])
    for t in range(len(current_TBH)):
        current = current_TBH[t]
        if weight is not None:
            current = current + state.spike @ weight.t()
        state, output = neuron.step(coefficients, state, current)
        outputs.append(output)
    return torch.stack(outputs)


def seconds(run: Callable[[], Tensor]) -> float:
    """Wall time of one forward and backward pass."""
    started = time.perf_counter()
    run().sum().backward()
    return time.perf_counter() - started


def measure(name: str, repeats: int) -> dict[str, object]:
    """One row: median seconds of every backend, and of the indexed loop."""
    kind, recurrent, steps, batch, size = WORKLOADS[name]
    torch.manual_seed(0)
    neuron = kind(size)
    weight = (torch.randn(size, size) / size**0.5).requires_grad_() if recurrent else None
    current_TBH = (3.0 * torch.rand(steps, batch, size)).requires_grad_()
    runs: dict[str, Callable[[], Tensor]] = {
        b.name: lambda b=b: scan(  # type: ignore[misc]
            neuron, current_TBH, recurrent_weight=weight, backend=b.name
        )[0]
        for b in BACKENDS
    }
    runs["indexed"] = lambda: indexed_loop(neuron, current_TBH, weight)
    times: dict[str, list[float]] = {key: [] for key in runs}
    for repeat in range(repeats + 1):
        for key, run in runs.items():
            taken = seconds(run)
            if repeat:  # the first pass warms up
                times[key].append(taken)
    medians = {key: statistics.median(values) for key, values in times.items()}
    return {
        "workload": name,
        "shape": f"T={steps} B={batch} H={size}{' recurrent' if recurrent else ''}",
        "seconds": {key: round(value, 4) for key, value in medians.items()},
        "indexed_over_reference": round(medians["indexed"] / medians["reference"], 2),
    }


def main() -> None:
    """Print the table, and write it as JSON where asked."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--rows", nargs="+", choices=WORKLOADS, default=list(WORKLOADS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    options = parser.parse_args()
    torch.set_flush_denormal(True)
    print(
        f"{device_name(torch.device('cpu'))}, {torch.get_num_threads()} threads, "
        f"torch {torch.__version__}"
    )
    rows = []
    for name in options.rows:
        rows.append(row := measure(name, options.repeats))
        times = "  ".join(f"{k} {v:.3f} s" for k, v in row["seconds"].items())  # type: ignore[attr-defined]
        print(
            f"{name:<12} {row['shape']:<28} {times}  "
            f"indexed / reference {row['indexed_over_reference']}"
        )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
