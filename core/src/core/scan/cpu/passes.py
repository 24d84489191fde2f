"""Both directions of a scan on plain tensors: memory for their kernels, and what is added up after.

Autograd knows nothing of it: see :mod:`core.scan.cpu.function` and :mod:`core.scan.cpu.operator`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from core.buffers import empty
from core.scan.cpu import recurrence
from core.scan.cpu.arrays import numbered, own, readable, saved
from core.scan.cpu.launch import Launch
from core.scan.cpu.machine import this_machine
from core.scan.cpu.parts import Wants, parts
from core.scan.currents import current_input

#: Share of spikes above which one large product is faster than adding rows.
DENSE = 0.2


@dataclass(frozen=True)
class Inputs:
    """What both directions read.

    Attributes:
        current: ``[T, B, N]``.
        weight: ``[N, N]`` or None.
        mask: ``[T, B, N]`` or None.
        coefficients: 0-d or ``[N]``, contiguous.
        state: Of the fields that kernels read, by number; ``[B, N]``.
        pathways: ``[N, N]``.
        further: The other currents, each ``[T, B, N]``.
        rows: Row j is what a spike of neuron j adds to the current of all.
    """

    current: Tensor
    weight: Tensor | None
    mask: Tensor | None
    coefficients: Sequence[Tensor]
    state: Mapping[int, Tensor]
    pathways: Sequence[Tensor]
    further: Sequence[Tensor]
    rows: Tensor | None

    @classmethod
    def of(
        cls,
        launch: Launch,
        current: Tensor,
        weight: Tensor | None,
        mask: Tensor | None,
        rest: Sequence[Tensor],
        *,
        copied: bool,
    ) -> Inputs:
        """``rest`` as in :func:`parts`; ``copied`` states stay when the caller writes to his."""
        coefficients, fields, weights, further = parts(rest, launch.variant.graph)
        keep = own if copied else readable
        rows = None
        if weight is not None:
            neurons = launch.shape[2]
            rows = torch.zeros(neurons, launch.geometry.padded, dtype=launch.dtype)
            rows[:, :neurons] = weight.t()
        return cls(
            saved(current),
            weight,
            None if mask is None else readable(mask),
            [c.contiguous() for c in coefficients],
            {f: keep(fields[f]) for f in launch.variant.read},
            weights,
            [saved(current) for current in further],
            rows,
        )

    def arrays(self) -> dict[str, Tensor | None]:
        """By the slots that both directions have."""
        return {
            **{"x": readable(self.current), "mask": self.mask, "weight": self.rows},
            **numbered("c", self.coefficients),
            **{f"state{f}": field for f, field in self.state.items()},
            **{current_input(k): readable(x) for k, x in enumerate(self.further, start=1)},
        }


class Forward(NamedTuple):
    """What the forward kernel gives.

    Attributes:
        output: ``[T, B, N]``.
        final: The state after the last step.
        traces: Field by number -> its value after every step.
        kept: States between segments, for the way back; None where there is one segment.
        spikes: How many each task sent, where there is recurrence.
    """

    output: Tensor
    final: list[Tensor]
    traces: dict[int, Tensor]
    kept: Tensor | None
    spikes: Tensor


def forward(
    launch: Launch,
    inputs: Inputs,
    traced: Sequence[int],
    *,
    keep: bool,
    spend: bool = False,
) -> Forward:
    """Run all steps.

    Args:
        launch: Which kernel.
        inputs: Its inputs.
        traced: Fields whose traces are wanted, by number.
        keep: A way back may follow.
        spend: The output may take the memory of the current.
    """
    steps, batch, neurons = launch.shape
    graph, geometry, dtype = launch.variant.graph, launch.geometry, launch.dtype
    kept = None
    if keep and geometry.segments > 1:
        kept = empty((geometry.segments - 1, graph.states, batch, neurons), dtype)
    final = [empty((batch, neurons), dtype) for _ in range(graph.states)]
    if spend and inputs.current.is_contiguous():
        output = inputs.current.detach()  # a step reads its current before it writes
    else:
        output = empty((steps, batch, neurons), dtype)
    traces = {f: empty((steps, batch, neurons), dtype) for f in traced}
    spikes = torch.zeros(geometry.tasks, dtype=torch.int64)
    turned = [weight.t() for weight in inputs.pathways]
    launch.run(
        "forward",
        {
            **inputs.arrays(),
            **{"kept": kept, "output": output, "spikes": spikes},
            **numbered("final", final),
            **{f"trace{f}": trace for f, trace in traces.items()},
            **_packed("path", turned),
        },
        tuple(traces),
    )
    return Forward(output, final, traces, kept, spikes)


def dense(output: Tensor, spikes: Tensor) -> bool:
    """Whether the weight's gradient is one large product with the output."""
    return int(spikes.sum()) > DENSE * output.numel()


