"""Pictures of what a network did with a sample, drawn by :mod:`bsnn.plots`."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from bsnn import plots
from bsnn.drives import drive_of
from bsnn.layer import BalancedLayer
from bsnn.models import BSNN
from bsnn.reconstruction import decoded, integrated
from core.layers import NetworkOutput


@torch.no_grad()
def draw_sample(
    path: Path, model: BSNN, x_TBI: Tensor, output: NetworkOutput, *, sample: int = 0, title: str
) -> Path:
    """The first hidden layer and one of its neurons; of both directions, the onward one.

    Currents are drawn where balance is tracked, voltages where the layer is the paper's.

    Args:
        path: PNG to write.
        model: Whose first hidden layer spikes.
        x_TBI: A batch.
        output: What the network gave for it.
        sample: Which of the batch.
        title: Stands over the figure.
    """
    layer, config = model.layers[0], model.config
    x = x_TBI[:, sample : sample + 1]
    spikes = output.spikes_TBN[0][:, sample : sample + 1]
    neuron = plots.looked_at(config.neurons)
    voltage, threshold, currents = None, None, None
    if isinstance(layer, BalancedLayer):
        traces = layer(x, record=("potential",)).traces
        voltage = traces["potential"][:, 0, neuron].numpy()
        threshold = float(layer.neuron.threshold[neuron])
    if config.track_balance:
        drive = drive_of(layer, x, spikes, published=config.currents == "published")  # type: ignore[arg-type]
        exc, inh = (current[:, 0, neuron].numpy() for current in drive.currents(slice(1)))
        currents = exc, inh
    return plots.sample(
        path,
        inputs_TI=x[:, 0].numpy(),
        spikes_TN=spikes[:, 0, : config.neurons].numpy(),
        neuron=neuron,
        voltage_T=voltage,
        threshold=threshold,
        currents=currents,
        title=title,
    )


@torch.no_grad()
def draw_estimate(path: Path, model: BSNN, x_TBI: Tensor, output: NetworkOutput) -> float:
    """Signal and estimate of the first sample; returns the mean squared error over the signal's.

    Neurons with decays of their own (an unbalanced start) are read with their mean.
    """
    layer = model.layers[0]
    assert isinstance(layer, BalancedLayer), "an auto-encoder has no other"
    alpha = float(layer.neuron.coefficients().alpha.mean())
    signal = integrated(x_TBI[:, 0].numpy(), alpha)
    estimate = decoded(output.spikes_TBN[0][:, 0].numpy(), layer.W.detach().numpy(), alpha)
    plots.estimate(path, signal_TI=signal, estimate_TI=estimate, title="auto-encoder:")
    return float(((signal - estimate) ** 2).mean() / max((signal**2).mean(), 1e-30))
