"""A paper of two tasks and four claims, and run folders as core.training writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from core import checkpoints
from core.testing import run_json

CONFIG: dict[str, Any] = {
    **{"neuron": "brf", "lr": 0.1, "omega": [3.0, 5.0], "clip_norm": None, "seed": 0},
    **{"device": "auto", "threads": 0, "out": None, "data_folder": None},
}

CLAIMS = """
tasks:
  ecg: {title: ECG, data: qtdb, steps: 100, samples: 141}
  shd: {title: SHD, absent: not part of this package yet}
curves:
- {config: configs/ecg_brf.yaml, source: logs, test_accuracy: {0: 20.0, 1: 70.0, 10: 84.0}}
claims:
- source: Table 1
  task: ecg
  model: BRF
  selection: min_validation_loss
  config: configs/ecg_brf.yaml
  main: true
  rows:
  - {id: accuracy, metric: test_accuracy, value: 85.8, spread: 0.7, seeds: 5, tolerance: 1.4}
  - {id: sop, metric: sop, value: 6000, tolerance: 10 %}
- source: checkpoints
  tolerance: 9
  rows:
  - {id: weights, task: ecg, model: RF, metric: test_accuracy, value: 85.1, tolerance: 0.05,
     checkpoint: orig_ecg_rf, note: rounded}
  - {id: other, task: shd, model: RF, metric: hours, value: 2, tolerance: 0}
"""

README = "# Toy\n\n<!-- core table toy -->\n<!-- end -->\n\nText that stays.\n"


def make_paper(root: Path) -> Path:
    """``root/papers/toy`` with claims, one configuration and a README; returns its folder."""
    paper = root / "papers" / "toy"
    (paper / "configs").mkdir(parents=True)
    (paper / "claims.yaml").write_text(CLAIMS)
    (paper / "configs" / "ecg_brf.yaml").write_text(yaml.safe_dump(CONFIG).replace("0.1", "1e-1"))
    (paper / "README.md").write_text(README)
    return paper


def make_run(
    folder: Path,
    accuracies: list[float],
    *,
    val_losses: list[float] | None = None,
    planned: int | None = None,
    status: str = "finished",
    config: dict[str, Any] | None = None,
    weights: int = 0,
    **facts: Any,
) -> Path:
    """A run folder whose test accuracy went through ``accuracies``; spikes are 100 per epoch.

    ``weights`` makes other weights than those of another run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    val_losses = val_losses or [1.0 / (epoch + 1) for epoch in range(len(accuracies))]
    rows = [
        {"epoch": epoch, "train_loss": None, "train_accuracy": None, "val_loss": val_loss}
        | {"val_accuracy": accuracy, "test_loss": val_loss, "test_accuracy": accuracy}
        | {"sop": 100.0 * epoch, "learning_rate": 0.1, "seconds": 2.0}
        for epoch, (accuracy, val_loss) in enumerate(zip(accuracies, val_losses, strict=True))
    ]
    last = len(rows) - 1
    finished = {"status": status, "epochs_done": last, "seconds_per_epoch": 36.0}
    finished |= {"epochs_planned": last if planned is None else planned, "peak_memory_mb": 10.0}
    run = run_json(**(finished | facts))
    used = CONFIG | {"seed": run["seed"], "out": "/mnt/big/runs/1"} | (config or {})
    (folder / "run.json").write_text(json.dumps(run))
    (folder / "config.yaml").write_text(yaml.safe_dump(used))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    by_loss = run.get("selects") != "val_accuracy"
    worse = val_losses if by_loss else [-accuracy for accuracy in accuracies]
    best = min(range(len(rows)), key=lambda epoch: worse[epoch])
    torch.manual_seed(weights)
    checkpoints.save(folder / "best.safetensors", torch.nn.Linear(2, 2), {"epoch": best})
    return folder


def evaluation(**changes: Any) -> dict[str, Any]:
    """What is recorded of an evaluated checkpoint."""
    return {
        **{"checkpoint": "orig_ecg_rf", "sha256": "ab" * 32, "task": "ecg", "model": "rf"},
        **{"samples": 141, "accuracy": 85.114, "loss": 0.41, "sop": 11907.3},
        **{"command": "python evaluate.py", "commit": "c0ffee00", "versions": {}},
        **{"device": "cpu", "data": {"name": "qtdb", "digest": "d"}},
        **changes,
    }


@pytest.fixture
def paper(tmp_path: Path) -> Path:
    return make_paper(tmp_path)