class Gradients(NamedTuple):
    """Of what the forward kernel gave; None for zero.

    Attributes:
        output: ``[T, B, N]``.
        final: Of the state after the last step.
        traces: By the number of the field.
    """

    output: Tensor | None
    final: Sequence[Tensor | None]
    traces: Mapping[int, Tensor]


def backward(
    launch: Launch,
    inputs: Inputs,
    wants: Wants,
    gradients: Gradients,
    *,
    kept: Tensor | None,
    output: Tensor | None,
    through: Iterator[Tensor],
) -> tuple[Tensor | None, ...]:
    """Run all steps backwards.

    Args:
        launch: Which kernel.
        inputs: As forwards.
        wants: Which gradients.
        gradients: That come in.
        kept: See :class:`Forward`.
        output: Where the weight's gradient is one large product with it, see :func:`dense`.
        through: What went through those pathways whose weights' gradients are wanted: traces.

    Returns:
        Gradients of current and weight, and of what :func:`parts` takes.
    """
    weight, dtype, pathways = inputs.weight, launch.dtype, launch.variant.pathways
    go = gradients.output
    if go is None:
        go = torch.zeros(1, 1, 1, dtype=dtype).expand(launch.shape)
    last = [None if given is None else readable(given) for given in gradients.final]
    traces = {f: readable(gradient) for f, gradient in gradients.traces.items()}
    gx, first, sums_of = launch.targets(wants)
    packed, sums = None, None
    if weight is not None:
        packed = recurrence.packed(weight, this_machine())
        if wants.weight and output is None:
            sums = launch.sums().zero_()
    launch.run(
        "backward",
        {
            **inputs.arrays(),
            **{"go": readable(go)},
            **{f"g{current_input(k)}": gradient for k, gradient in enumerate(gx)},
            **{"kept": kept, "packed": packed, "weight_gradient": sums},
            **numbered("gs", last),
            **numbered("first", first),
            **numbered("gc", sums_of),
            **{f"gt{f}": gradient for f, gradient in traces.items()},
            **_packed("path", [path.t() for path in inputs.pathways]),
            **_packed("back", inputs.pathways),
        },
        tuple(traces),
    )
    weight_gradient = None
    if sums is not None:
        weight_gradient = sums.sum(0)[:, : launch.shape[2]].t()
    elif output is not None and wants.weight:
        weight_gradient = _outer(gx[0], output, inputs.state[0])
    # The initial state feeds the first step.
    feeding = [((0, 0), weight)] if weight is not None else []
    for (f, current), matrix in (*feeding, *zip(pathways, inputs.pathways, strict=True)):
        if (found := first[f]) is not None:
            found += gx[current][0] @ matrix
    return (
        gx[0] if wants.current else None,
        weight_gradient,
        *map(_added, sums_of, launch.variant.shared),
        *first,
        *[
            _outer(gx[current], next(through), inputs.state[f]) if wanted else None
            for (f, current), wanted in zip(pathways, wants.pathways, strict=True)
        ],
        *[given if wanted else None for given, wanted in zip(gx[1:], wants.further, strict=True)],
    )


def _added(given: Tensor | None, shared: bool) -> Tensor | None:
    """The gradient of a coefficient, of its parts by tasks or blocks of rows."""
    if given is None or shared:
        return None if given is None else given.sum()
    return given[0] if len(given) == 1 else given.sum(0)


def _packed(slot: str, weights: Sequence[Tensor]) -> dict[str, Tensor]:
    pairs = enumerate(weights)
    return {f"{slot}{p}": recurrence.packed(weight, this_machine()) for p, weight in pairs}


def _outer(gx: Tensor, sent: Tensor, first: Tensor) -> Tensor:
    """The gradient of a weight: what arrived in each step times what was sent the step before."""
    later = gx[1:].flatten(0, 1)
    return later.t() @ sent[:-1].flatten(0, 1) + gx[0].t() @ first
