"""Scoring a checkpoint of any origin on the test set of its task."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from brf import published
from brf.config import CONFIGS, PAPER, Config
from brf.experiment import backend_of, objective_of
from brf.models import RecurrentSNN, build
from brf.task import Task, load_task
from core import checkpoints
from core.config import from_dict
from core.errors import UserError
from core.outside.text import finite, to_json
from core.training.devices import choose_device
from core.training.environment import describe
from core.training.loop import evaluate
from core.training.run_folder import now


def evaluate_checkpoint(options: argparse.Namespace) -> dict[str, Any]:
    """Score ``options.checkpoint``, print the result and return it.

    Raises:
        UserError: The checkpoint or its data cannot be used.
    """
    if options.batch_size < 1:
        raise UserError(f"--batch_size is {options.batch_size}; it must be at least 1")
    device = choose_device(options.device, options.threads)
    name, config, weights, permutation = _read(options)
    config = replace(config, data_folder=options.data_folder, batch_size=options.batch_size)
    task = load_task(config, permutation=permutation)

    def make() -> RecurrentSNN:
        model = build(config, task.inputs, task.classes)
        if permutation is not None and "permutation" in weights:
            model.register_buffer("permutation", permutation)
        return model

    model = checkpoints.build_with(make, weights, str(options.checkpoint)).to(device)
    batches = task.test.epoch(0)
    if options.float64:
        model = model.double()
        batches = ((x.double(), y) for x, y in batches)
    metrics = evaluate(model, batches, objective_of(config), device=device)
    assert metrics.sop is not None, "the objectives of this paper count spikes"
    result = {
        "task": config.task,
        "model": config.neuron,
        "samples": metrics.samples,
        "accuracy": metrics.accuracy,
        "loss": finite(metrics.loss),
        "sop": metrics.sop,
    }
    if options.record:
        _record(options, name, result, task, device, backend_of(config, model))
    print(
        f"{name}: {config.neuron} on the {metrics.samples} test samples of {task.data} "
        f"({config.task}): accuracy {metrics.accuracy:.4f} %, loss {metrics.loss:.6f}, "
        f"{metrics.sop:.2f} spikes per sample"
    )
    if options.json:
        print(to_json(result))
    return result


def _read(options: argparse.Namespace) -> tuple[str, Config, dict[str, Tensor], Tensor | None]:
    """Name, settings, weights and pixel order of the checkpoint."""
    path: Path = options.checkpoint
    if path.suffix != ".safetensors":
        foreign = published.load(
            path, task=options.task, neuron=options.neuron, permutation=options.permutation
        )
        return foreign.name, foreign.config, foreign.weights, foreign.permutation
    return read_own(path)


def read_own(path: Path) -> tuple[str, Config, dict[str, Tensor], Tensor | None]:
    """Name, settings, weights and pixel order of a checkpoint that a training here wrote.

    Raises:
        UserError: It is damaged, or of another paper.
    """
    checkpoint = checkpoints.load_of_paper(path, "brf")
    manifest, weights = checkpoint.manifest, checkpoint.weights
    if (task := manifest.get("task")) not in CONFIGS:
        raise UserError(f"{path} is of task {task}, not one of {', '.join(CONFIGS)}")
    config = from_dict(CONFIGS[task], manifest["config"], str(path))
    order = weights.get("permutation")
    if order is not None:
        order = published.checked_order(order, str(path))
    return path.stem, config, weights, order


def _record(
    options: argparse.Namespace,
    name: str,
    result: dict[str, Any],
    task: Task,
    device: torch.device,
    backend: str,
) -> None:
    from core.records import record_evaluation

    record_evaluation(
        PAPER,
        {
            "checkpoint": name,
            "sha256": checkpoints.sha256(options.checkpoint),
            "date": now(),
            "dtype": "float64" if options.float64 else "float32",
            "data": {"name": task.data, "digest": task.data_digest},
            **result,
            **describe(device, backend),
            # without the folder: it tells of one machine only
            "command": shlex.join(["python", "evaluate.py", options.checkpoint.name, "--record"]),
        },
    )
