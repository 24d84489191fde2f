"""Every kind of network through the scripts, on data that come with the package."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from core import checkpoints
from core.config import to_dict
from core.paper import count_parameters
from core.records import refresh
from core.testing import assert_same_run, facts, rows, stop_at, without_notices
from core.training.progress import RunProgress
from plif.config import PAPER, Config
from plif.models import build
from plif.published import infer_config
from plif.sets import empty_task as task_of

from .scripts import COMMANDS, TINY, call, refusal

Capture = pytest.CaptureFixture[str]
pytestmark = pytest.mark.usefixtures("_no_figures", "_cache")
PLAIN = ("-init_tau", 2.0, "-data_dir", "embedded", "-device", "cpu")
NEURONS: dict[str, tuple[object, ...]] = {
    "LIF": (),
    "PLIF": ("-use_plif", "-alpha_learnable"),
    "PLIF-per-neuron": (
        *("-use_plif", "-tau_per_neuron", "-tau_std_dev", 0.1),
        *("-reg_lambda", 0.1, "-detach_reset"),
    ),
}


@pytest.fixture(scope="module")
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.mark.parametrize("neuron", NEURONS)
@pytest.mark.parametrize("dataset", ["DVS128Gesture", "NMNIST", "CIFAR10"])
def test_one_epoch(dataset: str, neuron: str, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "run"
    layers = () if dataset == "CIFAR10" else ("-number_layer", 2, "-use_max_pool")
    options = (*PLAIN, *TINY, *layers, *NEURONS[neuron], "-max_epoch", 1)
    few = ("-train_samples", 60) if dataset != "DVS128Gesture" else ()
    assert call(*options, *few, "-dataset_name", dataset, "-out", out) == 0
    before, after = rows(out)
    assert after["train_loss"] > 0
    run = facts(out)
    assert (run["paper"], run["task"], run["model"]) == ("plif", dataset, neuron)
    assert (run["status"], run["backend"], run["selects"]) == ("finished", "cpu", "val_accuracy")
    assert before["val_loss"] == pytest.approx(1 / (11 if "Gesture" in dataset else 10), rel=0.3)
    weights = checkpoints.load(out / "last.safetensors").weights
    assert any(key.endswith(".w") for key in weights) == (neuron != "LIF")
    assert any(key.endswith("function.alpha") for key in weights) == (neuron == "PLIF")
    assert without_notices(capsys.readouterr().err) == ""
    assert call(out / "best.safetensors", "--threads", 1, script="evaluate") == 0
    assert "accuracy" in capsys.readouterr().out


def test_train_without_validation(tmp_path: Path, capsys: Capture) -> None:
    options = (*PLAIN, *TINY, "-dataset_name", "MNIST", "-max_epoch", 1, "-train_samples", 60)
    assert call(*options, "-out", tmp_path / "run", script="train") == 0
    (_, after) = rows(tmp_path / "run")
    assert after["val_accuracy"] == after["test_accuracy"]
    assert "test samples (which also select the epoch)" in capsys.readouterr().out


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_of_the_seed_run(name: str, tmp_path: Path) -> None:
    """Every flag as written, then channels, layers, steps and epochs made small."""
    command = (*COMMANDS[name], "-log_dir_prefix", tmp_path, "-data_dir", "embedded")
    small = (*TINY, "-number_layer", 2, "-max_epoch", 1)
    assert call(*command, *small) == 0
    (folder,) = tmp_path.iterdir()
    assert re.match("val_0.15_DVS128Gesture_init_tau_2.0_", folder.name)
    w = checkpoints.load(folder / "last.safetensors").weights["conv.2.w"]
    assert tuple(w.shape) == (() if name == "baseline" else (1, 2, 32, 32))
    assert facts(folder)["status"] == "finished"


def test_tags_of_the_authors(tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = (*COMMANDS["lambda=0.1"], *TINY, "-data_dir", "embedded", "-number_layer", 2)
    assert call(*command, "-max_epoch", 2, "-batch_size", 1, "-out", out) == 0
    events = EventAccumulator(str(out / "steps")).Reload()
    steps = {tag: [point.step for point in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    each = len(range(75))  # of 88 held-in gestures
    assert steps["test_accuracy"] == steps["val_accuracy"] == [0, 1]
    trained = steps["w0"]
    assert len(trained) == 2
    assert trained[1] == 2 * trained[0] > each
    assert steps["w_std3"] == steps["w3"] == trained
    assert (
        steps["train_loss"]
        == steps["train_accuracy"]
        == [step for step in range(0, 2 * trained[0]) if step % 256 == 0]
    )
    first = events.Scalars("train_loss")[0].value
    assert first == pytest.approx(1 / 11, abs=0.02)
    values = [point.value for point in events.Scalars("test_accuracy")]
    assert values == pytest.approx([row["test_accuracy"] / 100 for row in rows(out)[1:]])


def test_a_stopped_run_goes_on_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    few = ("-dataset_name", "MNIST", "-train_samples", 200, "-max_epoch", 2)
    options = (*PLAIN, *TINY, *few, "-use_plif", "-tau_per_neuron", "-tau_std_dev", 0.1)
    assert call(*options, "-out", tmp_path / "whole") == 0
    with monkeypatch.context() as patch:
        patch.setattr(RunProgress, "step", stop_at(9))
        assert call(*options, "-out", tmp_path / "stopped") == 130
    assert call("-resume", tmp_path / "stopped") == 0
    assert_same_run(tmp_path / "stopped", tmp_path / "whole")


# --- checkpoints of the authors -------------------------------------------------------------------


@pytest.mark.parametrize(
    "config",
    [
        Config(dataset_name="DVS128Gesture", use_plif=True, tau_per_neuron=True, channels=2),
        Config(dataset_name="CIFAR10DVS", channels=3, number_layer=3, hidden=7),
        Config(dataset_name="NMNIST", use_plif=True, alpha_learnable=True, channels=2),
        Config(dataset_name="FashionMNIST", use_plif=True, channels=2, hidden=9),
        Config(dataset_name="CIFAR10", channels=2, hidden=5),
    ],
    ids=lambda config: config.dataset_name,
)
def test_settings_are_read_off_a_state_dict(config: Config) -> None:
    net = build(config, task_of(config.dataset_name))
    found = infer_config(net.state_dict(), "x", config.dataset_name)
    build(found, task_of(config.dataset_name)).load_state_dict(net.state_dict())
    for key in ("use_plif", "tau_per_neuron", "alpha_learnable", "network_channels"):
        assert getattr(found, key) == getattr(config, key)


def test_a_state_dict_of_the_authors_scores_as_ours(tmp_path: Path, capsys: Capture) -> None:
    torch.manual_seed(1)
    config = Config(dataset_name="MNIST", use_plif=True, channels=2, hidden=9, use_max_pool=True)
    net = build(config, task_of("MNIST"))
    torch.save(net.state_dict(), tmp_path / "theirs.pth")
    manifest = {"paper": "plif", "task": "MNIST", "config": to_dict(config)}
    checkpoints.save(tmp_path / "ours.safetensors", net, manifest)
    found = []
    for name in ("theirs.pth", "ours.safetensors"):
        options = ("--data_folder", "embedded", "--json", "--threads", 1)
        assert call(tmp_path / name, *options, script="evaluate") == 0
        found.append(json.loads(capsys.readouterr().out.splitlines()[-1]))
        assert found[-1]["counts"]["parameter_count"] == count_parameters(net)
        found[-1].pop("weights")
    assert found[0] == found[1]


def test_pickled_modules_are_refused_with_the_way_to_convert_them(
    tmp_path: Path, capsys: Capture
) -> None:
    torch.save({"net": torch.nn.Linear(2, 3), "optimizer": {}}, tmp_path / "check_point_max.pt")
    said = refusal(capsys, tmp_path / "check_point_max.pt", script="evaluate")
    assert "['net'].state_dict()" in said
    assert "python evaluate.py weights.pth" in said
    torch.save({"a": torch.zeros(2)}, tmp_path / "other.pth")
    said = refusal(capsys, tmp_path / "other.pth", script="evaluate")
    assert "no state dict of a network of this paper" in said


def test_tables_are_up_to_date() -> None:
    assert refresh(PAPER, write=False) == []
