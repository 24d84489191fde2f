"""Scoring a checkpoint of any origin on the test set of its task."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core import checkpoints
from core.config import from_dict
from core.errors import UserError
from core.training.devices import choose_device
from core.training.environment import describe
from core.training.run_folder import now
from sparch.config import DATA_WORDS, PAPER, SAVE_STATE_DICT, Config
from sparch.experiment import backend_of, objective_of
from sparch.models import build
from sparch.published import from_published
from sparch.repeated import evaluate_repeatedly
from sparch.task import SHAPES, Task, load_task

_DATASETS = {shape: name for name, shape in SHAPES.items()}


def evaluate_checkpoint(options: argparse.Namespace) -> dict[str, Any]:
    """Score ``options.checkpoint``, print the result and return it.

    Raises:
        UserError: The checkpoint or its data cannot be used.
    """
    path: Path = options.checkpoint
    config, weights = _read(path)
    config = _with_options(config, options)
    device = choose_device(config.device, config.threads)
    task = load_task(config)
    model = build(config, task.inputs, task.classes)
    checkpoints.load_into(model, weights, str(path))
    model = model.to(device)
    evaluations = evaluate_repeatedly(
        model,
        task.test,
        objective_of(config),
        name=f"{config.model_type} in {path.name} on {task.data} ({config.dataset_name})",
        device=device,
        times=config.evaluations if config.is_random else 1,
    )
    result = {
        "task": config.dataset_name,
        "model": config.model_type,
        "init_state": config.init_state,
        **evaluations.as_dict(),
    }
    if options.record:
        _record(path, result, task, device, backend_of(model, config.backend))
    print(evaluations)
    if options.json:
        print(json.dumps(result))
    return result


def _read(path: Path) -> tuple[Config, dict[str, Tensor]]:
    """Settings and weights of a checkpoint."""
    if path.suffix == ".safetensors":
        checkpoint = checkpoints.load(path)
        paper = checkpoint.manifest.get("paper")
        if paper != "sparch":
            raise UserError(f"{path} is a checkpoint of {paper}, not of sparch")
        return from_dict(Config, checkpoint.manifest["config"], str(path)), checkpoint.weights
    try:
        content = checkpoints.load_foreign(path)
    except UserError as error:
        if not path.is_file():
            raise
        raise UserError(f"{error}. {SAVE_STATE_DICT}") from error
    if not all(isinstance(weight, Tensor) for weight in content.values()):
        raise UserError(f"{path} holds more than tensors by name; save the state_dict alone")
    weights = from_published(content)
    return infer_config(weights, str(path)), weights


def infer_config(weights: Mapping[str, Tensor], origin: str) -> Config:
    """The settings of the network that a state dict belongs to, read off its names and shapes.

    Args:
        weights: By the names of :mod:`sparch.models`.
        origin: Where they come from, for messages.

    Raises:
        UserError: They are of no network of this paper.
    """
    layers = {int(found[1]) for key in weights if (found := re.match(r"[as]nn\.(\d+)\.", key))}
    kind = "snn" if any(key.startswith("snn.") for key in weights) else "ann"
    last = max(layers, default=0)
    first, readout = (weights.get(f"{kind}.{layer}.W.weight") for layer in (0, last))
    if first is None or readout is None or last == 0:
        raise UserError(f"{origin} is no state dict of a network of this paper")
    names = {key.removeprefix(f"{kind}.0.") for key in weights if key.startswith(f"{kind}.0.")}
    hiddens, inputs = first.shape
    classes, features = readout.shape
    dataset = _DATASETS.get((inputs, classes))
    if dataset is None:
        raise UserError(f"{origin} takes {inputs} inputs to {classes} classes: none of the tasks")
    norm = "none" if "norm.weight" not in names else "layernorm"
    return Config(
        model_type=_model_type(kind, names),  # type: ignore[arg-type]
        nb_layers=last + 1,
        nb_hiddens=hiddens,
        normalization="batchnorm" if "norm.running_mean" in names else norm,
        use_bias="W.bias" in names,
        bidirectional=features == 2 * hiddens,
        dataset_name=dataset,  # type: ignore[arg-type]
    )


def _model_type(kind: str, names: set[str]) -> str:
    recurrent = "V.weight" in names
    if kind == "snn":
        return ("R" if recurrent else "") + ("adLIF" if "neuron.beta" in names else "LIF")
    if "Wr.weight" in names:
        return "GRU"
    return "LiGRU" if "Wz.weight" in names else "RNN" if recurrent else "MLP"


def _with_options(config: Config, options: argparse.Namespace) -> Config:
    """The settings with what the command line says about data and computation."""
    keys = ("batch_size", "evaluations", "init_state", "protocol", "device", "threads", "backend")
    given = {key: getattr(options, key) for key in keys if getattr(options, key) is not None}
    if options.data_folder is not None:
        word = options.data_folder in DATA_WORDS
        given |= {"data": "original", "data_folder": None if word else options.data_folder}
        given |= {"data": options.data_folder} if word else {}
    try:
        return replace(config, **given)
    except ValueError as error:
        raise UserError(f"evaluate.py: {error}; --help explains each option") from error


def _record(
    path: Path, result: dict[str, Any], task: Task, device: torch.device, backend: str
) -> None:
    from core.records import record_evaluation

    record_evaluation(
        PAPER,
        {
            "checkpoint": path.stem,
            "sha256": checkpoints.sha256(path),
            "date": now(),
            "data": {"name": task.data, "digest": task.data_digest},
            **result,
            **describe(device, backend),
            # without the folder: it tells of one machine only
            "command": f"python evaluate.py {path.name} --record",
        },
    )
