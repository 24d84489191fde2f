"""The fused CPU backend: a neuron's LLVM kernels, made on first use, as an autograd function."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from core.once import once
from core.opaque import asked_once
from core.scan import fused
from core.scan.case import Case, Traces


@asked_once
def missing() -> str | None:
    """Why this machine can make no kernels, or None.

    What imports :mod:`llvmlite` is imported where this was asked: without it, or where LLVM does
    not know the processor, everything else works.
    """
    return _missing()


@once
def _missing() -> str | None:
    try:
        from core.scan.cpu import machine

        machine.compiler()
    except (ImportError, OSError, RuntimeError) as error:
        return f"LLVM makes no kernels here ({type(error).__name__}: {error})"
    return None


def here() -> str:
    """What this machine offers it."""
    if (reason := missing()) is not None:
        return reason
    from core.scan.cpu import cache
    from core.scan.cpu.machine import this_machine

    machine, refused = this_machine(), cache.refusal()
    multiply = ", multiplies and adds in one instruction" if machine.fma else ""
    kept = f"kept in {cache.folder()}" if refused is None else f"compiled at each start: {refused}"
    return f"{8 * machine.vector_bytes}-bit vectors{multiply}; kernels are {kept}"


def unsupported(case: Case) -> str | None:
    """Why this backend cannot take the case."""
    return missing() or fused.refusal(case)


def run(case: Case, state: Any) -> tuple[Tensor, Any, Traces]:
    """Run the sequence in one kernel. See :func:`core.scan.scan`."""
    from core.scan.cpu.function import Scan

    name, keep = type(case.neuron).__name__, torch.is_grad_enabled()
    return fused.run(
        case,
        state,
        lambda graph, recorded, x, weight, mask, coefficients, before: Scan.apply(
            *(graph, recorded, case.ends, keep, case.spend, name, x, weight, mask),
            *(*coefficients, *before, *case.pathways.values(), *case.further),
        ),
    )
