"""Runs that were stopped or are to be longer go on as if nothing had happened."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from core import checkpoints
from core.config import load_yaml
from core.testing import assert_same_run, contents, facts, rows, stop_at, without_notices
from core.training.progress import RunProgress
from sparch.config import PAPER, Config

from .scripts import TINY, call, refusal

pytestmark = pytest.mark.usefixtures("_no_figures")
EPOCHS = 8
Capture = pytest.CaptureFixture[str]

RECIPES: dict[str, tuple[object, ...]] = {
    "LIF": ("--model_type", "LIF", "--protocol", "published"),
    "RadLIF, speakers held out": (
        *("--model_type", "RadLIF", "--use_regularizers", "y", "--normalization", "layernorm"),
    ),
    "GRU": ("--model_type", "GRU", "--protocol", "published", "--lr", "0.001"),
}


# --- the two commands of the authors' README ------------------------------------------------------


@pytest.mark.parametrize("name", RECIPES)
def test_more_epochs_are_one_long_run(name: str, tiny_shd: Path, tmp_path: Path) -> None:
    """2 + 2 epochs: initial states and dropout draw on, the schedule knows the best accuracy."""
    options = (*TINY, *RECIPES[name], "--data_folder", tiny_shd)
    whole, folder = tmp_path / "whole", tmp_path / "run"
    assert call(*options, "--nb_epochs", 4, "--new_exp_folder", whole) == 0
    assert call(*options, "--nb_epochs", 2, "--new_exp_folder", folder) == 0
    again = ("--use_pretrained_model", 1, "--load_exp_folder", folder, "--data_folder", tiny_shd)
    assert call(*again, "--start_epoch", 2, "--nb_epochs", 2) == 0
    assert_same_run(folder, whole)
    assert [row["epoch"] for row in rows(folder)] == [0, 1, 2, 3, 4]
    for key in ("config_hash", "epochs_planned", "epochs_done", "tests", "selects"):
        assert facts(folder)[key] == facts(whole)[key], key
    assert [step["epochs_planned"] for step in facts(folder)["continued"]] == [4]
    ours, theirs = (load_yaml(Config, f / "config.yaml") for f in (folder, whole))
    assert (ours.nb_epochs, ours.use_pretrained_model, ours.load_exp_folder) == (4, False, None)
    assert checkpoints.load(folder / "last.safetensors").manifest["config"]["nb_epochs"] == 4
    assert theirs.nb_epochs == 4


def test_continued_for_five_more_by_default(tiny_shd: Path, tmp_path: Path) -> None:
    """As in the authors' script, whatever the run had."""
    options = (*TINY, "--data_folder", tiny_shd, "--nb_epochs", 1)
    assert call(*options, "--new_exp_folder", tmp_path / "run") == 0
    loaded = ("--use_pretrained_model", 1, "--load_exp_folder", tmp_path / "run")
    assert call(*loaded, "--data_folder", tiny_shd, "--start_epoch", 1) == 0
    assert len(rows(tmp_path / "run")) == 1 + 1 + 5


