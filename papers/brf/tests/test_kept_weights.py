"""The checkpoints this package ships, and the figures drawn from records."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from brf import figures
from brf.config import CONFIGS, PAPER, EcgConfig
from brf.models import build
from brf.paper import BRF, objective_of
from brf.task import load_task
from core import checkpoints
from core.config import config_hash, from_dict, to_yaml
from core.paper import count_parameters, run
from core.records import keep_weights, load_manifest, load_records, record_run
from core.training.loop import evaluate

MANIFEST = load_manifest(PAPER)
DATA = Path(os.environ.get("SNN_DATA", "/nowhere"))


def rebuilt(entry: dict[str, Any]) -> tuple[Any, torch.nn.Module]:
    path = PAPER / "checkpoints" / entry["file"]
    checkpoint = checkpoints.load(path)
    config = from_dict(CONFIGS[entry["task"]], checkpoint.manifest["config"], path.name)
    weights = checkpoint.weights
    model = build(config, weights["hidden.input_weight"].shape[1], len(weights["out.input_weight"]))
    if "permutation" in weights:
        model.register_buffer("permutation", torch.empty_like(weights["permutation"]))
    checkpoints.load_into(model, weights, path.name)
    return config, model


def test_nothing_is_shipped_unlisted() -> None:
    shipped = {path.name for path in (PAPER / "checkpoints").glob("*.safetensors")}
    assert shipped == {entry["file"] for entry in MANIFEST}


@pytest.mark.parametrize("entry", MANIFEST, ids=lambda entry: entry["file"])
def test_kept_weights_are_those_of_their_record(entry: dict[str, Any]) -> None:
    path = PAPER / "checkpoints" / entry["file"]
    assert checkpoints.sha256(path) == entry["sha256"]
    config, model = rebuilt(entry)
    assert count_parameters(model) == entry["parameters"]
    record = next(r for r in load_records(PAPER) if r.id == entry["record"])
    assert record.fields["sha256"] == entry["sha256"]
    assert record.fields["best"]["epoch"] == entry["epoch"]
    assert config_hash(config) == record.fields["config_hash"]


@pytest.mark.parametrize(
    "entry", [e for e in MANIFEST if e["task"] == "ecg"], ids=lambda entry: entry["file"]
)
@pytest.mark.skipif(not (DATA / "qtdb").is_dir(), reason="SNN_DATA has no qtdb")
def test_kept_weights_score_what_the_manifest_says(entry: dict[str, Any]) -> None:
    config, model = rebuilt(entry)
    task = load_task(config)
    metrics = evaluate(model, task.test.epoch(0), objective_of(config), device=torch.device("cpu"))
    assert metrics.accuracy == pytest.approx(entry["test_accuracy"], abs=0.05)
    assert metrics.sop == pytest.approx(entry["sop"], rel=5e-4)


def test_figures_are_drawn_from_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kept network of the ECG recipe gives a figure of its parameters."""
    paper = tmp_path / "brf"
    (paper / "configs").mkdir(parents=True)
    config = EcgConfig(hidden=6, epochs=1, batch_size=128, data="embedded", out=tmp_path / "run")
    recipe = paper / "configs" / "ecg_brf.yaml"
    recipe.write_text(to_yaml(config))
    (paper / "claims.yaml").write_text((PAPER / "claims.yaml").read_text(encoding="utf-8"))
    run(dataclasses.replace(BRF, folder=paper), config, recipe)
    record = record_run(tmp_path / "run", paper, trial=True)
    keep_weights(tmp_path / "run", paper, record)
    assert record.fields["config_file"] == "configs/ecg_brf.yaml"
    monkeypatch.setattr(figures, "PAPER", paper)
    monkeypatch.setattr(figures, "FOLDER", tmp_path / "figures")
    monkeypatch.setattr(figures, "ROBUSTNESS", tmp_path)
    monkeypatch.setattr(figures, "LANDSCAPES", tmp_path)
    monkeypatch.setattr(figures, "is_present", lambda name: False)
    told: list[str] = []
    drawn = [path.name for path, _ in figures.draw_all(told.append)]
    assert drawn == ["dynamics.png", "figure5.png", "parameters_ecg.png"]
    assert [line.partition(" (")[0] for line in told] == [
        "qtdb is not here, so there is no figure of spikes on it",
        "no perturbed network is kept yet",
        "no landscape is kept yet",
    ]
    assert all((tmp_path / "figures" / name).stat().st_size > 5000 for name in drawn)
