"""Checkpoints of other people give a network or a UserError, whatever they hold."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import torch

from core import checkpoints
from core.config import to_dict
from core.paper import read_own
from core.testing.mutations import of_safetensors, outcomes, tensors_of_others
from plif.config import Config
from plif.paper import PLIF, network
from plif.published import read
from plif.sets import empty_task as task_of

CONFIG = Config(dataset_name="NMNIST", use_plif=True, channels=2, hidden=4)


def rebuilt(path: Path) -> None:
    own = path.suffix == ".safetensors"
    found = read_own(PLIF, path) if own else read(path, Namespace())
    task = task_of(found.config.dataset_name)
    checkpoints.build_with(lambda: network(found.config, task), found.weights, "a")


def test_state_dicts(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    path.touch()
    state = dict(network(CONFIG, task_of("NMNIST")).state_dict())
    outcomes(path, tensors_of_others(state, 1), lambda: rebuilt(path))
    state |= {f"conv.{n}.weight": torch.zeros(2, 2, 3, 3) for n in (8, 400)}
    outcomes(path, tensors_of_others(state, 2), lambda: rebuilt(path))


def test_own(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    weights = network(CONFIG, task_of("NMNIST")).state_dict()
    manifest = {"paper": "plif", "task": "NMNIST", "config": to_dict(CONFIG)}
    outcomes(path, of_safetensors(weights, manifest, 3), lambda: rebuilt(path))
