"""Everything that cannot be done is refused in one message that names the next step."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from core.testing import contents, message
from silif.models import SNN

from .scripts import TINY, call, refusal

pytestmark = pytest.mark.usefixtures("_no_figures")
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def finished(tiny_shd: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one epoch; tests that change something work on copies."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("core.plots.learning_curve", lambda *_, **__: None)
        assert call(*TINY, "--data_folder", tiny_shd, "--nb_epochs", 1, "--out", folder) == 0
    return folder


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        ("--model_typ LIF", "did you mean --model_type?"),
        ("--model_type silif", "got 'silif'"),
        ("--dataset_name gsc", "expected {shd,ssc,hd,sc}, got 'gsc'"),
        ("--nb_layers 1", "nb_layers is 1; it must be at least 2"),
        ("--nb_hiddens many", "expected int, got 'many'"),
        ("--pdrop 1", "pdrop is 1.0; it must be at least 0 and below 1"),
        ("--lr nan", "expected float, got 'nan'"),
        ("--nb_steps 1", "nb_steps is 1; it must be at least 2"),
        ("--max_time 0", "max_time is 0.0; it must be above 0"),
        ("--spatial_bin 701", "spatial_bin is 701"),
        ("--dt_min 0", "dt_min is 0.0; it must be above 0"),
        ("--dt_min 1 --dt_max 0.5", "dt_min is 1.0, above dt_max, 0.5"),
        ("--state_size 7 --model_type S4D", "modes come in pairs"),
        ("--seed -1", "seed"),
        ("--use_bias maybe", "maybe"),
        ("--model_type MLP --bidirectional 1", "an MLP looks at single steps"),
        ("--dataset_name ssc --data_folder regenerated", "exists for shd, not for ssc"),
        ("--data_folder nowhere", "nowhere is no folder; for shd name"),
        ("--resume nowhere", "nowhere is not a run folder"),
        ("--data_folder embedded --device tpu", "--device tpu"),
        ("--data_folder embedded --backend magic", "magic"),
        (f"--out {'x' * 5000}", "--out: expected path or none, got 'xxx"),
    ],
)
def test_flags(
    flags: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    told = refusal(capsys, *flags.split(), "--debug")
    assert problem in told
    assert "\n" not in told
    assert contents(tmp_path) == {}


def test_every_value_of_a_list_is_looked_at_first(tmp_path: Path, capsys: Capture) -> None:
    place = ("--data_folder", "embedded", "--new_exp_folder", tmp_path)
    assert "expected float, got 'nan'" in refusal(capsys, *place, "--lr", 0.1, "nan")
    assert "at least 1" in refusal(capsys, *place, "--nb_hiddens", 8, 0, "--seed", 1)
    assert contents(tmp_path) == {}


def test_a_run_goes_on_as_it_was(finished: Path, capsys: Capture) -> None:
    before = contents(finished)
    assert "lr would change" in refusal(capsys, "--resume", finished, "--lr", 0.5)
    assert "would change" in refusal(capsys, "--resume", finished, "--model_type", "LIF")
    assert contents(finished) == before


def test_a_folder_that_is_taken(finished: Path, tiny_shd: Path, capsys: Capture) -> None:
    before = contents(finished)
    command = (*TINY, "--data_folder", tiny_shd, "--new_exp_folder", finished)
    assert str(finished) in refusal(capsys, *command)
    assert contents(finished) == before


def test_a_sweep_into_runs_of_other_settings(
    finished: Path, tiny_shd: Path, tmp_path: Path, capsys: Capture
) -> None:
    shutil.copytree(finished, tmp_path / "theirs-seed1")
    config = tmp_path / "theirs.yaml"
    config.write_text("seed: [1, 2]")
    few = [word for word in TINY if word != "--seed"][:-1]
    command = (*few, "--data_folder", tiny_shd, "--new_exp_folder", tmp_path)
    assert "holds a run with other settings" in refusal(capsys, "--config", config, *command)


def test_whole_modules_are_not_loaded(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "best_model.pth"
    torch.save(SNN((1, None, 140), [6, 20]), path)
    assert call(path, script="evaluate") == 2
    assert str(path) in message(capsys)


@pytest.mark.parametrize("name", ["nothing", "nothing.pth", "nothing.safetensors"])
def test_checkpoints_that_are_not_there(name: str, tmp_path: Path, capsys: Capture) -> None:
    assert "nothing" in refusal(capsys, tmp_path / name, script="evaluate")


def test_a_last_batch_of_one(tiny_shd: Path, tmp_path: Path, capsys: Capture) -> None:
    """Of networks without spikes; theirs dies on it at the end of the first epoch."""
    few = [word for word in TINY if word not in ("--batch_size", 16)]
    command = (*few, "--batch_size", 47, "--data_folder", tiny_shd, "--protocol", "published")
    place = ("--new_exp_folder", tmp_path / "run")
    told = refusal(capsys, *command, *place, "--model_type", "MLP")
    assert "leaves a single one of 48 training samples" in told
    assert not (tmp_path / "run").exists()
    assert call(*command, *place, "--model_type", "S4D", "--nb_epochs", 1) == 0
