"""A neuron behind one matrix of input and recurrent weights, as cells of RNNs are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from core.layers.sequence import LayerOutput, SequenceModule, TracedOutput
from core.neurons.base import Neuron
from core.opaque import watched
from core.projection import project
from core.scan import scan


class Layer(SequenceModule):
    """``neuron(W x_t + V z_{t-1} + bias)`` over a whole sequence.

    ``W`` and ``V`` are Xavier-uniform as one matrix ``[H, I + H]``, the way networks that feed a
    cell with ``cat(x_t, z_{t-1})`` draw them.

    Args:
        inputs: ``I``.
        neuron: ``H`` neurons.
        recurrent: Feed the spikes of the last step back through ``V``.
        bias: Add a trainable bias.
        zero_bias: Start the bias at zero; otherwise ``U(+-1/sqrt(fan in))``.
        mask_probability: Share of ``V`` that is pruned, drawn once at construction. The buffer
            ``recurrent_mask`` ``[H, H]`` exists only where this is above 0. Every forward first
            zeroes the pruned weights; their gradient is not masked, so that an optimiser moves
            them until the next forward (as in the BRF authors' masked linear layer).
        deletion_probability: Chance with which each spike is lost on its way out of the neuron,
            in training and in evaluation (noise study); see ``spike_mask_TBN`` of
            :func:`core.scan.scan`.
        batch_first: See :class:`core.layers.sequence.SequenceModule`.
        backend: For :func:`core.scan.scan`.

    Raises:
        ValueError: For a probability outside ``[0, 1]``, or pruning without recurrence.
    """

    records = True

    def __init__(
        self,
        inputs: int,
        neuron: Neuron,
        *,
        recurrent: bool = False,
        bias: bool = False,
        zero_bias: bool = False,
        mask_probability: float = 0.0,
        deletion_probability: float = 0.0,
        batch_first: bool = False,
        backend: str = "auto",
    ) -> None:
        super().__init__(inputs, batch_first=batch_first)
        _check_probability("mask_probability", mask_probability)
        _check_probability("deletion_probability", deletion_probability)
        if mask_probability > 0.0 and not recurrent:
            raise ValueError("mask_probability prunes recurrent weights: it needs recurrent=True")
        fan_in = inputs + (neuron.size if recurrent else 0)
        joint = nn.Linear(fan_in, neuron.size, bias=bias)
        nn.init.xavier_uniform_(joint.weight)
        if bias and zero_bias:
            nn.init.zeros_(joint.bias)
        weight = joint.weight.detach()
        self.input_weight = nn.Parameter(weight[:, :inputs].clone())
        self.recurrent_weight = nn.Parameter(weight[:, inputs:].clone()) if recurrent else None
        self.bias = joint.bias
        self.recurrent_mask: Tensor | None
        if mask_probability > 0.0:
            keep = torch.rand(neuron.size, neuron.size) > mask_probability
            self.register_buffer("recurrent_mask", keep.to(weight.dtype))
        else:
            self.recurrent_mask = None
        self.neuron = neuron
        self.deletion_probability = deletion_probability
        self.backend = backend

    def over_time(
        self,
        x_TBI: Tensor,
        state: Any,
        generator: torch.Generator | None,
        record: Sequence[str] | None = None,
    ) -> LayerOutput | TracedOutput:
        """Output, spikes (those that are not deleted) and final state, ``[B, H]`` per field."""
        recurrent_weight = self._pruned()
        current_TBH = project(x_TBI, self.input_weight, self.bias)
        output_TBH, state, traces = scan(
            self.neuron,
            current_TBH,
            recurrent_weight=recurrent_weight,
            spike_mask_TBN=self._surviving(current_TBH, generator),
            state=state,
            backend=self.backend,
            generator=generator,
            record=record or (),
            spend_current=True,
        )
        spikes_TBH = output_TBH if self.neuron.spiking else None
        result = LayerOutput(output_TBH, spikes_TBH, state)
        return result if record is None else result.traced(traces)

    def _pruned(self) -> Tensor | None:
        weight, mask = self.recurrent_weight, self.recurrent_mask
        if weight is None or mask is None:
            return weight
        if watched(weight) is not None:  # the same without writing to a parameter
            return weight + (weight * mask - weight).detach()
        # .data, not no_grad: masking twice changes nothing, so a second forward must not
        # mark the weight as modified for the backward of the first.
        weight.data.mul_(mask)
        return weight

    def _surviving(self, like: Tensor, generator: torch.Generator | None) -> Tensor | None:
        if self.deletion_probability == 0.0:
            return None
        uniform = torch.rand(like.shape, dtype=like.dtype, device=like.device, generator=generator)
        return (uniform > self.deletion_probability).to(like.dtype)


def _check_probability(name: str, value: float) -> None:
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{name} is a probability between 0 and 1, not {value}")
