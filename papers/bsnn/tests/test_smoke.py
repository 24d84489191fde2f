"""The scripts run, a stopped run goes on, and the tables are those of the records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bsnn.config import PAPER
from core.records import refresh
from core.testing import assert_same_run, call_script, facts, rows, stop_at
from core.training.progress import RunProgress

TINY = (
    *("--model", "RLIF", "--dataset", "cue", "--n-layer", 1, "--neurons", 6, "--dropout", 0),
    *("--normalization", "none", "--track-balance", "--batch-size", 8, "--samples", 12),
    *("--dataset-scale", 200, "--n-epochs", 2, "--threads", 1),
)


def test_train_and_evaluate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    assert call_script(PAPER, "main", *TINY, "--single-spike", "--new-exp-folder", out) == 0
    assert facts(out)["status"] == "finished"
    assert [row["epoch"] for row in rows(out)] == [0, 1, 2]
    last = rows(out)[-1]
    measured = {"batch_rate", "balance_median", "balance_lowpass", "exact_accuracy"}
    assert {f"{part}_{name}" for part in ("train", "val", "test") for name in measured} <= set(last)
    capsys.readouterr()
    assert call_script(PAPER, "evaluate", out / "last.safetensors", "--threads", 1) == 0
    assert "accuracy" in capsys.readouterr().out


def test_the_first_command_of_the_readme(tmp_path: Path) -> None:
    out, config = tmp_path / "run", PAPER / "configs" / "quick.yaml"
    assert call_script(PAPER, "main", "--config", config, "--out", out, "--n-epochs", 1) == 0
    assert all(row["sop"] > 1 for row in rows(out)), "it spikes"


def test_a_stopped_run_goes_on_bit_for_bit(tmp_path: Path, monkeypatch: Any) -> None:
    flags = (*TINY, "--single-spike", "--balance", "--balance-refit", "--refit", "theory")
    assert call_script(PAPER, "main", *flags, "--out", tmp_path / "whole") == 0
    with monkeypatch.context() as patch:
        patch.setattr(RunProgress, "step", stop_at(3))
        assert call_script(PAPER, "main", *flags, "--out", tmp_path / "run") == 130
    assert call_script(PAPER, "main", "--resume", tmp_path / "run") == 0
    assert_same_run(tmp_path / "run", tmp_path / "whole")


def test_tables_are_up_to_date() -> None:
    assert refresh(PAPER, write=False) == []


@pytest.mark.parametrize(
    ("model", "flags"),
    [
        ("LIF", ("--track-balance", "--single-spike", "--currents", "corrected")),
        ("RadLIF", ("--bidirectional", "--use-regularizers")),
        ("GRU", ()),
        ("MLP", ("--normalization", "layernorm")),
        ("RLIF", ("--n-layers", 2, "--bidirectional", "--track-balance", "--slow-dynamics")),
        ("RLIF", ("--balance", "--currents", "corrected", "--track-balance", "--gauss", 0.1)),
    ],
)
def test_models_that_stop_the_authors_code(
    model: str, flags: tuple[object, ...], tmp_path: Path
) -> None:
    """Without tracking, in a single batch, on spoken digits; then from its own checkpoint."""
    out = tmp_path / "run"
    common: list[object] = ["--model", model, "--dataset", "shd", "--data", "embedded"]
    common += ["--neurons", 6, "--n-epochs", 1, "--batch-size", 1000, "--threads", 1]
    assert call_script(PAPER, "main", *common, *flags, "--out", out) == 0
    row = rows(out)[-1]
    tracked = "--track-balance" in flags
    assert ("val_balance_lowpass" in row) == tracked
    assert call_script(PAPER, "evaluate", out / "best.safetensors", "--threads", 1) == 0


def test_a_run_at_chance_ends(tmp_path: Path) -> None:
    flags = ("--pruning-epochs", 0, "--pruning-threshold", 1, "--n-epochs", 3)
    assert call_script(PAPER, "main", *TINY, *flags, "--out", tmp_path / "run") == 0
    assert [row["epoch"] for row in rows(tmp_path / "run")] == [0, 1]
    (warning,) = facts(tmp_path / "run")["warnings"]
    assert "is below pruning_threshold" in warning["what"]
