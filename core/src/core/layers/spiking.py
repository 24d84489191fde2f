"""A hidden layer of spiking neurons."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from core.layers.normalization import Normalization
from core.layers.shell import LayerOutput, Shell
from core.neurons.base import Neuron
from core.scan import scan


class SpikingLayer(Shell):
    r"""Any spiking neuron behind a normalised projection, with or without layer-wise recurrence.

        I_t = norm(W x_t + bias) + V0^T s_{t-1}
        s_t = neuron(I_t);  y_t = dropout(s_t)

    ``V0`` is ``V`` with a zero diagonal: ``V0[i, j]`` leads from neuron ``i`` to neuron ``j``. The
    diagonal exists, and its gradient is zero. ``W`` is ``U(+-1/sqrt(I))``, ``V`` orthogonal; they
    are drawn in the order W, V, neuron, V again. Source: Bittar and Garner (2022) and their code.

    Args:
        inputs: ``I``.
        size: ``N``.
        neuron: Makes ``size`` neurons.
        recurrent: Feed the spikes of the last step back through ``V0``.
        normalization: See :class:`core.layers.shell.Shell`, as for the next three.
        bias: See there.
        bidirectional: See there.
        dropout: See there.
        backend: For :func:`core.scan.scan`.
    """

    def __init__(
        self,
        inputs: int,
        size: int,
        neuron: Callable[[int], Neuron],
        *,
        recurrent: bool = False,
        normalization: Normalization = "none",
        bias: bool = False,
        bidirectional: bool = False,
        dropout: float = 0.0,
        backend: str = "auto",
    ) -> None:
        super().__init__(
            size,
            normalization=normalization,
            bias=bias,
            bidirectional=bidirectional,
            dropout=dropout,
        )
        self.W = self.projection(inputs)
        self.V = self.recurrence() if recurrent else None
        self.neuron = neuron(size)
        if self.V is not None:
            nn.init.orthogonal_(self.V.weight)
        self.norm = self.norm_of_current()
        self.backend = backend

    def forward(
        self, x_TBI: Tensor, state: Any = None, generator: torch.Generator | None = None
    ) -> LayerOutput:
        """Output, spikes and final state for input ``[T, B, I]``.

        Args:
            x_TBI: Input.
            state: State before the first step, ``[B, N]`` per field (``[2 B, N]`` in a
                bidirectional layer, the reversed sequences second); None for the neuron's own.
            generator: Where a random initial state is drawn from; None for PyTorch's global one.
                Dropout always draws from the global one.
        """
        spikes_TBN, state = scan(
            self.neuron,
            self.current(x_TBI, self.W, self.norm),
            recurrent_weight=self.recurrent_weight(),
            state=state,
            backend=self.backend,
            generator=generator,
        )
        spikes_TBH = self.joined(spikes_TBN)
        return LayerOutput(self.drop(spikes_TBH), spikes_TBH, state)

    def recurrent_weight(self) -> Tensor | None:
        """``V0`` transposed, from column to row as :func:`core.scan.scan` takes it."""
        if self.V is None:
            return None
        return self.V.weight.clone().fill_diagonal_(0.0).t()
