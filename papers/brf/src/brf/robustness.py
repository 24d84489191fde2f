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
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from brf.config import Config
from brf.models import RecurrentSNN
from brf.paper import BRF
from brf.published import find
from core import checkpoints
from core.data.batches import RowBatches
from core.errors import UserError
from core.metrics import Metrics
from core.neurons import ALIF, LI
from core.neurons.decay import quantise
from core.outside.shape import check
from core.outside.text import from_json, read_json_lines, to_json
from core.paper import read_checkpoint, with_options
from core.training.devices import choose_device
from core.training.loop import Objective, evaluate
from core.training.threads import settle_threads

LEVELS: dict[str, tuple[float, ...]] = {
    "input_noise": tuple(round(0.05 * n, 2) for n in range(8)),
    "spike_deletion": tuple(round(0.1 * n, 1) for n in range(10)),
    "synaptic_noise": tuple(round(0.1 * n, 1) for n in range(11)),
    "bit_precision": (1, 2, 4, 8, 16, 32),
}
_ROW = {
    **{"study": {*LEVELS}, "level": float, "repeat": int, "loss": (float, None)},
    **{
        "accuracy": float,
        "sop": float,
        "samples": int,
        "seed": int,
        "weights": str,
        "task": str,
        "model": str,
    },
}
Row = dict[str, Any]


class Setup(NamedTuple):
    """A network and what it is tested on.

    Attributes:
        model: Unperturbed.
        objective: Of its task.
        test: Its test set.
        samples: How many of it.
        device: Where to compute.
    """

    model: RecurrentSNN
    objective: Objective
    test: RowBatches
    samples: int
    device: torch.device


def run(options: argparse.Namespace) -> list[Row]:
    """What ``robustness.py`` does: test at every level, keep each result as it comes, and draw.

    Raises:
        UserError: The checkpoint, its data or the settings cannot be used, or the folder holds
            results of others.
    """
    from brf.robustness_figure import draw

    if options.repeats < 1 or (options.samples is not None and options.samples < 1):
        raise UserError("--repeats and --samples must be at least 1")
    options.checkpoint = find(options.checkpoint)
    name, config, setup = _set_up(options)
    folder: Path = options.out or Path("runs") / "robustness"
    file = folder / f"{name}.jsonl"
    facts = {
        "task": config.task,
        "model": config.model,
        "samples": setup.samples,
        "seed": options.seed,
        "weights": checkpoints.weights_digest(setup.model.state_dict())[:16],
    }
    done = read_rows(file) if file.exists() else []
    if any(row[key] != value for row in done for key, value in facts.items()):
        raise UserError(f"{file} is of other weights, samples or seed; choose another --out")
    known = {(row["study"], row["level"], row["repeat"]): row for row in done}
    folder.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as stream:
        for case in _cases(options.study or list(LEVELS), options.repeats):
            if case in known:
                continue
            row = _measured(setup, *case, options.seed) | facts
            known[case] = row
            stream.write(to_json(row) + "\n")
            stream.flush()
            print(_line(row), flush=True)
    rows = list(known.values())
    picture = draw({f"{config.model} ({name})": rows}, file.with_suffix(".png"))
    print(f"results: {file}\nfigure: {picture}")
    return rows


def read_rows(file: Path) -> list[Row]:
    """Results that :func:`run` kept.

    Raises:
        UserError: They are damaged.
    """
    return [check(from_json(line, at), _ROW, at) for line, at in read_json_lines(file)]


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


def _set_up(options: argparse.Namespace) -> tuple[str, Config, Setup]:
    loaded = read_checkpoint(BRF, options)
    config = with_options(BRF, loaded.config, options)
    device = choose_device(config.device, config.threads)
    task = BRF.load_task(config, loaded.weights)
    model = checkpoints.build_with(
        lambda: BRF.build(config, task), loaded.weights, str(options.checkpoint)
    ).to(device)
    assert isinstance(model, RecurrentSNN)
    if not config.threads:
        settle_threads(model, task.test, device)
    samples = min(options.samples or task.test.samples, task.test.samples)
    setup = Setup(model, BRF.objective(config), task.test, samples, device)
    return loaded.name, config, setup


def _cases(studies: Sequence[str], repeats: int) -> Iterator[tuple[str, float, int]]:
    """Rounding draws nothing, and no draw matters at level 0."""
    for study in studies:
        for level in LEVELS[study]:
            times = 1 if study == "bit_precision" or level == 0 else repeats
            yield from ((study, level, repeat) for repeat in range(times))


def _measured(setup: Setup, study: str, level: float, repeat: int, seed: int) -> Row:
    place = (list(LEVELS).index(study), LEVELS[study].index(level), repeat)
    torch.manual_seed(int(np.random.SeedSequence((seed, *place)).generate_state(1)[0]))
    model, changes_input = perturbed(setup.model, study, level)
    batches = _batches(setup, changes_input)
    metrics: Metrics = evaluate(model, batches, setup.objective, device=setup.device)
    assert metrics.sop is not None
    found = {"loss": metrics.loss, "accuracy": metrics.accuracy, "sop": metrics.sop}
    return {"study": study, "level": level, "repeat": repeat, **found}


def _batches(setup: Setup, changes_input: nn.Module | None) -> Iterator[tuple[Tensor, Tensor]]:
    left = setup.samples
    for inputs_TBI, targets in setup.test.epoch(0):
        inputs_TBI, targets = inputs_TBI[:, :left], targets[..., :left]
        yield inputs_TBI if changes_input is None else changes_input(inputs_TBI), targets
        left -= inputs_TBI.shape[1]
        if left <= 0:
            return


def _line(row: Row) -> str:
    return (
        f"{row['study']} {row['level']:g}, draw {row['repeat']}: accuracy {row['accuracy']:.2f} %, "
        f"{row['sop']:.1f} spikes per sample"
    )
