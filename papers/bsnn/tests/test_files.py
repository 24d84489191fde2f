"""Trials, longer runs and tests alone, and the files that the authors' code writes."""

from __future__ import annotations

import argparse
import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bsnn.config import PAPER
from bsnn.files import published_rate, results
from bsnn.models import BSNN
from bsnn.paper import BSNN_PAPER
from bsnn.published import from_published, read
from core.errors import UserError
from core.paper import read_own
from core.testing import assert_same_run, call_script, facts, message, rows, stop_at
from core.training.progress import RunProgress

from .test_smoke import TINY

KEYS = {
    *("train_accs", "train_frs", "train_balances_med", "train_balances_low"),
    *("validation_accs", "validation_frs", "validation_balances_med", "validation_balances_low"),
    *("test_acc", "test_fr", "test_balance_med", "test_balance_low", "best_acc", "best_epoch"),
}
FILES = {"params.yml", "results.pth", "checkpoints/best_model.pth", "exp.log"}
PICTURES = {"epoch1_class0_0.png", "epoch1_class1_0.png", "epoch1_balance_fr.png"}


def main(*flags: object) -> int:
    return call_script(PAPER, "main", *flags)


def test_trials_have_folders_files_and_seeds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "lsm"
    flags: list[object] = [*TINY, "--single-spike", "--balance", "--plot", "--gpu", 0, "--log"]
    flags += ["--n-epochs", 1, "--trials", 3, "--seed", 1, "--new-exp-folder", place]
    with monkeypatch.context() as patch:
        patch.setattr(RunProgress, "step", stop_at(2))
        assert main(*flags) == 130
    assert f"--new-exp-folder {place} all trials go on" in capsys.readouterr().err
    assert main(*flags) == 0
    assert "note: --gpu 0 is ignored" in capsys.readouterr().err
    assert [facts(place / f"trial_{i}")["seed"] for i in range(3)] == [1, 2, 4]
    for trial in place.iterdir():
        there = {str(path.relative_to(trial)) for path in trial.rglob("*.*")}
        assert there > FILES | {f"plots/{name}" for name in PICTURES}
        found = torch.load(trial / "results.pth", weights_only=True)
        assert set(found) > KEYS
        row = rows(trial)[-1]
        assert found["validation_accs"] == [row["val_accuracy"] / 100]
        assert found["train_frs"][0] == pytest.approx(2 * row["train_batch_rate"])  # two batches
        assert found["train_frs_exact"][0] == row["train_batch_rate"]
        assert not any(map(math.isnan, (found["test_fr"], found["test_balance_low"])))
        theirs = torch.load(trial / "checkpoints/best_model.pth", weights_only=True)
        assert "snn.0.v_thresh" in theirs
        ours = read_own(BSNN_PAPER, trial / "best.safetensors")
        assert from_published(theirs).keys() == ours.weights.keys()
        text = (trial / "params.yml").read_text()
        assert "input_shape: [8, null, 40]\nlayer_sizes: [6, 2]\nt_crop: 1050\ncommit: " in text
        assert "epoch 1/1 | train loss" in (trial / "exp.log").read_text()
    assert main(*flags) == 0
    assert capsys.readouterr().out.count("is finished: test accuracy") == 3
    assert main(*flags, "--lr", 0.1) == 2
    refused = f"--new-exp-folder {place}/trial_0 continues a run as it was, but lr would change"
    assert refused in capsys.readouterr().err


def test_a_single_trial_given_again_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    once, whole = tmp_path / "once", tmp_path / "whole"
    flags = (*TINY, "--new-exp-folder", once)
    with monkeypatch.context() as patch:
        patch.setattr(RunProgress, "step", stop_at(3))
        assert main(*flags) == 130
    capsys.readouterr()
    assert main(*flags, "--neurons", 7) == 2
    assert "neurons would change" in message(capsys)
    assert main(*flags) == 0
    assert main(*TINY, "--out", whole) == 0
    assert_same_run(once, whole)
    capsys.readouterr()
    assert main(*flags) == 0
    assert f"{once} is finished: test accuracy" in capsys.readouterr().out


def test_a_run_is_made_longer_and_tested_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short, whole = tmp_path / "short", tmp_path / "whole"
    assert main(*TINY, "--n-epochs", 1, "--out", short) == 0
    assert main(*TINY, "--out", whole) == 0
    load = ("--use-pretrained-model", "--load-exp-folder", short)
    assert main(*load, "--n-epochs", 1, "--start-epoch", 1) == 0
    assert_same_run(short, whole)
    before = torch.load(short / "results.pth", weights_only=True)
    assert len(before["train_accs"]) == 2
    (short / "results.pth").unlink()
    capsys.readouterr()
    assert main(*load, "--only-do-testing") == 0
    assert "test of the best weights" in capsys.readouterr().out
    assert torch.load(short / "results.pth", weights_only=True) == before
    assert main(*load, "--n-epochs", 1, "--start-epoch", 1) == 2
    assert "use --start_epoch 2" in message(capsys)
    assert main(*load, "--only-do-testing", "--neurons", 7) == 2
    assert "neurons would change" in message(capsys)


def test_rates_of_a_single_batch_are_finite() -> None:
    assert published_rate(0.5, 1) == 0.5
    assert published_rate(0.6, 7) == pytest.approx(0.7)
    found = results([{"epoch": 0, "val_accuracy": 50.0}], {}, 1, 1)
    assert found["best_epoch"] == 0


def test_weights_survive_the_authors_names(tmp_path: Path) -> None:
    out = tmp_path / "run"
    flags = ("--slow-dynamics", "--balance", "--single-spike", "--n-epochs", 0)
    assert main(*TINY, *flags, "--out", out) == 0
    loaded = read_own(BSNN_PAPER, out / "best.safetensors")
    model = BSNN_PAPER.build(loaded.config, BSNN_PAPER.load_task(loaded.config, None))
    assert isinstance(model, BSNN)
    theirs = torch.load(out / "checkpoints/best_model.pth", weights_only=True)
    assert {"snn.0.V_slow", "snn.0.v_thresh", "snn.1.alpha"} <= set(theirs)
    model.load_state_dict(from_published(theirs))
    found = read(out / "checkpoints/best_model.pth", argparse.Namespace())
    assert replace(found.config, out=None) == loaded.config
    assert found.weights.keys() == loaded.weights.keys()
    path = tmp_path / "theirs.pth"
    thresholds = theirs.pop("snn.0.v_thresh")
    torch.save(theirs, path)
    with pytest.raises(UserError, match="--print_config"):
        read(path, argparse.Namespace())
    shutil.copy(out / "config.yaml", tmp_path)
    with pytest.raises(UserError, match="save v_thresh of every layer"):
        read(path, argparse.Namespace())
    text = (out / "config.yaml").read_text().replace("fix_w_in: false", "fix_w_in: true")
    (tmp_path / "config.yaml").write_text(text)
    again = read(path, argparse.Namespace()).weights["snn.0.neuron.threshold"]
    torch.testing.assert_close(again, thresholds)


def test_a_folder_of_the_authors_code_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "best_model.pth").write_bytes(b"")
    assert main("--use-pretrained-model", "--load-exp-folder", tmp_path) == 2
    assert "could run code" in message(capsys)
