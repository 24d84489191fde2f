"""The commands of the authors' README, as written, on data that a test can afford."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core.errors import UserError
from core.sweep.execute import prepare
from core.sweep.plan import Planned
from core.sweep.process import Script
from core.testing import facts, message, rows
from silif.commands import read_call
from silif.config import PAPER
from silif.several import planned

from .arrays import need
from .scripts import TINY, call, refusal

pytestmark = pytest.mark.usefixtures("_no_figures")
SMALL = ("--nb_hiddens", 6, "--nb_epochs", 1, "--threads", 1, "--data_folder", "embedded")
SMALLER = (*SMALL, "--nb_steps", 20, "--spatial_bin", 50, "--evaluations", 1, "--batch_size", 100)


@pytest.fixture
def _in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of a sweep without processes of their own, each of which imports PyTorch."""

    def run_all(paper: Path, script: str, runs: Sequence[Planned], **places: Any) -> None:
        assert (paper, script) == (PAPER, "main")
        for one in runs:
            assert call(*one.arguments, "--out", places["out"] / one.name) == 0

    monkeypatch.setattr("silif.several.run_all", run_all)


def folders(place: Path) -> list[str]:
    return sorted(path.name for path in place.iterdir() if path.is_dir())


@pytest.mark.usefixtures("_in_this_process")
def test_five_runs_of_different_seeds(tiny_shd: Path, tmp_path: Path) -> None:
    command = "--model_type CadLIF --dataset_name shd --data_folder {} --new_exp_folder {}"
    argv = shlex.split(command.format(tiny_shd, tmp_path / "runs"))
    few = [word for word in TINY if word != "--seed"][:-1]
    assert call(*argv, *few, "--nb_epochs", 1) == 0
    seeds = [13, 190, 268, 42, 73]
    found = folders(tmp_path / "runs")
    assert [name.rpartition("-seed")[2] for name in found] == [str(seed) for seed in seeds]
    runs = [facts(tmp_path / "runs" / name) for name in found]
    assert [run["seed"] for run in runs] == seeds
    assert {run["status"] for run in runs} == {"finished"}


@pytest.mark.usefixtures("_in_this_process")
def test_a_sweep_finds_its_runs_again(tiny_shd: Path, tmp_path: Path) -> None:
    """Asked in processes of their own what they make of their flags, all runs are finished."""
    config = tmp_path / "theirs.yaml"
    config.write_text("parameters: {seed: {values: [1, 2]}, model_type: {values: [LIF]}}")
    few = [word for word in TINY if word != "--seed"][:-1]
    command = (*few, "--nb_epochs", 1, "--data_folder", tiny_shd, "--new_exp_folder", tmp_path)
    assert call(f"--config={config}", *command) == 0
    asked = read_call([f"--config={config}", *map(str, command)])
    runs = prepare(Script(PAPER, "main.py"), planned(asked), tmp_path)
    assert [run.planned.name for run in runs] == ["theirs-seed1", "theirs-seed2"]
    assert [run.state.status for run in runs] == ["finished", "finished"]


def test_debug_is_one_run(tiny_shd: Path, tmp_path: Path) -> None:
    few = [word for word in TINY if word != "--seed"][:-1]
    command = ("--data_folder", tiny_shd, "--new_exp_folder", tmp_path / "run", "--debug")
    assert call("--model_type", "SiLIF", *command, *few, "--nb_epochs", 1) == 0
    assert facts(tmp_path / "run")["seed"] == 13


