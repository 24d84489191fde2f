"""Scoring one network in many variants: part of the test set, each result kept as it comes."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from brf.config import Config
from brf.models import RecurrentSNN
from brf.paper import BRF
from brf.published import find
from core import checkpoints
from core.data.batches import RowBatches
from core.errors import UserError
from core.files import write_text_atomically
from core.metrics import Metrics
from core.outside.shape import check
from core.outside.text import from_json, read_json_lines, read_text, to_json
from core.paper import read_checkpoint, with_options
from core.training.devices import choose_device
from core.training.loop import Objective, evaluate
from core.training.threads import settle_threads

Row = dict[str, Any]
Case = TypeVar("Case", bound=tuple[Any, ...])

FACTS = {"task": str, "model": str, "samples": int, "seed": int, "weights": str}
"""What every row says beside its result."""


class Setup(NamedTuple):
    """A network and what it is tested on.

    Attributes:
        name: Of the checkpoint.
        config: Its settings.
        model: As it is in the checkpoint.
        objective: Of its task.
        test: Its test set.
        samples: How many of it, from the start.
        device: Where to compute.
        seed: Of what is drawn.
    """

    name: str
    config: Config
    model: RecurrentSNN
    objective: Objective
    test: RowBatches
    samples: int
    device: torch.device
    seed: int

    @property
    def facts(self) -> Row:
        """What a result depends on beside its variant."""
        return {
            "task": self.config.task,
            "model": self.config.model,
            "samples": self.samples,
            "seed": self.seed,
            "weights": checkpoints.weights_digest(self.model.state_dict())[:16],
        }


def set_up(options: argparse.Namespace) -> Setup:
    """The network of ``options.checkpoint`` and its data.

    Raises:
        UserError: They cannot be used.
    """
    if options.samples is not None and options.samples < 1:
        raise UserError("--samples must be at least 1")
    options.checkpoint = find(options.checkpoint)
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
    objective = BRF.objective(config)
    return Setup(loaded.name, config, model, objective, task.test, samples, device, options.seed)


def score(setup: Setup, model: RecurrentSNN, changes_input: nn.Module | None = None) -> Metrics:
    """Metrics of a variant of the network on the samples that are asked for."""

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        left = setup.samples
        for inputs_TBI, targets in setup.test.epoch(0):
            inputs_TBI, targets = inputs_TBI[:, :left], targets[..., :left]
            yield inputs_TBI if changes_input is None else changes_input(inputs_TBI), targets
            left -= inputs_TBI.shape[1]
            if left <= 0:
                return

    return evaluate(model, batches(), setup.objective, device=setup.device)


def carry_on(
    file: Path,
    shape: Mapping[str, Any],
    facts: Row,
    cases: Iterable[Case],
    case_of: Callable[[Row], Case],
    measure: Callable[[Case], Row],
    line: Callable[[Row], str],
) -> list[Row]:
    """Rows of all cases: those that ``file`` holds already, and the others, added one by one.

    Args:
        file: JSON lines; a last line that a kill cut off is measured again.
        shape: Of a row, for :func:`core.outside.shape.check`.
        facts: What all rows have in common.
        cases: Variants to measure.
        case_of: Which one a row is about.
        measure: The result of one.
        line: A row as it is printed.

    Raises:
        UserError: The file is damaged, or about something else.
    """
    rows = read_rows(file, shape) if file.exists() else []
    if any(row[key] != value for row in rows for key, value in facts.items()):
        raise UserError(f"{file} is of other weights, samples or seed; choose another --out")
    known = {case_of(row): row for row in rows}
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as stream:
        for case in cases:
            if case not in known:
                known[case] = measure(case) | facts
                stream.write(to_json(known[case]) + "\n")
                stream.flush()
                print(line(known[case]), flush=True)
    return list(known.values())


def read_rows(file: Path, shape: Mapping[str, Any]) -> list[Row]:
    """What :func:`carry_on` kept.

    Raises:
        UserError: The file is damaged.
    """
    text = read_text(file)
    if not text.endswith("\n") and text:
        write_text_atomically(file, text[: text.rfind("\n") + 1])
    shape = {**shape, **FACTS}
    return [check(from_json(line, at), shape, at) for line, at in read_json_lines(file)]
