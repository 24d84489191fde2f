"""Accuracy and spikes of a network that is perturbed: the paper's Figure 12.

==================  ===============================================================================
study               at level ``s``
==================  ===============================================================================
``input_noise``     ``x + s N(0, 1)`` for every entry of the input
``spike_deletion``  every spike of the hidden layer is lost with probability ``s`` on its way out
``synaptic_noise``  ``w (1 + s N(0, 1))`` for every weight
``bit_precision``   input, parameters and the keep factors of readout and ALIF are rounded to ``s``
                    binary places
==================  ===============================================================================

Draws depend on seed, study, level and repeat alone.
"""

from __future__ import annotations

import argparse
import copy
import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from brf.models import RecurrentSNN
from brf.perturbations import LEVELS, SHAPE
from brf.robustness_figure import draw
from brf.scoring import Row, Setup, carry_on, score, set_up
from core.errors import UserError
from core.neurons import ALIF, LI
from core.neurons.decay import quantise

Case = tuple[str, float, int]
"""Study, level and number of the draw."""


def run(options: argparse.Namespace) -> list[Row]:
    """What ``robustness.py`` does: test at every level, keep each result as it comes, and draw.

    Raises:
        UserError: The checkpoint, its data or the settings cannot be used, or the folder holds
            results of others.
    """
    if options.repeats < 1:
        raise UserError("--repeats must be at least 1")
    setup = set_up(options)
    file = options.out / f"{setup.name}.jsonl"
    rows = carry_on(
        file,
        SHAPE,
        setup.facts,
        _cases(options.study or list(LEVELS), options.repeats),
        lambda row: (row["study"], row["level"], row["repeat"]),
        lambda case: _measured(setup, *case),
        _line,
    )
    picture = draw({f"{setup.config.model} ({setup.name})": rows}, file.with_suffix(".png"))
    print(f"results: {file}\nfigure: {picture}")
    return rows


def perturbed(
    model: RecurrentSNN, study: str, level: float
) -> tuple[RecurrentSNN, nn.Module | None]:
    """A perturbed copy of a network, and what is done to its input; draws from PyTorch's generator.

    Raises:
        ValueError: No study of this name.
    """
    model = copy.deepcopy(model)
    changes_input: nn.Module | None = None
    if study == "input_noise":
        changes_input = _Noise(level)
    elif study == "spike_deletion":
        model.hidden.deletion_probability = level
    elif study == "synaptic_noise":
        with torch.no_grad():
            for weight in (p for p in model.parameters() if p.dim() == 2):
                weight.mul_(1.0 + level * torch.randn_like(weight))
    elif study == "bit_precision":
        bits = int(level)
        for tensor in itertools.chain(model.parameters(), model.buffers()):
            if tensor.is_floating_point():
                tensor.data = quantise(tensor.data, bits)
        for neuron in (model.hidden.neuron, model.out.neuron):
            if isinstance(neuron, ALIF | LI):
                neuron.fraction_bits = bits
        changes_input = _Rounding(bits)
    else:
        raise ValueError(f"no study is called {study!r}")
    return model, changes_input


class _Noise(nn.Module):
    def __init__(self, std: float) -> None:
        super().__init__()
        self.std = std

    def forward(self, x: Tensor) -> Tensor:
        return x + self.std * torch.randn_like(x)


class _Rounding(nn.Module):
    def __init__(self, bits: int) -> None:
        super().__init__()
        self.bits = bits

    def forward(self, x: Tensor) -> Tensor:
        return quantise(x, self.bits)


def _cases(studies: Sequence[str], repeats: int) -> Iterator[Case]:
    """Rounding draws nothing, and no draw matters at level 0."""
    for study in studies:
        for level in LEVELS[study]:
            times = 1 if study == "bit_precision" or level == 0 else repeats
            yield from ((study, level, repeat) for repeat in range(times))


def _measured(setup: Setup, study: str, level: float, repeat: int) -> Row:
    place = (list(LEVELS).index(study), LEVELS[study].index(level), repeat)
    torch.manual_seed(int(np.random.SeedSequence((setup.seed, *place)).generate_state(1)[0]))
    metrics = score(setup, *perturbed(setup.model, study, level))
    found = {"loss": metrics.loss, "accuracy": metrics.accuracy, "sop": metrics.sop}
    return {"study": study, "level": level, "repeat": repeat, **found}


def _line(row: Row) -> str:
    return (
        f"{row['study']} {row['level']:g}, draw {row['repeat']}: accuracy {row['accuracy']:.2f} %, "
        f"{row['sop']:.1f} spikes per sample"
    )
