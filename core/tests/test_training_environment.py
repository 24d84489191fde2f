"""What a run says about where it was made."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from core.training import environment


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git checkout in which the module seems to lie, with a result and a README."""
    for name in ("core/environment.py", "papers/brf/results/runs.jsonl", "README.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("old\n")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.example"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "first"], check=True)
    monkeypatch.setattr(environment, "__file__", str(tmp_path / "core" / "environment.py"))
    return tmp_path


def test_results_and_readmes_make_no_run_dirty(checkout: Path) -> None:
    (checkout / "papers/brf/results/runs.jsonl").write_text("new\n")
    (checkout / "README.md").write_text("new\n")
    described = environment.describe(torch.device("cpu"), "reference")
    assert len(described["commit"]) == 40
    assert described["dirty"] is False
    (checkout / "core/environment.py").write_text("new\n")
    assert environment.describe(torch.device("cpu"), "reference")["dirty"] is True


def test_without_git_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "__file__", str(tmp_path / "environment.py"))
    described = environment.describe(torch.device("cpu"), "reference")
    assert described["commit"] is described["dirty"] is None


def test_command_names_no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/some/where/train.py", "--out", "my runs"])
    described = environment.describe(torch.device("cpu"), "reference")
    assert described["command"] == "python train.py --out 'my runs'"
    assert described["versions"]["torch"] == torch.__version__
    assert described["threads"] == torch.get_num_threads()


def test_a_command_tells_no_folder_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["/a/b/train.py", "--out", "/c/my runs/1", "--data_folder=/d/e", "--lr", "1/2"]
    monkeypatch.setattr(sys, "argv", words)
    command = environment.describe(torch.device("cpu"), "reference")["command"]
    assert command == "python train.py --out 1 --data_folder=e --lr 1/2"
