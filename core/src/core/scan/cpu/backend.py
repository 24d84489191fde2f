"""The fused CPU backend: a neuron's LLVM kernels, made on first use, as an autograd function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from core.scan import fused
from core.scan.cpu.function import Scan
from core.scan.cpu.machine import cache_folder, this_machine

if TYPE_CHECKING:
    from core.scan.dispatch import Case


def here() -> str:
    """What this machine offers it."""
    machine = this_machine()
    multiply = ", multiplies and adds in one instruction" if machine.fma else ""
    return f"{8 * machine.vector_bytes}-bit vectors{multiply}; kernels are kept in {cache_folder()}"


def unsupported(case: Case) -> str | None:
    """Why this backend cannot take the case."""
    return fused.refusal(case)


def run(case: Case, state: Any) -> tuple[Tensor, Any]:
    """Run the sequence in one kernel. See :func:`core.scan.scan`."""
    name = type(case.neuron).__name__
    return fused.run(
        case,
        state,
        lambda graph, x, weight, mask, coefficients, before: Scan.apply(
            graph, name, x, weight, mask, *coefficients, *before
        ),
    )
