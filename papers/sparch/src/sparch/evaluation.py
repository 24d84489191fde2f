"""Scoring a checkpoint of any origin on the test set of its task."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core import checkpoints
from core.config import from_dict
from core.errors import UserError
from core.outside.text import to_json
from core.training.devices import choose_device
from core.training.environment import describe
from core.training.run_folder import now
from sparch.config import DATA_WORDS, PAPER, SAVE_STATE_DICT, Config
from sparch.experiment import backend_of, objective_of
from sparch.models import build
from sparch.published import from_published
from sparch.repeated import evaluate_repeatedly
from sparch.task import SHAPES, Task, load_task

_LAYER = re.compile(r"([as]nn)\.(\d{1,3})\.", re.ASCII)
_DATASETS = {shape: name for name, shape in SHAPES.items()}


def evaluate_checkpoint(options: argparse.Namespace) -> dict[str, Any]:
    """Score ``options.checkpoint``, print the result and return it.

    Raises:
        UserError: The checkpoint or its data cannot be used.
    """
    path: Path = options.checkpoint
    config, weights = read(path)
    config = _with_options(config, options)
    device = choose_device(config.device, config.threads)
    task = load_task(config)
    model = checkpoints.build_with(
        lambda: build(config, task.inputs, task.classes), weights, str(path)
    ).to(device)
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
        print(to_json(result))
    return result


def read(path: Path) -> tuple[Config, dict[str, Tensor]]:
    """Settings and weights of a checkpoint, of this project or with the authors' names.

    Raises:
        UserError: It is neither, or damaged.
    """
    if path.suffix == ".safetensors":
        return read_own(path)
    try:
        weights = from_published(checkpoints.load_foreign(path))
    except UserError as error:
        if not path.is_file():
            raise
        raise UserError(f"{error}. {SAVE_STATE_DICT}") from error
    return infer_config(weights, str(path)), weights


def read_own(path: Path) -> tuple[Config, dict[str, Tensor]]:
    """Settings and weights of a checkpoint that a training of this paper wrote.

    Raises:
        UserError: It is damaged, or of another paper.
    """
    checkpoint = checkpoints.load_of_paper(path, "sparch")
    config = from_dict(Config, checkpoint.manifest["config"], str(path))
    if config.nb_layers > len(checkpoint.weights):
        raise UserError(
            f"{path} has fewer weights than its {config.nb_layers} layers; fetch or copy it again"
        )
    return config, checkpoint.weights


def infer_config(weights: Mapping[str, Tensor], origin: str) -> Config:
    """The settings of the network that a state dict belongs to, read off its names and shapes.

    Args:
        weights: By the names of :mod:`sparch.models`.
        origin: Where they come from, for messages.

    Raises:
        UserError: They are of no network of this paper.
    """
    kind = "snn" if any(key.startswith("snn.") for key in weights) else "ann"
    (hiddens, inputs), (classes, features), last = outer_shapes(weights, origin)
    names = {key.removeprefix(f"{kind}.0.") for key in weights if key.startswith(f"{kind}.0.")}
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


def outer_shapes(
    weights: Mapping[str, Tensor], origin: str
) -> tuple[tuple[int, int], tuple[int, int], int]:
    """Shapes of the input matrices of the first and the last layer, and the number of the last.

    Raises:
        UserError: The names and shapes are of no network of this paper.
    """
    found = {int(match[2]): match[1] for key in weights if (match := _LAYER.match(key))}
    last = len(found) - 1
    ends = [weights.get(f"{found.get(layer)}.{layer}.W.weight") for layer in (0, last)]
    first, readout = (
        (weight.shape[0], weight.shape[1]) if weight is not None and weight.dim() == 2 else None
        for weight in ends
    )
    if last < 1 or found.keys() != set(range(last + 1)) or first is None or readout is None:
        raise UserError(f"{origin} is no state dict of a network of this paper")
    return first, readout, last


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
            "command": shlex.join(["python", "evaluate.py", path.name, "--record"]),
        },
    )
