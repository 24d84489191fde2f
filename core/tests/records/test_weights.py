"""Kept weights: the file, its line in the manifest, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from core import checkpoints
from core.errors import UserError
from core.records import keep_weights, load_manifest, record_run
from core.records.layout import weights_markdown

from .conftest import make_run


def test_best_weights_are_kept_and_listed(paper: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", [20.0, 84.0, 80.0], val_losses=[3.0, 1.0, 2.0])
    record = record_run(run, paper)
    kept = keep_weights(run, paper, record)
    assert kept == paper / "checkpoints" / "ecg_brf-seed0.safetensors"
    assert kept.read_bytes() == (run / "best.safetensors").read_bytes()
    (entry,) = load_manifest(paper)
    assert (entry["record"], entry["epoch"], entry["test_accuracy"]) == (record.id, 1, 84.0)
    assert entry["sha256"] == checkpoints.sha256(kept)
    assert entry["bytes"] == kept.stat().st_size
    assert "| 1 of 2 | 84.00 |" in weights_markdown([entry])


def test_kept_again_replaces_and_another_seed_is_added(paper: Path, tmp_path: Path) -> None:
    for seed in (1, 0, 1):
        run = make_run(tmp_path / f"run{seed}", [20.0, 84.0], seed=seed)
        keep_weights(run, paper, record_run(run, paper))
    assert [entry["seed"] for entry in load_manifest(paper)] == [0, 1]


def test_weights_of_another_run_are_refused(paper: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", [20.0, 84.0])
    other = make_run(tmp_path / "other", [20.0, 84.0], weights=1)
    record = record_run(run, paper)
    with pytest.raises(UserError, match="record the run again"):
        keep_weights(other, paper, record)
    assert load_manifest(paper) == []


def test_broken_manifest_is_named(paper: Path) -> None:
    (paper / "checkpoints").mkdir()
    path = paper / "checkpoints" / "manifest.yaml"
    for text in ("a: [", "a: 1"):
        path.write_text(text)
        with pytest.raises(
            UserError, match=r"manifest\.yaml(: cannot be read as YAML| must be a list)"
        ):
            load_manifest(paper)
