"""Which device a run uses, and how the processor is set up for spiking networks."""

from __future__ import annotations

import platform
import sys

import torch

from core.errors import UserError
from core.outside.text import counted


def choose_device(name: str, threads: int = 0) -> torch.device:
    """The device called ``name``, with the process prepared for it.

    Denormal numbers are flushed to zero: decaying membranes reach them, and a processor computes
    with them many times slower. Threads that PyTorch starts later inherit the setting, so call
    this before any computation.

    Args:
        name: ``auto`` (a GPU when there is one), ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        threads: Processor threads, 0 to leave them as they are.

    Raises:
        UserError: The device does not exist here.
    """
    torch.set_flush_denormal(True)
    if threads:
        torch.set_num_threads(threads)
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise _unknown(name) from error
    if device.type not in ("cpu", "cuda", "mps"):
        raise _unknown(name)
    if device.type == "cuda" and (
        not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count()
    ):
        raise UserError(f"--device {name}: PyTorch sees no such GPU here; use --device cpu")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UserError(f"--device {name}: PyTorch sees no such GPU here; use --device cpu")
    return device


def _unknown(name: str) -> UserError:
    return UserError(f"--device {name}: no such kind of device; use auto, cpu, cuda or mps")


def device_name(device: torch.device) -> str:
    """Model name of the processor or GPU, for records."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def here(device: torch.device) -> str:
    """What a measured time depends on: machine, threads, version of PyTorch, for tables."""
    threads = counted(torch.get_num_threads(), "thread")
    return f"{device_name(device)}, {threads}, torch {torch.__version__}, float32"


def peak_memory_mb(device: torch.device) -> float | None:
    """Largest memory this process has held so far, in MiB: GPU memory on a GPU, else resident.

    None where the system does not tell.
    """
    if device.type == "cuda":
        return round(torch.cuda.max_memory_allocated(device) / 2**20, 1)
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)
