"""Peak memory of one forward and backward pass, in a fresh process or on a GPU."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from core.bench.loops import backend_output
from core.bench.workloads import Inputs, Workload, inputs
from core.errors import RunFailed
from core.outside.text import to_json

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"


def peak_mb(workload: Workload, backend: str, inputs_here: Inputs) -> float | None:
    """How far one pass raises memory above what its inputs take, gradients included.

    On the CPU resident memory of a fresh process, on a GPU what PyTorch allocates in this one.

    Args:
        workload: The row.
        backend: Of the scan.
        inputs_here: The row's inputs in this process, for a GPU.

    Returns:
        In MB of 2^20 bytes; None where the system does not tell.

    Raises:
        RunFailed: The fresh process failed, for example for lack of memory.
    """
    if inputs_here.current_TBH.device.type == "cuda":
        return allocated_mb(inputs_here, backend)
    return row_peak_mb("core.bench.memory", workload, backend)


def row_peak_mb(module: str, row: Any, backend: str) -> float | None:
    """:func:`fresh_peak_mb` of a row of the table, a dataclass, that ``module`` measures."""
    request = {"row": asdict(row), "backend": backend, "threads": torch.get_num_threads()}
    what = f"{row.name} ({backend})"
    return fresh_peak_mb(module, request, what, "; leave the row out with --rows")


def fresh_peak_mb(module: str, request: Any, what: str, hint: str = "") -> float | None:
    """What ``python -m module request`` measures in a process of its own.

    Args:
        module: Calls :func:`answer`.
        request: Its argument, with the number of ``threads``.
        what: Is measured, for the error.
        hint: How to do without, for the error.

    Raises:
        RunFailed: The process failed.
    """
    command = [sys.executable, "-m", module, to_json(request)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()[-1:] or ["nothing said; out of memory?"]
        raise RunFailed(
            f"measuring the memory of {what} stopped with exit code "
            f"{done.returncode}: {said[0]}{hint}"
        )
    found: float | None = json.loads(done.stdout.splitlines()[-1])
    return found


def allocated_mb(inputs_here: Inputs, backend: str) -> float:
    """Peak of PyTorch's allocations on a GPU in one pass, above those before."""
    device = inputs_here.current_TBH.device
    inputs_here.forget_gradients()
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    backend_output(inputs_here, backend).backward(inputs_here.gradient_TBH)
    torch.cuda.synchronize(device)
    taken = torch.cuda.max_memory_allocated(device) - before
    inputs_here.forget_gradients()
    return taken / 2**20


def resident_peak_mb(workload: Workload, backend: str) -> float | None:
    """Peak of this process's resident memory in one pass, above that before it.

    Imports, compiled kernels and threads are there before: two steps have been run.
    """

    def make(steps: int) -> Callable[[], object]:
        real = inputs(replace(workload, steps=steps), torch.device("cpu"))
        return lambda: backend_output(real, backend).backward(real.gradient_TBH)

    make(2)()
    return peak_of(make(workload.steps))


def peak_of(run: Callable[[], object]) -> float | None:
    """How far one pass raises this process's memory, in MB; None where the system does not tell."""
    try:
        before = _resident("VmRSS")
        _CLEAR_REFS.write_text(_RESET_PEAK)
    except OSError:
        return None
    run()
    return (_resident("VmHWM") - before) / 2**10


def _resident(field: str) -> int:
    """A field of the process's status, in KiB.

    Raises:
        OSError: The system has no such file or field.
    """
    match = re.search(rf"^{field}:\s+(\d+) kB$", _STATUS.read_text(), re.MULTILINE)
    if match is None:
        raise OSError(f"{_STATUS} has no {field}")
    return int(match[1])


def answer(measure: Callable[[Any], float | None]) -> None:
    """Print what is measured for the request that :func:`fresh_peak_mb` made."""
    request = json.loads(sys.argv[1])
    torch.set_flush_denormal(True)
    torch.set_num_threads(request["threads"])
    print(to_json(measure(request)))


if __name__ == "__main__":
    answer(lambda request: resident_peak_mb(Workload(**request["row"]), request["backend"]))
