"""The scripts run, a stopped run goes on, and the tables are those of the records."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.records import refresh
from core.testing import call_script, facts, rows
from plif.config import PAPER

TINY = ("--hidden", 6, "--threads", 1)


def test_train_and_evaluate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    assert call_script(PAPER, "train", *TINY, "--epochs", 1, "--out", out) == 0
    assert facts(out)["status"] == "finished"
    assert [row["epoch"] for row in rows(out)] == [0, 1]
    capsys.readouterr()
    assert call_script(PAPER, "evaluate", out / "last.safetensors", "--threads", 1) == 0
    assert "accuracy" in capsys.readouterr().out


def test_tables_are_up_to_date() -> None:
    assert refresh(PAPER, write=False) == []
