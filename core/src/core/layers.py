"""Layers: a projection, a neuron run over time, and layer-wise recurrence."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from core.neurons.base import Neuron
from core.scan import scan


class Layer(nn.Module):
    """``neuron(W x_t + V z_{t-1} + bias)`` over a whole sequence.

    ``W`` and ``V`` are Xavier-uniform as one matrix ``[H, I + H]``, the way networks that feed a
    cell with ``cat(x_t, z_{t-1})`` draw them.

    Args:
        inputs: ``I``.
        neuron: ``H`` neurons.
        recurrent: Feed the spikes of the last step back through ``V``.
        bias: Add a trainable bias.
        zero_bias: Start the bias at zero; otherwise ``U(+-1/sqrt(fan in))``.
        backend: For :func:`core.scan.scan`.
    """

    def __init__(
        self,
        inputs: int,
        neuron: Neuron,
        *,
        recurrent: bool = False,
        bias: bool = False,
        zero_bias: bool = False,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        fan_in = inputs + (neuron.size if recurrent else 0)
        joint = nn.Linear(fan_in, neuron.size, bias=bias)
        nn.init.xavier_uniform_(joint.weight)
        if bias and zero_bias:
            nn.init.zeros_(joint.bias)
        weight = joint.weight.detach()
        self.input_weight = nn.Parameter(weight[:, :inputs].clone())
        self.recurrent_weight = nn.Parameter(weight[:, inputs:].clone()) if recurrent else None
        self.bias = joint.bias
        self.neuron = neuron
        self.backend = backend

    def forward(
        self, x_TBI: Tensor, state: Any = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Any]:
        """Output ``[T, B, H]`` and final state for input ``[T, B, I]``."""
        current_TBH = nn.functional.linear(x_TBI, self.input_weight, self.bias)
        return scan(
            self.neuron,
            current_TBH,
            recurrent_weight=self.recurrent_weight,
            state=state,
            backend=self.backend,
            generator=generator,
        )
