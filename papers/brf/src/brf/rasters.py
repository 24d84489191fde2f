"""One sample on its way through a network, as in the paper's Figure 6."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from brf.config import checkpoint_parser
from brf.models import RecurrentSNN
from brf.scoring import Setup, set_up
from core.data.qtdb import CLASSES
from core.errors import UserError
from core.neurons.resonate import Resonator
from core.plots import raster
from core.records.pictures import Drawn


def run(options: argparse.Namespace) -> Path:
    """What ``raster.py`` does: run a checkpoint on one test sample and draw its spikes.

    Raises:
        UserError: The checkpoint, its data or the sample cannot be used, or the picture is there
            already.
    """
    setup = set_up(options)
    picture: Path = options.figure or Path(f"raster_{setup.name}-{options.sample}.png")
    if picture.exists():
        raise UserError(f"{picture} is there already; move it, or name another with --figure")
    if not 0 <= options.sample < setup.test.samples:
        raise UserError(
            f"there is no sample {options.sample}; the test set has {setup.test.samples}, "
            "counted from 0"
        )
    inputs_TBI, target = setup.test.take(torch.tensor([options.sample]), 0)
    draw(setup, inputs_TBI, target, picture, title=f"{setup.name}, test sample {options.sample}")
    print(f"figure: {picture}")
    return picture


@torch.no_grad()
def draw(setup: Setup, inputs_TBI: Tensor, target: Tensor, path: Path, *, title: str) -> None:
    """Input, spikes of the hidden neurons in the order of their time scale, belief in the classes.

    Resonators stand by their angular frequency, the slowest at the bottom, ALIF by its membrane
    time constant, the longest at the bottom. The belief is the softmax of the readout at each
    step; where the whole sequence has one label, that of the potentials' mean up to the step, as
    the task reads them, or of the step alone (``label_last``).
    """
    output = setup.model.eval()(inputs_TBI.to(setup.device))
    order_H = by_time_scale(setup.model)
    potentials_TC = output.potentials_TBC[:, 0].cpu()
    if target.dim() == 1 and not getattr(setup.config, "label_last", False):
        steps = torch.arange(1, len(potentials_TC) + 1)[:, None]
        potentials_TC = potentials_TC.cumsum(0) / steps
    belief_TC = potentials_TC.softmax(-1)
    classes = CLASSES if setup.config.task == "ecg" else tuple(map(str, range(belief_TC.shape[1])))
    if target.dim() == 1:
        title += f", class {int(target)}, answered {int(belief_TC[-1].argmax())}"
    else:
        right = (belief_TC.argmax(-1) == target[:, 0]).float().mean()
        title += f", {100 * right:.0f} % of the steps right"
    inputs_TI = inputs_TBI[:, 0].cpu()
    layers = {
        "input\nchannel": inputs_TI.numpy(),
        "hidden\nneuron": output.spikes_TBH[:, 0].cpu()[:, order_H].numpy(),
    }
    raster(layers, path, title=title, posterior_TC=belief_TC.numpy(), classes=classes)


@torch.no_grad()
def side_by_side(checkpoints: Sequence[Path], path: Path, *, sample: int = 0) -> Drawn:
    """One test sample in several networks of a task: the input, and the spikes of each.

    Raises:
        UserError: A network or the data cannot be used.
    """
    layers: dict[str, np.ndarray] = {}
    names = []
    for file in checkpoints:
        options = checkpoint_parser("figures.py", "", recorded=False).parse_args([str(file)])
        setup = set_up(argparse.Namespace(**vars(options), samples=None, seed=0))
        inputs_TBI, _ = setup.test.take(torch.tensor([sample]), 0)
        spikes_TH = setup.model.eval()(inputs_TBI.to(setup.device)).spikes_TBH[:, 0].cpu()
        names.append(setup.config.model.upper())
        layers.setdefault("input\nchannel", inputs_TBI[:, 0].numpy())
        layers[f"{names[-1]}\nneuron"] = spikes_TH[:, by_time_scale(setup.model)].numpy()
    task = setup.config.task.upper()
    raster(layers, path, title=f"Test sample {sample} of {task}")
    return Drawn(
        path,
        f"Figure 6: test sample {sample} of {task} in trained networks of one seed "
        f"({', '.join(names)}): resonators from the slowest (bottom) to the fastest, ALIF from the "
        "longest membrane time constant to the shortest",
    )


def by_time_scale(model: RecurrentSNN) -> Tensor:
    """Neurons in the order in which they are drawn, ``[H]``."""
    neuron = model.hidden.neuron
    if isinstance(neuron, Resonator):
        return neuron.omega.detach().abs().cpu().argsort()
    return neuron.get_parameter("tau_mem").detach().abs().cpu().argsort(descending=True)
