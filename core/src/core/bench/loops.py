"""Our contestants: a backend of the scan, and the loop that many public repositories have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from core.bench.timing import Contestant, seconds
from core.bench.workloads import Inputs
from core.neurons import Neuron
from core.scan import scan

#: Above this many seconds the public loop is not waited for.
PATIENCE = 120.0


def backend_output(inputs: Inputs, backend: str) -> Tensor:
    """The output ``[T, B, H]`` of a backend."""
    return scan(inputs.neuron, inputs.current_TBH, recurrent_weight=inputs.weight, backend=backend)[
        0
    ]


def public_loop(inputs: Inputs) -> Tensor:
    """The output ``[T, B, H]`` of :func:`index_time`."""
    return index_time(inputs.neuron, inputs.current_TBH, inputs.weight)


def index_time(
    neuron: Neuron, current: Tensor, weight: Tensor | None, *, batch_first: bool = False
) -> Tensor:
    """The output of a loop that reads ``current[t]`` under autograd, in the current's layout.

    The backward of every such index fills a whole sequence with zeros, so its time grows with
    ``T`` squared.

    Args:
        neuron: ``H`` neurons.
        current: ``[T, B, H]``, or ``[B, T, H]``.
        weight: Recurrent weight or None.
        batch_first: Read ``current[:, t]``.
    """
    time, batch = (1, 0) if batch_first else (0, 1)
    coefficients, outputs = neuron.coefficients(), []
    state = neuron.initial_state(current.shape[batch])
    for t in range(current.shape[time]):
        now = current[:, t] if batch_first else current[t]
        if weight is not None:
            now = now + state.spike @ weight.t()
        state, output = neuron.step(coefficients, state, now)
        outputs.append(output)
    return torch.stack(outputs, dim=time)


def contestant(inputs: Inputs, forward: Callable[[Inputs], Tensor]) -> Contestant:
    """Forward and backward through ``forward``, gradients of input, parameters and weight."""
    return Contestant(
        run=lambda: forward(inputs).backward(inputs.gradient_TBH),
        reset=inputs.forget_gradients,
    )


def public_loop_seconds(inputs: Inputs, device: torch.device) -> tuple[float, str]:
    """Seconds of one pass of :func:`public_loop`, and how they are known.

    ``measured``, or ``extrapolated``: a quarter of the steps, times 16, where that promises more
    than :data:`PATIENCE`.
    """
    steps = len(inputs.current_TBH)
    quarter = replace(
        inputs,
        current_TBH=inputs.current_TBH.detach()[: max(1, steps // 4)].clone().requires_grad_(),
        gradient_TBH=inputs.gradient_TBH[: max(1, steps // 4)],
    )
    estimate = 16.0 * seconds(contestant(quarter, public_loop), device)
    if estimate > PATIENCE:
        return estimate, "extrapolated"
    taken = seconds(contestant(inputs, public_loop), device)
    inputs.forget_gradients()
    return taken, "measured"
