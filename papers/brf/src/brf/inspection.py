"""Where the spikes of a network are: per sample, class, neuron and time step.

A spike is one synaptic operation (SOP) as the paper counts it.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from brf.models import Output
from brf.paper import BRF
from brf.published import find
from core.data.qtdb import CLASSES
from core.errors import UserError
from core.metrics import BatchResult
from core.outside.text import to_json
from core.paper import evaluate_checkpoint
from core.plots import figure
from core.training.loop import Objective


def inspect(options: argparse.Namespace) -> SpikeCount:
    """What ``inspect_sop.py`` does: score ``options.checkpoint``, tell its spikes and draw them.

    Raises:
        UserError: The checkpoint or its data cannot be used, or the picture is there already.
    """
    options.checkpoint = find(options.checkpoint)
    picture = options.figure or Path(f"sop_{options.checkpoint.stem}.png")
    if picture.exists():
        raise UserError(f"{picture} is there already; move it, or name another with --figure")
    as_json, options.json = options.json, False  # which is to be the last line
    count = SpikeCount()
    result = evaluate_checkpoint(BRF, options, watch=count)
    draw(count, picture, title=f"{options.checkpoint.name}, {result['task']}", task=result["task"])
    print(f"figure: {picture}")
    if as_json:
        print(to_json(result))
    return count


class SpikeCount:
    """Looks on while a network is tested, see :class:`core.paper.evaluation.Watch`.

    A label of a whole sequence is that of each of its steps; where every step has its own (ECG),
    spikes belong to the class of their step.

    Attributes:
        spikes_TC: Spikes at every step, by class, over all samples.
        places_TC: Samples that were of that class at that step.
        by_sample: Spikes of every sample.
        by_neuron: Spikes of every hidden neuron.
    """

    spikes_TC: Tensor
    places_TC: Tensor

    def __init__(self) -> None:
        self.spikes_TC = self.places_TC = torch.zeros(())
        self._by_sample: list[Tensor] = []
        self._by_neuron: list[Tensor] = []

    def watched(self, objective: Objective, batches: int) -> Objective:
        """The objective, seen from outside."""

        def look(model: nn.Module, inputs_TBI: Tensor, targets: Tensor) -> BatchResult:
            def add(module: nn.Module, given: Any, output: Output) -> None:
                self.add(output, targets)

            handle = model.register_forward_hook(add)
            try:
                return objective(model, inputs_TBI, targets)
            finally:
                handle.remove()

        return look

    def add(self, output: Output, targets: Tensor) -> None:
        """Count one batch; ``targets`` are ``[B]`` or ``[T, B]``."""
        spikes_TBH = output.spikes_TBH.detach().double().cpu()
        steps, batch, _ = spikes_TBH.shape
        classes = output.potentials_TBC.shape[-1]
        spikes_TB = spikes_TBH.sum(-1)
        targets_TB = targets.cpu().expand(steps, batch)
        cells = (torch.arange(steps)[:, None] * classes + targets_TB).flatten()
        size, shape = steps * classes, (steps, classes)
        spikes_TC = torch.bincount(cells, spikes_TB.flatten(), size).view(shape)
        self.spikes_TC = self.spikes_TC + spikes_TC
        self.places_TC = self.places_TC + torch.bincount(cells, minlength=size).view(shape)
        self._by_sample.append(spikes_TB.sum(0))
        self._by_neuron.append(spikes_TBH.sum((0, 1)))

    @property
    def by_sample(self) -> Tensor:
        """``[samples]``."""
        return torch.cat(self._by_sample)

    @property
    def by_neuron(self) -> Tensor:
        """``[H]``."""
        return torch.stack(self._by_neuron).sum(0)

    @property
    def rate_H(self) -> Tensor:
        """Spikes per step and sample of every neuron."""
        return self.by_neuron / (len(self.spikes_TC) * len(self.by_sample))

    @property
    def per_step_C(self) -> Tensor:
        """Spikes per step of a sample of each class; NaN for a class that does not occur."""
        return self.spikes_TC.sum(0) / self.places_TC.sum(0)

    def facts(self) -> dict[str, Any]:
        """For the record."""
        return {
            "sop_per_step": float(self.by_sample.mean()) / len(self.spikes_TC),
            "firing_rate": float(self.rate_H.mean()),
            "silent_neurons": int((self.by_neuron == 0).sum()),
            "spikes_per_step_by_class": [None if x != x else x for x in self.per_step_C.tolist()],
        }

    def __str__(self) -> str:
        samples, facts = self.by_sample, self.facts()
        classes = " ".join(f"{value:.2f}" for value in self.per_step_C.tolist())
        return (
            f"spikes per sample: {samples.mean():.2f}, from {samples.min():.0f} to "
            f"{samples.max():.0f}; per step {facts['sop_per_step']:.4f}, firing rate "
            f"{facts['firing_rate']:.6f}, {facts['silent_neurons']} of {len(self.by_neuron)} "
            f"neurons silent\nspikes per step by class: {classes}"
        )


def draw(count: SpikeCount, path: Path, *, title: str, task: str) -> None:
    """Spikes over time by class, beside those per sample and the rate of every neuron."""
    spikes_TC = (count.spikes_TC / count.places_TC).numpy()
    steps, classes = spikes_TC.shape
    width = max(1, steps // 50)
    names = CLASSES if task == "ecg" else tuple(map(str, range(classes)))
    with figure(path, width=11.0, height=3.6) as fig:
        left, middle, right = fig.subplots(1, 3, width_ratios=[2, 1, 1])
        for index, name in enumerate(names):
            shade = index / max(1, classes - 1)
            left.plot(_smooth(spikes_TC[:, index], width), color=_map()(shade), lw=0.9, label=name)
        everything = (count.spikes_TC.sum(1) / count.places_TC.sum(1)).numpy()
        left.plot(_smooth(everything, width), color="black", label="all")
        mean = f", mean of {width} steps" if width > 1 else ""
        left.set(xlabel="time step", ylabel=f"spikes of the hidden layer{mean}", xlim=(0, steps))
        left.set_ylim(bottom=0)
        if classes <= 10:
            left.legend(ncols=2, fontsize=8)
        left.set_title(title)
        middle.hist(count.by_sample.numpy(), bins=40, color="C1")
        middle.set(xlabel="spikes per sample", ylabel="samples")
        right.plot(np.sort(count.rate_H.numpy())[::-1], color="C0")
        right.set(xlabel="neuron, by rate", ylabel="spikes per step")
        right.set_ylim(bottom=0)


def _smooth(values_T: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Mean over ``width`` steps around each, fewer at the ends; steps without samples left out."""
    ones = np.ones(width)
    known = ~np.isnan(values_T)
    total = np.convolve(np.where(known, values_T, 0.0), ones, "same")
    count = np.convolve(known.astype(float), ones, "same")
    return np.divide(total, count, out=np.full(len(values_T), np.nan), where=count > 0)


def _map() -> Any:
    from matplotlib import colormaps

    return colormaps["viridis"]
