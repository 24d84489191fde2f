"""The scripts run, a stopped run goes on, and the tables are those of the records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch

from core.records import refresh
from core.spoken.networks import NON_SPIKING
from core.testing import assert_same_run, facts, rows, stop_at
from core.training.progress import RunProgress
from silif.config import PAPER
from silif.models import SPIKING

from .arrays import need
from .scripts import TINY, call

pytestmark = pytest.mark.usefixtures("_no_figures")


def evaluated(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    capsys.readouterr()
    assert call(*arguments, "--json", "--threads", 1, script="evaluate") == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return found


@pytest.mark.parametrize("kind", [*SPIKING, "S4D", "SS4D", "Mamba", *NON_SPIKING])
def test_train_and_evaluate(
    kind: str, tiny_shd: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every model that the command line takes; weights also where the authors' code has them."""
    if kind == "SS4D":
        need("sdn_predictor")
    out = tmp_path / "run"
    command = (*TINY, "--model_type", kind, "--data_folder", tiny_shd, "--protocol", "published")
    assert call(*command, "--nb_epochs", 2, "--new_exp_folder", out) == 0
    assert facts(out)["status"] == "finished"
    assert [row["epoch"] for row in rows(out)] == [0, 1, 2]
    log = (out / "log" / "exp.log").read_text()
    assert "epoch 2/2" in log
    assert "test accuracy" in log
    theirs = torch.load(out / "checkpoints" / "best_model.pth", weights_only=True)
    assert all(name.split(".")[2] != "neuron" for name in theirs)
    settings = ("--data_folder", tiny_shd, "--seeds", 5, 6)
    once = evaluated(capsys, out, *settings)
    assert once["samples"] == 24
    assert evaluated(capsys, out, *settings)["accuracies"] == once["accuracies"]
    assert ("synaptic_operations_exact" in once) == (kind not in NON_SPIKING)


def test_a_stopped_run_goes_on(tiny_shd: Path, tmp_path: Path) -> None:
    command = (*TINY, "--model_type", "CSiLIF", "--data_folder", tiny_shd, "--nb_epochs", 2)
    assert call(*command, "--new_exp_folder", tmp_path / "whole") == 0
    stopped = tmp_path / "stopped"
    with mock.patch.object(RunProgress, "step", stop_at(4)):
        assert call(*command, "--new_exp_folder", stopped) == 130
    assert call("--resume", stopped) == 0
    assert_same_run(stopped, tmp_path / "whole")


def test_tables_are_up_to_date() -> None:
    """On failure: ``core table silif --write`` and commit the result."""
    assert refresh(PAPER, write=False) == []
