"""Each training script with each neuron, one epoch on an embedded data set."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from brf.config import CONFIGS
from core import checkpoints
from core.config import load_yaml

from .scripts import TINY_ECG, TINY_GSC, TINY_SHD, TINY_SMNIST, call, facts, rows, without_notices

RUNS: dict[str, tuple[str, ...]] = {
    "smnist brf": ("--neuron", "brf"),
    "smnist rf": ("--neuron", "rf"),
    "smnist hrf": ("--neuron", "hrf"),
    "smnist alif, truncated": ("--neuron", "alif"),
    "smnist brf, truncated": ("--neuron=brf", "--tbptt_steps=20", "--lr=0.006"),
    "smnist brf, energy-aware": ("--lambda_spike", "1e-5", "--no-label-last"),
    "psmnist brf": ("--permuted",),
    "ecg brf": ("--neuron", "brf"),
    "ecg rf": ("--neuron", "rf"),
    "ecg hrf": ("--neuron", "hrf", "--batch_size", "128"),
    "ecg alif": ("--neuron", "alif"),
    "gsc brf": ("--neuron", "brf"),
    "gsc alif": ("--neuron", "alif"),
    "shd rf": ("--neuron", "rf"),
    "shd hrf": ("--neuron", "hrf"),
    "shd alif": ("--neuron", "alif"),
}
TASKS = {
    "smnist": ("train_smnist", TINY_SMNIST, "digits"),
    "psmnist": ("train_smnist", TINY_SMNIST, "digits"),
    "ecg": ("train_ecg", TINY_ECG, "synthetic_ecg"),
    "gsc": ("train_gsc", TINY_GSC, "synthetic-sc"),
    "shd": ("train_shd", TINY_SHD, "synthetic-shd"),
}
FILES = {
    *("config.yaml", "run.json", "metrics.jsonl", "best.safetensors", "last.safetensors"),
    *("resume.pt", "learning_curve.png", ".lock"),
}


@pytest.mark.parametrize("name", RUNS)
def test_one_epoch(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    task = name.split()[0]
    script, tiny, data = TASKS[task]
    assert call(script, *tiny, *RUNS[name], "--epochs", "1", "--out", out) == 0

    assert {path.name for path in out.iterdir() if "tfevents" not in path.name} == FILES
    assert len(list(out.glob("events.out.tfevents.*"))) == 2  # curves, and the figure
    assert (out / "learning_curve.png").stat().st_size > 1000
    assert [row["epoch"] for row in rows(out)] == [0, 1]
    assert rows(out)[1]["train_loss"] > 0
    (rate,) = rows(out)[1]["layer_rates"]
    assert 0 <= rate <= 1
    assert bool(facts(out)["warnings"]) == (rate == 0 or rate >= 0.95)

    run = facts(out)
    assert (run["task"], run["model"]) == (task, re.findall("brf|hrf|rf|alif", name)[0])
    assert run["data"]["name"] == data
    assert (run["status"], run["epochs_done"], run["seed"]) == ("finished", 1, 0)
    counts = run["counts"]
    assert counts["parameter_count"] == run["parameters"]
    assert list(counts["layers"])[:2] == ["hidden", "out"]
    assert set(counts["layers"]["hidden"]) >= {"input", "recurrence"}
    assert "tests" not in run
    assert run["command"].startswith(f"python {script}.py --data ")
    config = load_yaml(CONFIGS[task], out / "config.yaml")
    assert (config.hidden, config.epochs, config.out) == (6, 1, out)

    last = checkpoints.load(out / "last.safetensors")
    assert last.manifest["epoch"] == 1
    assert last.manifest["config_hash"] == run["config_hash"]
    assert (
        sum(w.numel() for k, w in last.weights.items() if k != "permutation") == (run["parameters"])
    )
    assert ("permutation" in last.weights) == (task == "psmnist")

    shown = capsys.readouterr()
    assert without_notices(shown.err) == ""
    assert f"{run['model']} on {run['data']['name']} ({task}): {run['parameters']} " in shown.out
    assert f"device cpu ({run['device_name']}), 1 thread, backend cpu" in shown.out
    assert "epoch 1/1 | train loss" in shown.out
    assert "counts per sample: " in shown.out
    assert re.search(r"best epoch [01] by validation loss: test accuracy [\d.]+ %", shown.out)


def test_threads_are_chosen_told_and_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert call("train_smnist", *TINY_SMNIST, "--epochs", 0, "--threads", 0, "--out", out) == 0
    assert ", 1 thread (small work, " in capsys.readouterr().out
    assert facts(out)["threads"] == 1
    assert checkpoints.load(out / "last.safetensors").manifest["threads"] == 1
    assert call("train_smnist", "--resume", out) == 0
    assert ", 1 thread, backend" in capsys.readouterr().out


def test_no_epoch_is_an_evaluation(tmp_path: Path) -> None:
    assert call("train_smnist", *TINY_SMNIST, "--epochs", 0, "--out", tmp_path / "run") == 0
    assert [row["epoch"] for row in rows(tmp_path / "run")] == [0]


def test_default_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("train_smnist", *TINY_SMNIST, "--seed", 3, "--epochs", 0) == 0
    (folder,) = (tmp_path / "runs").iterdir()
    assert re.fullmatch(r"smnist_brf-seed3-\d{8}-\d{6}", folder.name)
    assert facts(folder)["config_file"] == "configs/smnist_brf.yaml"


def test_best_epoch_is_that_of_the_best_weights(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """ECG keeps the last of equal epochs; a learning rate of next to nothing makes them equal."""
    options = [*TINY_ECG, "--lr", "1e-30", "--epochs", 1, "--out", tmp_path / "run"]
    assert call("train_ecg", *options) == 0
    assert len({row["val_loss"] for row in rows(tmp_path / "run")}) == 1
    assert checkpoints.load(tmp_path / "run" / "best.safetensors").manifest["epoch"] == 1
    assert "best epoch 1 by validation loss" in capsys.readouterr().out


def test_checkpoints_tell_no_folder(tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert call("train_ecg", *TINY_ECG, "--epochs", 0, "--out", out) == 0
    for name in ("best.safetensors", "last.safetensors", "run.json"):
        assert str(tmp_path).encode() not in (out / name).read_bytes()
