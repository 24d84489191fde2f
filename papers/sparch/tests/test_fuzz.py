"""Checkpoints of other people give a network or a UserError, whatever they hold."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import torch

from core import checkpoints
from core.config import to_dict
from core.paper import read_own
from core.testing.mutations import of_safetensors, outcomes, tensors_of_others
from sparch.config import Config
from sparch.models import build
from sparch.paper import SPARCH
from sparch.published import NAMES, read

CONFIG = Config(model_type="RadLIF", nb_hiddens=6)


def rebuilt(path: Path) -> None:
    own = path.suffix == ".safetensors"
    found = read_own(SPARCH, path) if own else read(path, Namespace())
    checkpoints.build_with(lambda: build(found.config, 700, 20), found.weights, "a")


def test_state_dicts(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    state = dict(NAMES.to_published(build(CONFIG, 700, 20).state_dict()))
    state |= {f"snn.{n}.W.weight": torch.zeros(6, 2) for n in (7, 10**9)}
    path.touch()
    outcomes(path, tensors_of_others(state, 1), lambda: rebuilt(path))
    del state["snn.7.W.weight"], state["snn.1000000000.W.weight"]
    outcomes(path, tensors_of_others(state, 2), lambda: rebuilt(path))


def test_own(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    weights = build(CONFIG, 700, 20).state_dict()
    manifest = {"paper": "sparch", "task": "shd", "config": to_dict(CONFIG)}

    outcomes(path, of_safetensors(weights, manifest, 3), lambda: rebuilt(path))
