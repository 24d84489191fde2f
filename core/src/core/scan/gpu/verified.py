"""Which kernels were found right on which kind of device, from the file of ``core gpu``."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from core.errors import UserError
from core.files import write_text_atomically
from core.once import once
from core.outside.text import read_json, to_json
from core.scan.case import Case
from core.scan.gpu import geometry
from core.scan.gpu.kernels import GpuVariant, module_text

#: Compute capability -> device, version of PyTorch, and kernels by :func:`kernel`.
FILE = Path(__file__).with_name("verified.json")


def kernel(case: Case) -> str:
    """Which kernel a case takes: its text, as a digest, and the geometry that is tried first.

    Gradients that nobody asks for, and some of the traces where there are any, only leave
    something out and count as the same.
    """
    return f"{_digest(_whole(_variant(case)))} {_cuts(case)[0]}"


def doubt(case: Case) -> str | None:
    """Why ``auto`` leaves out a case that a kernel could take, or None."""
    device = case.current_TBN.device
    found = _known().get(capability(device))
    if found is None:
        return "never run on such a device so far"
    if right(_variant(case), _cuts(case), device):
        return None
    return f"this kernel was not found right on such a device ({found['device']})"


def right(
    variant: GpuVariant, cuts: Sequence[geometry.Geometry], device: torch.device
) -> list[geometry.Geometry]:
    """The geometries in which a kernel was found right on such a device; no other is needed."""
    found = _known().get(capability(device), {"kernels": []})
    text = _digest(_whole(variant))
    return [cut for cut in cuts if f"{text} {cut}" in found["kernels"]]


def _variant(case: Case) -> GpuVariant:
    double, recurrent = case.current_TBN.dtype == torch.float64, case.recurrent_weight is not None
    traces = tuple(sorted(map(case.neuron.State._fields.index, case.record)))
    return GpuVariant(case.graph, double, recurrent, parameters=True, traces=traces)


def _whole(variant: GpuVariant) -> GpuVariant:
    traces = tuple(range(variant.graph.states)) if variant.traces else ()
    return replace(variant, parameters=True, traces=traces)


def _cuts(case: Case) -> list[geometry.Geometry]:
    current, recurrent = case.current_TBN, case.recurrent_weight is not None
    return geometry.chosen(recurrent, current.shape[1], case.neuron.size, current.dtype)


def accept(path: Path) -> str:
    """Take the kernels that ``core gpu`` found right in place of what was known; says how many.

    Raises:
        UserError: It is no such file, or that of a rehearsal.
    """
    found = read_json(path)
    try:
        if found["rehearsal"]:
            raise UserError(f"{path} is of a rehearsal: run core gpu on a GPU")
        machine, rows = found["machine"], found["parts"]["correctness"]["rows"]
        good = {row["kernel"] for row in rows if row.get("verdict") == "right"}
        good -= {row["kernel"] for row in rows if "kernel" in row and row["verdict"] != "right"}
        entry = {key: machine[key] for key in ("device", "torch")} | {"kernels": sorted(good)}
        known = _known() | {machine["capability"]: entry}
    except (KeyError, TypeError) as error:
        raise UserError(f"{path} is no gpu.json of core gpu: it lacks {error}") from None
    write_text_atomically(FILE, to_json(known, indent=1) + "\n")
    _known.cache_clear()
    return f"{len(good)} kernels on {machine['device']} ({machine['capability']})"


def capability(device: torch.device) -> str:
    """Compute capability, such as ``9.0``."""
    return ".".join(map(str, torch.cuda.get_device_capability(device)))


@once
def _known() -> dict[str, Any]:
    found: dict[str, Any] = read_json(FILE)
    return found


@once
def _digest(variant: GpuVariant) -> str:
    return hashlib.sha256(module_text(variant).encode()).hexdigest()[:16]
