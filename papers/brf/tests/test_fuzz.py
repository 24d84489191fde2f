"""Checkpoints of other people give a network or a UserError, whatever they hold."""

from __future__ import annotations

from pathlib import Path

import torch

from brf.config import EcgConfig
from brf.models import build
from brf.paper import BRF
from brf.published import load
from core import checkpoints
from core.config import to_dict
from core.paper import read_own
from core.testing.mutations import of_safetensors, outcomes, tensors_of_others


def test_published(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    state = {
        **{"hidden.linear.weight": torch.ones(5, 9), "hidden.linear.mask": torch.ones(5, 9)},
        **{"hidden.omega": torch.ones(5), "hidden.b_offset": torch.ones(5)},
        **{"out.linear.weight": torch.ones(6, 5), "out.tau_mem": torch.ones(6)},
    }

    def read() -> None:
        found = load(path, task="ecg", neuron="brf", permutation=None)
        checkpoints.build_with(lambda: build(found.config, 4, 6), found.weights, "a.pt")

    outcomes(path, tensors_of_others({"model_state_dict": state, "epoch": 3}, 1), read)


def test_own(tmp_path: Path) -> None:
    path, config = tmp_path / "a.safetensors", EcgConfig(hidden=5)
    weights = build(config, 4, 6).state_dict()
    manifest = {"paper": "brf", "task": "ecg", "model": "brf", "config": to_dict(config)}

    def read() -> None:
        found = read_own(BRF, path)
        checkpoints.build_with(lambda: build(found.config, 4, 6), found.weights, "a")

    outcomes(path, of_safetensors(weights, manifest, 2), read)