def test_interrupted_while_continued(
    tiny_shd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = (*TINY, "--data_folder", tiny_shd, "--protocol", "published")
    whole, folder = tmp_path / "whole", tmp_path / "run"
    assert call(*options, "--nb_epochs", 3, "--new_exp_folder", whole) == 0
    assert call(*options, "--nb_epochs", 1, "--new_exp_folder", folder) == 0
    loaded = ("--use_pretrained_model", 1, "--load_exp_folder", folder, "--data_folder", tiny_shd)
    with monkeypatch.context() as patch:
        patch.setattr(RunProgress, "step", stop_at(3 + 3 + 2))
        assert call(*loaded, "--start_epoch", 1, "--nb_epochs", 2) == 130
    assert (facts(folder)["status"], facts(folder)["epochs_done"]) == ("interrupted", 2)
    assert call("--resume", folder, "--data_folder", tiny_shd) == 0
    assert_same_run(folder, whole)


def test_more_epochs_in_as_many_threads(
    tiny_shd: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = (*TINY, "--threads", 2, "--data_folder", tiny_shd, "--nb_epochs", 1)
    assert call(*options, "--out", tmp_path / "run") == 0
    loaded = ("--use_pretrained_model", 1, "--load_exp_folder", tmp_path / "run")
    again = (*loaded, "--data_folder", tiny_shd, "--start_epoch", 1, "--nb_epochs", 1)
    told = refusal(capsys, *again, "--threads", 1)
    assert "--use_pretrained_model continues a run as it was" in told
    assert "number of threads, which is 2" in told
    used: list[int] = []
    monkeypatch.setattr(RunProgress, "step", lambda *_: used.append(torch.get_num_threads()))
    assert call(*again) == 0
    assert set(used) == {2}


# --- stopped runs ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in RECIPES if name != "GRU"])
def test_stopped_in_an_epoch(
    name: str, tiny_shd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = (*TINY, *RECIPES[name], "--data_folder", tiny_shd, "--nb_epochs", 2)
    whole, folder = tmp_path / "whole", tmp_path / "stopped"
    assert call(*options, "--out", whole) == 0
    with monkeypatch.context() as patch:
        patch.setattr(RunProgress, "step", stop_at(4))
        assert call(*options, "--out", folder) == 130
    done = facts(folder)["epochs_done"]
    assert done in (1, 2)
    assert call("--resume", folder, "--data_folder", tiny_shd) == 0
    assert_same_run(folder, whole)
    assert facts(folder)["tests"] == facts(whole)["tests"]


def test_killed(tiny_shd: Path, tmp_path: Path) -> None:
    """SIGKILL to the real script in the middle of a run."""
    options = [*TINY, "--data_folder", tiny_shd, "--nb_epochs", 40, "--protocol", "published"]
    folder = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "run_exp.py", *map(str, options), "--out", str(folder)],
        cwd=PAPER,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 300
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("epoch 3/"):
            break
        assert time.monotonic() < deadline
    process.kill()
    error = process.communicate()[1]
    assert (process.returncode, without_notices(error)) == (-signal.SIGKILL, "")
    done = checkpoints.load_resume_state(folder / "resume.pt")["progress"]["epoch"]
    assert 3 <= done < 40
    assert facts(folder)["status"] == "running"
    # to one epoch more, which a run that nobody killed has to agree with
    shutil.copytree(folder, tmp_path / "copy")
    loaded = ("--use_pretrained_model", 1, "--load_exp_folder", tmp_path / "copy")
    again = (*loaded, "--data_folder", tiny_shd, "--start_epoch", done, "--nb_epochs", 1)
    assert call(*again) == 0
    options[options.index("--nb_epochs") + 1] = done + 1
    assert call(*options, "--out", tmp_path / "whole") == 0
    assert_same_run(tmp_path / "copy", tmp_path / "whole")


def test_one_seed_one_result(tiny_shd: Path, tmp_path: Path) -> None:
    options = (*TINY, "--model_type", "adLIF", "--data_folder", tiny_shd, "--nb_epochs", 1)
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        assert call(*options, "--seed", seed, "--out", tmp_path / name) == 0
    assert_same_run(tmp_path / "a", tmp_path / "b")
    one, other = (checkpoints.load(tmp_path / n / "last.safetensors").weights for n in "ac")
    same = {key for key in one if one[key].equal(other[key])}
    assert all("num_batches" in key for key in same)


# --- tests of a trained network -------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tiny_shd: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("core.plots.learning_curve", lambda *_, **__: None)
        options: list[object] = [*TINY, "--data_folder", tiny_shd, "--protocol", "published"]
        # batch norm would evaluate with running statistics of far too few steps
        options += ["--normalization", "layernorm", "--lr", 0.02]
        options += ["--nb_hiddens", 16, "--batch_size", 8]
        assert call(*options, "--nb_epochs", EPOCHS, "--out", folder) == 0
    return folder


def test_it_learns(trained: Path) -> None:
    """Four words that differ in their channels: chance is 25 %."""
    history = rows(trained)
    assert max(row["test_accuracy"] for row in history) > 70
    assert history[-1]["train_loss"] < 0.7 * history[1]["train_loss"]
    assert 0 < history[-1]["rate"] < 0.5
    assert history[-1]["sop"] == pytest.approx(history[-1]["rate"] * 100 * 32)


def test_tests_at_the_end(trained: Path) -> None:
    """The kept weights are those of the first epoch with the highest validation accuracy."""
    history = rows(trained)
    best = max(history, key=lambda row: row["val_accuracy"])
    assert checkpoints.load(trained / "best.safetensors").manifest["epoch"] == best["epoch"]
    tests = facts(trained)["tests"]
    assert tests["weights"] == f"best weights, epoch {best['epoch']}"
    assert len(tests["accuracies"]) == 2
    assert tests["accuracy"] == pytest.approx(sum(tests["accuracies"]) / 2)
    assert tests["accuracy"] == pytest.approx(best["test_accuracy"], abs=15)
    assert facts(trained)["selects"] == "val_accuracy"
    assert all(row["val_loss"] == row["test_loss"] for row in history)


def test_only_testing(trained: Path, tiny_shd: Path, capsys: Capture) -> None:
    before = contents(trained)
    loaded = ("--use_pretrained_model", 1, "--load_exp_folder", trained, "--only_do_testing", 1)
    capsys.readouterr()
    assert call(*loaded, "--data_folder", tiny_shd) == 0
    tests = facts(trained)["tests"]
    shown = capsys.readouterr().out
    assert shown.startswith(f"test of the {tests['weights']}, 2 times on 24 samples: accuracy ")
    assert f"accuracy {tests['accuracy']:.2f} +- {tests['accuracy_std']:.2f} %" in shown
    assert call(*loaded, "--data_folder", tiny_shd, "--save_best", 0, "--init_state", "zeros") == 0
    assert capsys.readouterr().out.startswith(
        f"test of the last weights, epoch {EPOCHS}, once on 24"
    )
    assert contents(trained) == before


def test_evaluate_script(trained: Path, tiny_shd: Path, capsys: Capture) -> None:
    path = trained / "best.safetensors"
    capsys.readouterr()
    assert call(path, "--json", "--data_folder", tiny_shd, script="evaluate") == 0
    told, counts, result = capsys.readouterr().out.splitlines()
    assert counts.startswith("counts per sample: ")
    tests = facts(trained)["tests"]
    assert told.startswith("test of the LIF in best.safetensors on shd-unverified (shd), 2 times")
    found = json.loads(result)
    assert {key: found[key] for key in tests if key != "weights"} == {
        key: value for key, value in tests.items() if key != "weights"
    }


def test_continuing_needs_the_same_data(
    trained: Path, tmp_path: Path, tiny_shd: Path, capsys: Capture
) -> None:
    other = tmp_path / "shd"
    shutil.copytree(tiny_shd, other)
    (other / "shd_train.h5").write_bytes((tiny_shd / "shd_test.h5").read_bytes())
    before = contents(trained)
    loaded = ("--use_pretrained_model", 1, "--load_exp_folder", trained, "--start_epoch", EPOCHS)
    told = refusal(capsys, *loaded, "--data_folder", other)
    assert re.search(
        r"was trained on .*shd-unverified.*, and the data here are .*--data_folder", told
    )
    assert contents(trained) == before
