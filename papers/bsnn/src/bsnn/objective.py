"""Loss and counts of a batch, and the balance of its currents."""

from __future__ import annotations

import statistics
from dataclasses import replace

import torch
from torch import Tensor, nn

from bsnn.balance import balance
from bsnn.config import Config
from bsnn.drives import drives_of
from bsnn.models import BSNN
from core.errors import UserError
from core.layers import NetworkOutput
from core.metrics import BatchResult
from core.objectives import classified
from core.spoken.training import RatePenalty
from core.training.loop import Objective


def make_objective(config: Config) -> Objective:
    """Cross-entropy of the summed softmaxes as logits, see :func:`core.objectives.classification`.

    ``y`` is a sum of ``T - t_crop`` softmaxes. By the published protocol, the accuracy of an epoch
    is the mean over batches (``exact_accuracy`` is that over samples). Beside it stand

    * ``batch_rate``: spikes per neuron and step after dropout, a mean over batches;
    * ``balance_median``, ``balance_lowpass`` with ``track_balance``, see
      :func:`bsnn.balance.balance`: means over batches.

    Raises:
        UserError: An auto-encoder is to be trained, which has nothing to train.
    """
    penalty = None
    if config.use_regularizers:
        penalty = RatePenalty(config.reg_factor, config.reg_fmin, config.reg_fmax)

    def objective(model: nn.Module, inputs_TBI: Tensor, targets_B: Tensor) -> BatchResult:
        assert isinstance(model, BSNN)
        output = model.run(inputs_TBI)
        result = classified(output, targets_B, penalty if model.training else None)
        further = _measured(config, model, inputs_TBI, output)
        if config.protocol == "published":
            share = 100.0 * int(result.correct) / result.predictions
            further["exact_accuracy"] = share, float(result.predictions)
        return replace(result, by_batch=config.protocol == "published", further=further)

    if config.auto_encoder:
        raise UserError(
            "an auto-encoder has nothing to train; look at one with "
            "python main.py run_balanced_ae_sample"
        )
    return objective


@torch.no_grad()
def _measured(
    config: Config, model: BSNN, inputs_TBI: Tensor, output: NetworkOutput
) -> dict[str, tuple[float, float]]:
    """What is measured beside loss, accuracy and spikes, each with its weight in an epoch."""
    measured: dict[str, tuple[float, float]] = {}
    if output.outputs_TBN:
        rates = [float(layer.mean()) for layer in output.outputs_TBN]
        measured["batch_rate"] = statistics.fmean(rates), 1.0
    if config.track_balance:
        drives = drives_of(model, inputs_TBI, output, published=config.currents == "published")
        layers = [balance(drive) for drive in drives]
        for name in layers[0]._fields:
            value = statistics.fmean(getattr(layer, name) for layer in layers)
            measured[f"balance_{name}"] = value, 1.0
    return measured
