"""Every command that stands for one of the original repositories, on embedded data."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import torch

from brf.config import PAPER, EcgConfig
from brf.models import build
from core import checkpoints
from core.config import to_dict

from .scripts import TINY_ECG, TINY_GSC, TINY_SHD, TINY_SMNIST, call, facts

PAGE = (PAPER / "docs" / "commands.md").read_text(encoding="utf-8")
OURS = [
    command
    for line in PAGE.splitlines()
    for command in re.findall(r"`python ([\w.]+\.py[^`]*)`", line.rpartition(" | ")[2])
]
TINY = {
    "train_ecg.py": TINY_ECG,
    "train_smnist.py": TINY_SMNIST,
    "train_shd.py": TINY_SHD,
    "train_gsc.py": TINY_GSC,
}
SCORED = ("--samples", "2", "--threads", "1")
SMALL = {
    "evaluate.py": ("--threads", "1"),
    "inspect_sop.py": ("--threads", "1"),
    "raster.py": ("--threads", "1"),
    "robustness.py": (*SCORED, "--repeats", "1"),
    "loss_landscape.py": (*SCORED, "--points", "2"),
}


@pytest.fixture(autouse=True)
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing the curve takes longer than these runs."""
    monkeypatch.setattr("core.plots.learning_curve", lambda *_, **__: None)


def test_the_table_has_all_scripts() -> None:
    scripts = {command.split()[0] for command in OURS}
    here = {path.name for path in PAPER.glob("*.py")}
    assert scripts == here - {"figures.py"}
    assert len(OURS) > 20


@pytest.mark.parametrize("command", [c for c in OURS if c.startswith("train_")])
def test_training(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It starts from the file that the table means, and goes through an epoch."""
    monkeypatch.chdir(PAPER)  # where the commands are given
    script, *flags = shlex.split(command)
    small = (*TINY[script], "--epochs", "1", "--out", tmp_path / "run")
    assert call(script.removesuffix(".py"), *flags, *small) == 0
    run = facts(tmp_path / "run")
    assert (run["status"], run["epochs_done"]) == ("finished", 1)
    if "--config" in flags:
        assert run["config_file"] == flags[flags.index("--config") + 1]
    if "--neuron" in flags:
        assert run["model"] == flags[flags.index("--neuron") + 1]
    assert run["task"].endswith(script[len("train_") : -len(".py")])
    assert (run["task"] == "psmnist") == ("--permuted" in flags or "psmnist" in command)


@pytest.mark.parametrize("command", [c for c in OURS if "CHECKPOINT" in c])
def test_looking_at_a_network(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = EcgConfig(neuron="brf", hidden=6, data="embedded")
    torch.manual_seed(0)
    path = tmp_path / "mine.safetensors"
    manifest = {"paper": "brf", "task": "ecg", "model": "brf", "config": to_dict(config)}
    checkpoints.save(path, build(config, 4, 6), manifest)
    monkeypatch.chdir(tmp_path)
    script, *flags = shlex.split(command.replace("CHECKPOINT", path.name))
    assert call(script.removesuffix(".py"), *flags, *SMALL[script]) == 0
    left = {file.name for file in tmp_path.rglob("*.png")}
    assert bool(left) == (script != "evaluate.py")
