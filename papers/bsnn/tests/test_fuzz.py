"""Checkpoints of other people give a network or a UserError, whatever they hold."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import torch

from bsnn.config import Config
from bsnn.models import Sizes, build
from bsnn.paper import BSNN_PAPER
from bsnn.published import read, to_published
from core import checkpoints
from core.config import to_dict, to_yaml
from core.paper import read_own
from core.testing.mutations import of_safetensors, outcomes, tensors_of_others

CONFIG = Config(
    model="RLIF", n_layers=1, neurons=6, dataset="cue", balance=True, slow_dynamics=True
)
SIZES = Sizes(40, 2)


def rebuilt(path: Path) -> None:
    own = path.suffix == ".safetensors"
    found = read_own(BSNN_PAPER, path) if own else read(path, Namespace())
    checkpoints.build_with(lambda: build(found.config, SIZES), found.weights, "a")


def test_state_dicts(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    (tmp_path / "config.yaml").write_text(to_yaml(CONFIG))
    state = dict(to_published(build(CONFIG, SIZES).state_dict()))
    path.touch()
    outcomes(path, tensors_of_others(state, 1), lambda: rebuilt(path))
    state |= {"snn.7.W": torch.zeros(6, 2)}
    outcomes(path, tensors_of_others(state, 2), lambda: rebuilt(path))


def test_own(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    weights = build(CONFIG, SIZES).state_dict()
    manifest = {"paper": "bsnn", "task": "cue", "config": to_dict(CONFIG)}
    outcomes(path, of_safetensors(weights, manifest, 3), lambda: rebuilt(path))
