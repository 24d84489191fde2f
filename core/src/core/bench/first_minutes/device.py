"""The device of a worker: what it is and what it allows."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from importlib import metadata
from typing import Any

import torch

from core.bench.limits import COPIED_BYTES, copy_bandwidth, product_rate
from core.scan.gpu import backend

#: What ``nvidia-smi`` is asked: clocks in MHz (they fall when it gets warm), power in W.
CLOCKS = ("driver_version", "clocks.sm", "clocks.max.sm", "power.limit")


def device() -> torch.device:
    """The first GPU; in a rehearsal the CPU."""
    return torch.device("cpu" if os.environ.get("TRITON_INTERPRET") == "1" else "cuda")


def machine() -> dict[str, Any]:
    """Name and versions of everything, or why there is nothing to measure."""
    found: dict[str, Any] = {"torch": str(torch.__version__), "cuda": torch.version.cuda}
    with suppress(metadata.PackageNotFoundError):
        found["triton"] = metadata.version("triton")
    if device().type == "cuda":
        if missing := backend.missing():
            return {"missing": missing}
        properties = torch.cuda.get_device_properties(0)
        found |= {"device": properties.name, "processors": properties.multi_processor_count}
        found |= {"capability": f"{properties.major}.{properties.minor}"}
    return found | clocks()


def clocks() -> dict[str, str]:
    """Driver and clocks of the first GPU by ``nvidia-smi``; nothing where it says none."""
    query = ["nvidia-smi", f"--query-gpu={','.join(CLOCKS)}", "--format=csv,noheader", "--id=0"]
    try:
        said = subprocess.run(query, capture_output=True, text=True, timeout=10.0, check=True)
    except (OSError, subprocess.SubprocessError):
        return {}
    values = [value.strip() for value in said.stdout.strip().split(",")]
    return dict(zip(CLOCKS, values, strict=True)) if len(values) == len(CLOCKS) else {}


def rates() -> dict[str, float]:
    """Bytes per second of a copy, and operations per second of a dense product (IEEE float32)."""
    where = device()
    small = where.type == "cpu"
    copied = copy_bandwidth(where, COPIED_BYTES // 64 if small else 4 * COPIED_BYTES)
    products = product_rate(64 if small else 4096, 64 if small else 4096, where)
    return {"bytes_per_second": copied, "flop_per_second": products}