@pytest.mark.usefixtures("_in_this_process")
@pytest.mark.parametrize("command", ["--config=shd_csilif.yaml", "--config=ssc_silif_4ms.yaml"])
def test_a_config_file(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the paper's folder; all seeds of the file, in a folder of the authors' name."""
    monkeypatch.setattr("silif.several.SWEEPS", tmp_path)
    monkeypatch.chdir(PAPER)
    assert call(command, *SMALLER) == 0
    (place,) = tmp_path.iterdir()
    count = 10 if "csilif" in command else 5
    assert len(folders(place)) == count
    assert all(len(rows(place / name)) == 2 for name in folders(place))
    assert facts(place / folders(place)[0])["config_file"] == f"configs/{command[9:]}"


@pytest.mark.parametrize("words", [["CSiLIF"], []])
def test_evaluation(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the word that the authors' code fails on, and without; twice the same numbers."""
    need("silif_published")
    monkeypatch.chdir(PAPER)
    short = ("--data_folder", "embedded", "--threads", 1, "--nb_steps", 30, "--seed", 1, 2)
    told = []
    for _ in range(2):
        capsys.readouterr()
        assert (
            call("--config=ssc_silif_4ms.yaml", *words, "--evaluate_pretrained", "True", *short)
            == 0
        )
        told.append(capsys.readouterr().out)
    assert told[0] == told[1]
    assert f"test of the {words[0] if words else 'SiLIF'} in best_model.pth" in told[0]
    assert "2 times on 280 samples" in told[0]
    assert "exactly" in told[0]
    assert "as published (divided by 1 of 2 batches)" in told[0]


def test_evaluation_of_a_run_of_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By its folder, by its file in the authors' form, and by ours: the same scores."""
    run = tmp_path / "run"
    command = (*SMALLER, "--protocol", "published")
    assert call(*command, "--seed", 3, "--new_exp_folder", run) == 0
    told = []
    for place in (run, run / "checkpoints" / "best_model.pth", run / "best.safetensors"):
        capsys.readouterr()
        flags = ("--load_exp_folder", place, "--evaluate_pretrained", "True")
        assert call(*flags, *command, "--seed", 4, 5) == 0
        line = capsys.readouterr().out.splitlines()[0]
        told.append(line[line.index("200 samples") :])
    assert len(set(told)) == 1


@pytest.mark.usefixtures("_in_this_process")
def test_a_sweep_is_planned_and_carried_out_by_its_name(
    tiny_shd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr("silif.several.SWEEPS", tmp_path)
    few = [word for word in TINY if word != "--seed"][:-1]
    command = (*few, "--nb_epochs", 1, "--data_folder", tiny_shd, "--seed", 1, 2)
    assert call(*command, "--sweep_name", "mine", "--only_createsweep", "True") == 0
    assert "SWEEP ID: mine" in capsys.readouterr().out
    assert folders(tmp_path / "mine") == []
    assert call("--sweep_id", "mine") == 0
    assert [name[-5:] for name in folders(tmp_path / "mine")] == ["seed1", "seed2"]
    assert "names no sweep" in refusal(capsys, "--sweep_id", "yours")
    assert "a name has letters" in refusal(capsys, "--sweep_name", "../x")


def test_nothing_is_left_of_runs_that_were_not_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run_all(*given: Any, **places: Any) -> None:
        raise UserError("no data")

    monkeypatch.setattr("silif.several.run_all", run_all)
    assert "no data" in refusal(capsys, "--new_exp_folder", str(tmp_path / "runs" / "mine"))
    assert list(tmp_path.iterdir()) == []
    asked = tmp_path / "sweep.json"
    asked.write_text("an earlier call")
    refusal(capsys, "--new_exp_folder", str(tmp_path))
    assert asked.read_text() == "an earlier call"


# --- Weights & Biases ----------------------------------------------------------------------------


class FakeWandb(SimpleNamespace):
    """What is used of the package."""

    def __init__(self) -> None:
        super().__init__(asked={}, logged=[], finished=False)

    def init(self, **asked: Any) -> FakeWandb:
        self.asked = asked
        return self

    def log(self, values: dict[str, float], step: int) -> None:
        self.logged.append((step, values))

    def finish(self) -> None:
        self.finished = True


def test_epochs_are_sent(tiny_shd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    command = (*TINY, "--data_folder", tiny_shd, "--nb_epochs", 2)
    assert call(*command, "--new_exp_folder", tmp_path / "run", "--wandb") == 0
    assert (fake.asked["project"], fake.asked["name"]) == ("SiLIF_SHD_runs", "run")
    assert [step for step, _ in fake.logged] == [1, 2]
    assert fake.finished
    last, row = fake.logged[-1][1], rows(tmp_path / "run")[-1]
    assert last["test acc"] == row["test_accuracy"] / 100
    assert last["test sparsity"] == 1 - row["rate"]
    assert last["best valid acc"] >= last["valid acc"]
    assert {"train_loss", "train_acc", "valid loss", "test loss"} < last.keys()
    del fake.logged[:]
    assert call(*command, "--new_exp_folder", tmp_path / "other") == 0
    assert fake.logged == []


def test_a_missing_package_is_said_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert call("--wandb", "--debug", "--new_exp_folder", tmp_path / "run") == 2
    assert "whose package is not installed" in message(capsys)
    assert not (tmp_path / "run").exists()
