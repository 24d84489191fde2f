"""Losses and accuracies of the paper's tasks.

With potentials ``o_t`` of the readout, ``nll_t = -log softmax(o_t)[target]``, averaged over the
batch, and ``S`` skipped first steps (``sub_seq_length`` of the authors' code):

==============  =============================  ===================================
objective       loss                           a prediction is
==============  =============================  ===================================
per step (ECG)  sum over t >= S of nll_t       argmax of o_t, each step
last step       nll at the last step           argmax of o at the last step
mean (S-MNIST)  sum over t >= S of nll_t       argmax of the mean of o_t, t >= S
==============  =============================  ===================================

The reported value of a sum is divided by its number of steps; the loss that is differentiated is
not (the paper says mean, the authors' code sums; it matters through gradient clipping only).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from core.metrics import BatchResult, count_spikes
from core.training.loop import Objective


def make_objective(
    *, per_step: bool, label_last: bool, sub_seq_length: int = 0, lambda_spike: float = 0.0
) -> Objective:
    """The objective of a task, see the table above.

    Args:
        per_step: One target per step, ``[T, B]``; otherwise one per sequence, ``[B]``.
        label_last: Use the last step only.
        sub_seq_length: Steps at the start that count neither in loss nor in accuracy.
        lambda_spike: Energy-aware training of the seed repository: while training, the loss is
            ``mean over steps of nll_t + lambda_spike * spikes / B``; evaluation leaves it out.
    """

    def objective(model: nn.Module, inputs_TBI: Tensor, targets: Tensor) -> BatchResult:
        output = model(inputs_TBI)
        potentials_TBC = output.potentials_TBC[-1 if label_last else sub_seq_length :]
        batch = inputs_TBI.shape[1]
        if per_step:
            targets_TB = targets[sub_seq_length:]
        else:
            targets_TB = targets.expand(len(potentials_TBC), batch)
        loss = summed_nll(potentials_TBC, targets_TB)
        value = loss.detach() / len(potentials_TBC)
        if lambda_spike and model.training:
            loss = loss / len(potentials_TBC) + lambda_spike * output.spikes_TBH.sum() / batch
            value = loss.detach()
        if per_step:
            right = potentials_TBC.argmax(-1) == targets_TB
        else:
            right = potentials_TBC.mean(0).argmax(-1) == targets
        layers = count_spikes([output.spikes_TBH])
        return BatchResult(
            loss=loss,
            value=value,
            correct=right.sum(),
            predictions=right.numel(),
            spikes=layers[0].spikes,
            samples=batch,
            layers=layers,
        )

    return objective


def summed_nll(potentials_TBC: Tensor, targets_TB: Tensor) -> Tensor:
    """``sum over t of mean over the batch of -log softmax(o_t)[target]``."""
    steps = len(potentials_TBC)
    # Classes before samples: softmax over few classes that lie next to each other is slow.
    potentials_CL = potentials_TBC.flatten(0, 1).t()
    mean = nn.functional.cross_entropy(
        potentials_CL[None], targets_TB.reshape(1, -1).to(torch.int64)
    )
    return mean * steps
