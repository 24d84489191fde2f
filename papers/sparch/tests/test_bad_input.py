"""Everything that cannot be done is refused in one message that names the next step."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import nn

from core import checkpoints
from core.data.speech_commands import load_sc
from core.data.synthetic_speech import write_synthetic_sc
from core.testing import contents, facts, message
from core.training.run_folder import RunFolder
from sparch.models import SNN
from sparch.published import NAMES

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


# --- flags ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        ("--model_typ LIF", "did you mean --model_type?"),
        ("--model_type lif", "expected {LIF,adLIF,RLIF,RadLIF,MLP,RNN,LiGRU,GRU}, got 'lif'"),
        ("--dataset_name mnist", "expected {shd,ssc,hd,sc}, got 'mnist'"),
        ("--nb_layers 1", "nb_layers is 1; it must be at least 2"),
        ("--nb_hiddens 0", "nb_hiddens is 0; it must be at least 1"),
        ("--nb_hiddens many", "expected int, got 'many'"),
        ("--pdrop 1", "pdrop is 1.0; it must be at least 0 and below 1"),
        ("--pdrop -0.1", "pdrop is -0.1"),
        ("--lr 0", "lr is 0.0; it must be above 0"),
        ("--lr nan", "expected float, got 'nan'"),
        ("--nb_epochs -1", "nb_epochs is -1"),
        ("--batch_size 0", "batch_size is 0"),
        ("--scheduler_factor 1", "scheduler_factor is 1.0; it must be above 0 and below 1"),
        ("--scheduler_patience -1", "scheduler_patience is -1"),
        ("--val_fraction 0", "val_fraction is 0.0"),
        ("--reg_fmin 0.6", "reg_fmin is 0.6, above reg_fmax, 0.5"),
        ("--reg_factor -1", "reg_factor is -1.0"),
        ("--evaluations 0", "evaluations is 0"),
        ("--seed -1", "seed is -1"),
        ("--lr 1e300", "lr is 1e+300; it must be above 0 and at most 10000"),
        (
            "--nb_hiddens 10000000",
            "nb_hiddens is 10000000; it must be at least 1 and at most 16384",
        ),
        (f"--batch_size {10**30}", "0; it must be at least 1 and at most 1000000"),
        (f"--out {'x' * 5000}", "--out: expected path or none, got 'xxx"),
        (f"--load_exp_folder {'x' * 5000} --use_pretrained_model", "no file system has a path"),
        (f"--normalization {'x' * 5000}", "--normalization: expected text, got 'xxx"),
        ("--use_bias maybe", "expected true|false, got 'maybe'"),
        ("--model_type MLP --bidirectional 1", "an MLP looks at single steps"),
        ("--model_type GRU --use_regularizers 1", "GRU has none"),
        ("--dataset_name ssc --data_folder regenerated", "exists for shd, not for ssc"),
        ("--data_folder subset", "exists for hd and sc, not for shd"),
        ("--only_do_testing 1", "needs a trained model: add --use_pretrained_model 1"),
        ("--use_pretrained_model 1", "needs load_exp_folder"),
        ("--load_exp_folder nowhere", "does nothing alone; add use_pretrained_model 1"),
        ("--use_pretrained_model 1 --load_exp_folder nowhere", "nowhere is not a run folder"),
        ("--resume nowhere", "nowhere is not a run folder"),
        ("--config nowhere.yaml", "no such config file"),
        ("--data_folder nowhere", "nowhere is no folder; for shd name"),
        ("--data_folder embedded --device tpu", "--device tpu"),
        ("--data_folder embedded --backend magic", "magic"),
    ],
)
def test_flags(
    flags: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    told = refusal(capsys, *flags.split())
    assert problem in told
    assert "\n" not in told
    assert contents(tmp_path) == {}


def test_pretrained_model_goes_with_flags(tmp_path: Path, finished: Path, capsys: Capture) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(f"use_pretrained_model: true\nload_exp_folder: {finished}\n")
    assert "as a flag" in refusal(capsys, "--config", file)
    flags = ("--use_pretrained_model", 1, "--load_exp_folder", finished)
    assert "not with --resume" in refusal(capsys, "--resume", finished, *flags)


def test_folder_in_place_of_a_stand_in(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("data: embedded\n")
    told = refusal(capsys, "--config", file, "--data_folder", tmp_path)
    assert "data embedded takes no data_folder; add --data original" in told


def test_augmentation_of_spikes_is_a_warning(tmp_path: Path, capsys: Capture) -> None:
    flags = ("--use_augm", 1, "--data_folder", tmp_path, "--out", tmp_path / "run")
    assert call(*flags) == 2
    error = capsys.readouterr().err
    assert error.startswith("warning: use_augm has no effect on shd\nerror: ")


# --- runs to go on with or to test ----------------------------------------------------------------


@pytest.mark.parametrize("flag", ["--out", "--new_exp_folder"])
def test_output_folder_of_a_run(flag: str, finished: Path, tiny_shd: Path, capsys: Capture) -> None:
    before = contents(finished)
    told = refusal(capsys, *TINY, "--data_folder", tiny_shd, flag, finished)
    assert f"{finished} exists already and is not overwritten; continue it with --resume" in told
    assert contents(finished) == before


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        ("--start_epoch 5", "--start_epoch is 5, but the last epoch .* is 1; use --start_epoch 1"),
        ("", "--start_epoch is 0, but .*; use --start_epoch 1"),
        ("--start_epoch 1 --model_type adLIF", "but model_type would change"),
        ("--start_epoch 1 --nb_hiddens 9 --use_bias 1", "but nb_hiddens, use_bias would change"),
        ("--start_epoch 1 --lr 0.1", "but lr would change; leave the flag out"),
        ("--start_epoch 1 --seed 2", "but seed would change"),
        ("--start_epoch 1 --dataset_name ssc", "but dataset_name would change"),
        ("--start_epoch 1 --new_exp_folder elsewhere", "but out would change"),
        ("--only_do_testing 1 --nb_hiddens 9", "--only_do_testing .* nb_hiddens would change"),
    ],
)
def test_continuing_otherwise(
    flags: str, problem: str, finished: Path, tiny_shd: Path, capsys: Capture
) -> None:
    before = contents(finished)
    loaded = ("--use_pretrained_model", 1, "--load_exp_folder", finished)
    told = refusal(capsys, *loaded, "--data_folder", tiny_shd, *flags.split())
    assert re.search(problem, told)
    assert contents(finished) == before


@pytest.mark.parametrize(
    ("flags", "problem"),
    [("--lr 0.1", "but lr would change"), ("--nb_epochs 9", "but nb_epochs would change")],
)
def test_resuming_otherwise(flags: str, problem: str, finished: Path, capsys: Capture) -> None:
    assert problem in refusal(capsys, "--resume", finished, *flags.split())


def no_weights(folder: Path) -> None:
    (folder / "best.safetensors").unlink()


def no_resume_state(folder: Path) -> None:
    (folder / "resume.pt").unlink()


def truncated_config(folder: Path) -> None:
    text = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(text[: text.index("protocol:")])


def other_paper(folder: Path) -> None:
    facts = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**facts, "paper": "brf"}))


def of_the_authors(folder: Path) -> None:
    shutil.rmtree(folder)
    (folder / "checkpoints").mkdir(parents=True)
    torch.save(nn.Linear(2, 2), folder / "checkpoints" / "best_model.pth")


@pytest.mark.parametrize(
    ("spoil", "flags", "problem"),
    [
        (no_weights, "--only_do_testing 1", "no checkpoint at .*best.safetensors"),
        (no_resume_state, "--start_epoch 1", "no checkpoint at .*resume.pt"),
        (truncated_config, "--start_epoch 1", "config.yaml is not what .* lacks protocol, val_fr"),
        (truncated_config, "--only_do_testing 1", "config.yaml is not what .* lacks protocol"),
        (other_paper, "--start_epoch 1", "is a run of brf, not of sparch"),
        (of_the_authors, "--start_epoch 1", r"whole module.*state_dict\(\).*python evaluate\.py"),
        (of_the_authors, "--only_do_testing 1", r"whole module.*python evaluate\.py weights"),
    ],
)
def test_folder_that_is_no_run(
    spoil: Callable[[Path], None],
    flags: str,
    problem: str,
    finished: Path,
    tiny_shd: Path,
    tmp_path: Path,
    capsys: Capture,
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    spoil(folder)
    before = contents(folder)
    loaded = ("--use_pretrained_model", 1, "--load_exp_folder", folder)
    told = refusal(capsys, *loaded, "--data_folder", tiny_shd, *flags.split())
    assert re.search(problem, told)
    assert "\n" not in told
    assert contents(folder) == before


# --- checkpoints to score -------------------------------------------------------------------------


def whole_module(path: Path) -> None:
    torch.save(nn.Linear(2, 2), path)


def more_than_tensors(path: Path) -> None:
    torch.save({"state": {"a": torch.zeros(2)}, "epoch": 3}, path)


def of_nothing(path: Path) -> None:
    torch.save({"fc.weight": torch.zeros(2, 2)}, path)


def other_inputs(path: Path) -> None:
    torch.save(SNN((1, None, 9), [5, 4]).state_dict(), path)


def broken(path: Path) -> None:
    path.write_bytes(b"not a checkpoint")


@pytest.mark.parametrize(
    ("write", "problem"),
    [
        (None, "no checkpoint at .*weights.pth"),
        (broken, "weights.pth was refused: it is truncated or damaged"),
        (whole_module, r"could run code when loaded.*state_dict\(\).*python evaluate\.py weights"),
        (more_than_tensors, "holds more than tensors by name .*; save the state_dict of"),
        (of_nothing, "is no state dict of a network of this paper"),
        (other_inputs, "takes 9 inputs to 4 classes: none of the tasks"),
    ],
)
def test_foreign_checkpoint(
    write: Callable[[Path], None] | None, problem: str, tmp_path: Path, capsys: Capture
) -> None:
    path = tmp_path / "weights.pth"
    if write is not None:
        write(path)
    told = refusal(capsys, path, script="evaluate")
    assert re.search(problem, told)
    assert "\n" not in told


def test_checkpoint_of_another_paper(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "a.safetensors"
    checkpoints.save(path, nn.Linear(2, 2), {"paper": "brf"})
    assert "is a checkpoint of 'brf', not of sparch" in refusal(capsys, path, script="evaluate")


def test_checkpoint_with_an_odd_layer(tmp_path: Path, capsys: Capture) -> None:
    """Settings are read off the first layer; one that contradicts it is named."""
    weights = NAMES.to_published(SNN((1, None, 700), [5, 5, 20]).state_dict())
    torch.save({**weights, "snn.1.b": torch.zeros(5)}, tmp_path / "weights.pth")
    told = refusal(capsys, tmp_path / "weights.pth", "--data_folder", "embedded", script="evaluate")
    assert "belongs to another network: 'snn.1.neuron.b' is not part of this network" in told


def test_no_room_for_the_tests(
    tiny_shd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    update = RunFolder.update

    def full(self: RunFolder, **facts: object) -> None:
        if "tests" in facts:
            raise OSError(28, "No space left on device")
        update(self, **facts)

    monkeypatch.setattr(RunFolder, "update", full)
    options = (*TINY, "--data_folder", tiny_shd, "--nb_epochs", 0, "--out", tmp_path / "a run")
    capsys.readouterr()
    assert call(*options) == 1
    told = message(capsys)
    assert "(No space left on device), but the training is finished" in told
    assert f"--resume '{tmp_path / 'a run'}' tests it" in told
    monkeypatch.undo()
    assert call("--resume", tmp_path / "a run", "--data_folder", tiny_shd) == 0
    assert facts(tmp_path / "a run")["tests"]["samples"] == 24


def test_checkpoint_of_a_lost_network(tmp_path: Path, capsys: Capture) -> None:
    model = SNN((1, None, 700), [5, 5, 20])
    with torch.no_grad():
        next(model.parameters())[0, 0] = float("nan")
    torch.save(NAMES.to_published(model.state_dict()), tmp_path / "weights.pth")
    told = refusal(capsys, tmp_path / "weights.pth", "--data_folder", "embedded", script="evaluate")
    assert "weights.pth holds a network that is lost: snn.0.W.weight with NaN" in told


@pytest.mark.parametrize(("size", "use"), [(47, "46 or 48"), (1, "2"), (48, None), (500, None)])
def test_last_batch_of_one(
    size: int, use: str | None, tiny_shd: Path, tmp_path: Path, capsys: Capture
) -> None:
    """Of 48 samples; the readout of a network without spikes normalises over samples alone."""
    options = (
        *(*TINY, "--model_type", "GRU", "--protocol", "published", "--data_folder", tiny_shd),
        *("--batch_size", size, "--nb_epochs", 1, "--out", tmp_path / "run"),
    )
    if use is None:
        assert call(*options) == 0
        return
    told = refusal(capsys, *options)
    assert f"--batch_size {size} leaves a single one of 48 training samples" in told
    assert f"use --batch_size {use}, or --normalization layernorm" in told
    assert not (tmp_path / "run").exists()
    assert call(*options, "--normalization", "layernorm") == 0


def test_spiking_layers_normalise_over_steps_too(tiny_shd: Path, tmp_path: Path) -> None:
    options = ("--protocol", "published", "--data_folder", tiny_shd, "--batch_size", 47)
    assert call(*TINY, *options, "--nb_epochs", 1, "--out", tmp_path / "run") == 0


def test_recording_with_nan(tmp_path: Path, capsys: Capture) -> None:
    """It says nothing of the network that reads it, which would only stop to spike."""
    write_synthetic_sc(tmp_path / "sc")
    paths = {split: load_sc(tmp_path / "sc", split).paths[7] for split in ("train", "test")}
    for path in paths.values():
        samples, rate = soundfile.read(path, dtype="float32")
        samples[500] = np.nan
        soundfile.write(path, samples, rate, subtype="FLOAT")
    options = ("--dataset_name", "sc", "--data_folder", tmp_path / "sc", "--out", tmp_path / "run")
    capsys.readouterr()
    assert call(*TINY, *options) == 1
    told = message(capsys)
    place = "the input is not finite in the evaluation after epoch 0, test set, batch 1: "
    assert told.startswith(f"{place}{paths['test']} holds NaN or infinite values")
    # evaluate.py has no run around it
    weights = tmp_path / "weights.pth"
    torch.save(NAMES.to_published(SNN((1, None, 40), [5, 5, 35]).state_dict()), weights)
    assert call(weights, "--data_folder", tmp_path / "sc", script="evaluate") == 1
    assert message(capsys).startswith(f"the input is not finite in batch 1: {paths['test']} holds")


def test_nan(tiny_shd: Path, tmp_path: Path, capsys: Capture) -> None:
    """A learning rate that throws the parameters of rectified units out of range."""
    out = tmp_path / "run"
    options = (
        *TINY,
        "--normalization",
        "none",
        "--data_folder",
        tiny_shd,
        "--model_type",
        "LiGRU",
        "--lr",
        "1e4",
    )
    capsys.readouterr()
    assert call(*options, "--out", out) == 1
    error = capsys.readouterr().err
    assert re.search(r"error: the loss is not finite in epoch 1, step \d: .*lower --lr", error)
    assert f"Everything up to epoch 0 is kept in {out}" in error
    assert facts(out)["status"] == "failed"
    weights = checkpoints.load(out / "last.safetensors").weights
    assert all(torch.isfinite(weight).all() for weight in weights.values())
