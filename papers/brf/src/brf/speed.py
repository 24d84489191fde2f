"""Table 4 of the paper: how long a training takes, theirs and ours, fused and step by step.

A full training takes ``epochs x steps of an epoch x time of a step``; what evaluation costs beside
it is in the times of the recorded runs. The network is trained for a few steps first, because
one that does not spike yet is no fair workload.
"""

from __future__ import annotations

import copy
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count, islice
from typing import Any

import torch
from torch import Tensor

from brf.config import CONFIGS, PAPER, Config
from brf.models import RecurrentSNN
from brf.paper import BRF
from core.bench.table import duration
from core.bench.timing import Contestant, interleaved
from core.config import load_yaml
from core.paper import Task
from core.records.claims import load_claims
from core.records.store import Record, load_records
from core.training.seeding import seed_everything

TASKS = ("smnist", "psmnist", "ecg", "shd")
WARM = 200
"""Training steps before the clock starts."""
CPU = torch.device("cpu")
_WAYS = {"fused": "auto", "loop": "reference"}


@dataclass(frozen=True)
class Speed:
    """What was measured of one task.

    Attributes:
        task: Its name.
        shape: Of a batch and the network.
        step: Seconds of forward and backward with the fused scan.
        loop: Seconds of the same with the loop over time.
        steps: Training steps of a full training.
        rate: Spikes per hidden neuron and step.
    """

    task: str
    shape: str
    step: float
    loop: float
    steps: int
    rate: float


def measure(config: Config, repeats: int) -> Speed:
    """Time both ways through one training batch of a task, in turn, from the same weights.

    Args:
        config: Of the training; its data are read.
        repeats: Timed passes of each, the median counts.

    Raises:
        UserError: The data are missing or damaged.
    """
    seed_everything(config.seed)
    task = BRF.load_task(config, None)
    model = BRF.build(config, task)
    assert isinstance(model, RecurrentSNN)
    batches = chain.from_iterable(task.train.epoch(epoch) for epoch in count())
    _train(config, model, islice(batches, WARM))
    inputs_TBI, targets = next(batches)
    contestants = {
        name: _contestant(replace(config, backend=backend), task, model, inputs_TBI, targets)
        for name, backend in _WAYS.items()
    }
    times = interleaved(contestants, repeats, CPU)
    with torch.no_grad():
        rate = float(model.eval()(inputs_TBI).spikes_TBH.mean())
    steps, batch, inputs = inputs_TBI.shape
    return Speed(
        config.task,
        f"T={steps} B={batch} {inputs}-{config.hidden}-{task.classes}",
        *(times["fused"], times["loop"]),
        config.epochs * len(task.train),
        rate,
    )


def _train(config: Config, model: RecurrentSNN, batches: Iterator[tuple[Tensor, Tensor]]) -> None:
    objective = BRF.objective(config)
    recipe = BRF.recipe(config, model, objective)
    for inputs_TBI, targets in batches:
        recipe.train_step(model.train(), inputs_TBI, targets, recipe.optimizer)


def _contestant(
    config: Config, task: Task, model: RecurrentSNN, inputs_TBI: Tensor, targets: Tensor
) -> Contestant:
    own = BRF.build(config, task)
    own.load_state_dict(copy.deepcopy(model.state_dict()))
    objective = BRF.objective(config)

    def run() -> None:
        objective(own.train(), inputs_TBI, targets).loss.backward()

    return Contestant(run, lambda: own.zero_grad(set_to_none=True))


def of_task(task: str, *, regenerated: bool = False, **changes: Any) -> Config:
    """The recipe of BRF on a task."""
    file = PAPER / "configs" / f"{task}_brf.yaml"
    if regenerated and task == "shd":
        changes["data"] = "regenerated"
    config: Config = load_yaml(CONFIGS["smnist" if task == "psmnist" else task], file)
    return replace(config, **changes)


def markdown(speeds: Sequence[Speed], machine: str) -> str:
    """The rows as a table, beside the published hours and those of the recorded runs."""
    hours = _published()
    records = load_records(PAPER)
    rows = [
        (
            f"{speed.task} ({speed.shape})",
            *(f"{value:.3g} h" for value in hours[speed.task]),
            recorded(records, f"configs/{speed.task}_brf.yaml"),
            f"{speed.step * speed.steps / 3600:.3g} h",
            duration(speed.step),
            duration(speed.loop),
            f"{speed.loop / speed.step:.1f}",
            f"{speed.rate:.1%}",
        )
        for speed in speeds
    ]
    head = (
        *("BRF on", "authors, autograd", "authors, fastest", "ours, recorded"),
        *("ours, all steps", "step", "step by step", "speed-up", "spikes"),
    )
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + f"\n\n{machine}"


def recorded(records: Sequence[Record], config_file: str) -> str:
    """Hours of a full training, from the median epoch of the runs of a recipe."""
    runs = [
        run.fields
        for run in records
        if run.kind == "train" and run.fields["config_file"] == config_file and not run.changes
    ]
    known = [run for run in runs if run["seconds_per_epoch"]]
    if not known:
        return "not run"
    hours = statistics.median(run["seconds_per_epoch"] for run in known)
    hours *= known[0]["epochs_planned"] / 3600
    done = max(run["epochs_done"] for run in known)
    far = "" if done == known[0]["epochs_planned"] else f", from {done} epochs"
    return f"{hours:.3g} h ({len(known)} runs{far})" if len(known) > 1 else f"{hours:.3g} h{far}"


def _published() -> dict[str, tuple[float, float]]:
    """Slowest and fastest way of the authors, in hours, by task."""
    claims = [c for c in load_claims(PAPER / "claims.yaml") if c.source == "Table 4"]
    by_task = {task: [c.value for c in claims if c.task.name == task] for task in TASKS}
    return {task: (max(values), min(values)) for task, values in by_task.items()}
