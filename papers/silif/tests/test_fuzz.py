"""Files of other people give a network, settings or a UserError, whatever they hold."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest

from core import checkpoints
from core.config import to_dict
from core.paper import read_own
from core.testing.mutations import (
    of_json,
    of_safetensors,
    of_yaml,
    outcomes,
    tensors_of_others,
)
from silif.commands import read_call
from silif.config import Config
from silif.models import build
from silif.paper import SILIF
from silif.published import NAMES, read
from silif.several import earlier, planned
from silif.task import shape_of

CONFIG = Config(model_type="CSiLIF", nb_hiddens=6)


def rebuilt(path: Path) -> None:
    own = path.suffix == ".safetensors"
    found = read_own(SILIF, path) if own else read(path, Namespace())
    checkpoints.build_with(lambda: build(found.config, *shape_of(found.config)), found.weights, "a")


def test_state_dicts(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    state = dict(NAMES.to_published(build(CONFIG, 140, 20).state_dict()))
    path.touch()
    outcomes(path, tensors_of_others(state, 1), lambda: rebuilt(path))


def test_own(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    weights = build(CONFIG, 140, 20).state_dict()
    manifest = {"paper": "silif", "task": "shd", "config": to_dict(CONFIG)}
    outcomes(path, of_safetensors(weights, manifest, 3), lambda: rebuilt(path))


SWEEP = """
parameters:
  model_type: {values: [CSiLIF, LIF]}
  seed: {values: [9, 15]}
  lr: {value: 5e-3}
  nb_hiddens: 16
"""


def test_sweeps(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.touch()
    outcomes(path, of_yaml(SWEEP, 4), lambda: read_call([f"--config={path}"]))


def test_plans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("silif.several.SWEEPS", tmp_path)
    path = tmp_path / "mine" / "sweep.json"
    path.parent.mkdir()
    path.touch()
    text = '{"arguments": ["--lr=0.1"], "several": {"seed": ["1", "2"]}}'
    outcomes(path, of_json(text, 6), lambda: planned(earlier("mine")))
