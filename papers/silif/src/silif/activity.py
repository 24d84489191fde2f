"""Firing rates and synaptic operations as the paper counts them.

Both look at the *activities* of a network: its input and what leaves each hidden layer, after
dropout, each ``[T, B, N]``. Of SS4D the authors' code hands over zeros and the spikes before
dropout with steps and channels exchanged; so do we, as ``[H, B, T]``.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor

from core.layers import LayerOutput, Network, NetworkOutput
from silif.ss4d import SS4D

NEARLY_ONE = 0.9
"""Above it a value counts as one spike: spikes that dropout scaled, and counts of the input."""


def run(
    network: Network,
    x_TBI: Tensor,
    state: Sequence[Any] | None = None,
    generator: torch.Generator | None = None,
) -> tuple[NetworkOutput, list[Tensor]]:
    """What a network gives, see :meth:`core.layers.Network.forward`, and its activities."""
    results: list[LayerOutput] = []
    with ExitStack() as hooks:
        for layer in network[: network.hidden_layers]:
            hook = layer.register_forward_hook(lambda _, __, result: results.append(result))
            hooks.callback(hook.remove)
        output = network(x_TBI, state, generator)
    if any(isinstance(module, SS4D) for module in network.modules()):
        spikes = [spikes_TBH.detach().permute(2, 1, 0) for spikes_TBH in output.spikes_TBN]
        return output, [torch.zeros_like(spikes[0]), *spikes]
    return output, [x_TBI.detach(), *(result.output_TBH.detach() for result in results)]


def firing_rates(activities: Sequence[Tensor]) -> Tensor:
    """Means over steps and samples, one value per feature of each activity in turn.

    Values above :data:`NEARLY_ONE` count as one, all others as they are.
    """
    return torch.cat([a.masked_fill(a > NEARLY_ONE, 1.0).mean((0, 1)) for a in activities])


def synaptic_operations(activities: Sequence[Tensor], layer_sizes: Sequence[int]) -> Tensor:
    r"""Operations of each sample, ``[B]`` float64.

        sop_b = sum over layers k of N_k (non-zero values that reach layer k)

    A value other than zero is handed to all ``N_k`` neurons of the layer behind it, whichever of
    the weights are zero; recurrent weights and what happens inside of neurons are not counted.

    Args:
        activities: The input, and of every hidden layer; without a readout the last one reaches
            nobody.
        layer_sizes: ``N_k`` of every layer, the readout's last.
    """
    reached = zip(activities, layer_sizes, strict=False)
    counts = [size * a.count_nonzero(dim=(0, 2)) for a, size in reached]
    return torch.stack(counts).sum(0).to(torch.float64)
