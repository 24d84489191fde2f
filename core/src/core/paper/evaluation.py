"""Scoring a checkpoint of any origin on the test set of its task."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from core import checkpoints
from core.config import from_dict, with_values
from core.data.batches import RowBatches
from core.errors import UserError
from core.outside.text import shown, to_json
from core.paper.description import Loaded, Paper, Task
from core.paper.facts import backend_of
from core.paper.repeated import evaluate_repeatedly
from core.scan import refuse_unknown
from core.settings import SettingsT
from core.training.devices import choose_device
from core.training.environment import describe
from core.training.loop import Objective
from core.training.run_folder import now
from core.training.threads import settle_threads

FLAGS = ("batch_size", "device", "threads", "backend")
"""Settings that ``evaluate.py`` of every paper may change, ``data_folder`` apart."""


class Watch(Protocol):
    """Looks on while a checkpoint is tested, for what only its paper counts; printed at the end."""

    def watched(self, objective: Objective, batches: int) -> Objective:
        """The objective to test with; each test has so many batches."""
        ...

    def facts(self) -> dict[str, Any]:
        """What was seen, for the record."""
        ...


def evaluate_checkpoint(
    paper: Paper[SettingsT],
    options: argparse.Namespace,
    *,
    seeds: Sequence[int] | None = None,
    watch: Watch | None = None,
) -> dict[str, Any]:
    """Score ``options.checkpoint``, print the result and return it.

    Args:
        paper: Whose network it is.
        options: From :func:`core.settings.evaluation_parser`, with the paper's own flags.
        seeds: A test with each; by default as many as the paper asks for, from 0 on.
        watch: Looks on.

    Raises:
        UserError: The checkpoint or its data cannot be used.
    """
    loaded = read_checkpoint(paper, options)
    config = with_options(paper, loaded.config, options)
    refuse_unknown(config.backend)
    device = choose_device(config.device, config.threads)
    task: Task = paper.load_task(config, loaded.weights)
    model = checkpoints.build_with(
        lambda: paper.build(config, task), loaded.weights, str(options.checkpoint)
    ).to(device)
    if not config.threads:
        settle_threads(model, task.test, device)
    if options.float64:
        model = model.double()
    objective = paper.objective(config)
    evaluations = evaluate_repeatedly(
        model,
        _Doubled(task.test) if options.float64 else task.test,
        objective if watch is None else watch.watched(objective, len(task.test)),
        name=f"{config.model} in {options.checkpoint.name} on {task.data} ({config.task})",
        device=device,
        seeds=range(max(1, paper.tests(config).times)) if seeds is None else seeds,
    )
    result = {
        **{"task": config.task, "model": config.model},
        **{flag: getattr(config, flag) for flag in paper.evaluation_flags},
        **evaluations.as_dict(),
        "counts": evaluations.counts.as_dict(),
        **({"seeds": list(seeds)} if seeds is not None else {}),
        **(watch.facts() if watch is not None else {}),
    }
    if options.record:
        facts = describe(device, backend_of(model, config.backend))
        # a word is part of the command, a folder tells of one machine only
        word = config.data if options.data_folder is not None and config.data_folder is None else ""
        _record(paper, options, loaded.name, result, task, facts, word)
    print("\n".join(map(str, filter(None, (evaluations, evaluations.counts, watch)))))
    if options.json:
        print(to_json(result))
    return result


@dataclass(frozen=True)
class _Doubled:
    """Batches whose inputs are float64."""

    batches: RowBatches

    def __len__(self) -> int:
        return len(self.batches)

    def epoch(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        return ((inputs.double(), targets) for inputs, targets in self.batches.epoch(epoch))


def read_checkpoint(paper: Paper[SettingsT], options: argparse.Namespace) -> Loaded[SettingsT]:
    """Name, settings and weights of ``options.checkpoint``, whatever its origin.

    Raises:
        UserError: It is none, damaged, or of another paper.
    """
    path = options.checkpoint
    if path.suffix != ".safetensors":
        if paper.read_foreign is None:
            raise UserError(f"{path} is no *.safetensors file, and {paper.name} knows no others")
        return paper.read_foreign(path, options)
    return read_own(paper, path)


def read_own(paper: Paper[SettingsT], path: Path) -> Loaded[SettingsT]:
    """A checkpoint that a training of this paper wrote.

    Raises:
        UserError: It is damaged, or of another paper.
    """
    checkpoint = checkpoints.load_of_paper(path, paper.name)
    manifest = checkpoint.manifest
    if (config_class := paper.configs.get(manifest.get("task", ""))) is None:
        known = ", ".join(paper.configs)
        raise UserError(f"{path} is of task {shown(manifest.get('task'))}, not one of {known}")
    config = from_dict(config_class, manifest["config"], str(path))
    return Loaded(path.stem, config, checkpoint.weights)


def with_options(
    paper: Paper[SettingsT], config: SettingsT, options: argparse.Namespace
) -> SettingsT:
    """The settings with what the command line says about data and computation."""
    keys = (*FLAGS, *paper.evaluation_flags)
    given = {key: getattr(options, key) for key in keys if getattr(options, key) is not None}
    if options.data_folder is not None:
        given |= {"data": "original", "data_folder": options.data_folder}
    return with_values(config, "evaluate.py", **given)


def _record(
    paper: Paper[SettingsT],
    options: argparse.Namespace,
    name: str,
    result: dict[str, Any],
    task: Task,
    facts: dict[str, Any],
    word: str,
) -> None:
    from core.records import record_evaluation

    record_evaluation(
        paper.folder,
        {
            "checkpoint": name,
            "sha256": checkpoints.sha256(options.checkpoint),
            "date": now(),
            "dtype": str(torch.float64 if options.float64 else torch.float32)[6:],
            "data": {"name": task.data, "digest": task.data_digest},
            **result,
            **facts,
            "command": shlex.join(
                ["python", "evaluate.py", options.checkpoint.name]
                + ["--data_folder", word] * bool(word)
                + ["--record"]
                + ["--trial"] * options.trial
            ),
        },
        trial=options.trial,
    )
