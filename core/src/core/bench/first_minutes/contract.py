"""Whether every kernel in every geometry keeps the contract of a scan on this device."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from core.bench.first_minutes.crew import in_a_line, settle
from core.bench.first_minutes.device import device
from core.scan import Case, reference
from core.scan.contract import NEURONS, Run
from core.scan.gpu import backend, geometry, verified

#: The contract: states and gradients to this share of the largest of their kind.
TOLERANCE = 1e-5
#: Two segments of steps, two tiles of samples.
STEPS, BATCH = 18, 17
#: The sizes that matter most first.
SIZES = (128, 512, 36, 256, 1024, 8)


#: Precision, with a spike mask, with traces of all fields: what matters most first.
KINDS = [
    *[("float32", False, False), ("float32", False, True), ("float32", True, False)],
    ("float64", False, False),
]


def items(rehearse: bool) -> list[dict[str, Any]]:
    """Every kernel: float32 first, of each kind the preferred geometries first."""
    found = []
    for dtype, masked, traced in KINDS:
        every = [
            _items(name, size, recurrent, dtype, masked, traced)
            for size in ((8,) if rehearse else SIZES)
            for name in (("BRF", "AdLIF") if rehearse else NEURONS)
            for recurrent in (False, True)
            if name != "LI" or not recurrent
        ]
        for place in range(max(map(len, every))):
            found += [each[place] for each in every if place < len(each)]
    return found


def _items(
    name: str, size: int, recurrent: bool, dtype: str, masked: bool = False, traced: bool = False
) -> list[dict[str, Any]]:
    item = {"name": name, "size": size, "recurrent": recurrent, "dtype": dtype}
    item |= {"masked": masked, "traced": traced}
    precision = getattr(torch, dtype)
    weight = torch.empty(size, size, dtype=precision) if recurrent else None
    current = torch.empty(1, BATCH, size, dtype=precision)
    neuron = NEURONS[name](size).to(precision)
    record = neuron.State._fields if traced else ()
    case = Case(neuron, current, weight, current if masked else None, record=record)
    found = []
    for place, cut in enumerate(geometry.candidates(recurrent, BATCH, size, precision)):
        with geometry.forced(cut):
            found.append({**item, "place": place, "asked": verified.kernel(case)})
    return found or [{**item, "place": 0, "asked": None}]


def check(
    name: str, size: int, recurrent: bool, dtype: str, masked: bool, traced: bool, place: int,
    asked: str | None,
) -> dict[str, Any]:  # fmt: skip
    """Verdict on one kernel: ``right``, ``wrong``, ``failed``, or ``refused``.

    Refused is what no kernel is made for, and a geometry that the device cannot launch.

    Args:
        name: Key of :data:`core.scan.contract.NEURONS`.
        size: ``N``.
        recurrent: With a recurrent weight.
        dtype: Precision.
        masked: With a spike mask.
        traced: With a trace of every field of the state.
        place: Of the geometry among the candidates.
        asked: What ``verified`` calls the kernel, which is known even where this crashes.
    """
    precision = getattr(torch, dtype)
    shape = (STEPS, BATCH, size)
    how = {"recurrent": recurrent, "masked": masked, "traced": traced}
    run = Run(name, shape, dtype=precision, device=device(), **how)
    if reason := backend.not_taken(run.case):
        return {"verdict": "refused", "why": reason}
    cut = geometry.candidates(recurrent, BATCH, size, precision)[place]
    with geometry.forced(cut):
        try:
            if verified.kernel(run.case) != asked:
                raise RuntimeError(f"{verified.kernel(run.case)} is another kernel than {asked}")
            return {"geometry": str(cut), **compared(run)}
        except Exception as error:
            verdict = "refused" if cannot_launch(error) else "failed"
            return {"geometry": str(cut), "verdict": verdict, "why": in_a_line(error)}


def compared(run: Run) -> dict[str, Any]:
    """How the kernels of a run differ from the reference, and whether they may."""
    outputs, wanted = run.differentiate(outputs_of(run, reference))
    found = outputs_of(run, backend)
    settle()
    ours, gradients = run.differentiate(found)
    settle()
    unequal = int((ours[0] != outputs[0]).sum()) if run.neuron.spiking else 0
    exact = 1 if run.neuron.spiking else 0
    pairs = zip(ours[exact:], outputs[exact:], strict=True)
    state = largest(_relative(a, b) for a, b in pairs)
    worst = largest(_relative(gradients[key], wanted[key]) for key in wanted)
    right = unequal == 0 and state <= TOLERANCE and worst <= TOLERANCE
    return {
        **{"verdict": "right" if right else "wrong", "unequal_outputs": unequal},
        **{"state_difference": state, "gradient_difference": worst},
        "rate": float(outputs[0].mean()),
    }


def outputs_of(run: Run, module: Any) -> list[Tensor]:
    """Output, final state and traces of a backend, whatever the machine."""
    case: Case = run.case
    output, final, traces = module.run(case, run.state)
    return [output, *final, *traces.values()]


def largest(values: Iterable[float]) -> float:
    """The largest; NaN where there is one, which ``max`` may pass over."""
    found = list(values)
    return math.nan if any(map(math.isnan, found)) else max(found)


def cannot_launch(error: Exception) -> bool:
    """Whether a device says that a geometry is too large for it."""
    text = str(error).lower()
    told = ("too many blocks in cooperative launch", "too many resources requested for launch")
    return type(error).__name__ in ("Refused", "OutOfResources") or any(t in text for t in told)


def _relative(found: Tensor, expected: Tensor) -> float:
    scale = float(expected.abs().max())
    worst = float((found - expected).abs().max())
    return worst / scale if scale else worst
