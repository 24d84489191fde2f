"""Every kind of network on a generated data set, through the script, and what a run leaves."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from core import checkpoints
from core.config import load_yaml, to_dict
from core.counting import Counts
from core.metrics import Metrics
from core.paper import Evaluations, count_parameters, evaluation
from core.spoken.networks import NON_SPIKING
from core.spoken.training import make_objective
from core.testing import facts, rows, without_notices
from core.training.loop import backpropagation_step, evaluate, train_one_epoch
from sparch.config import PAPER, Config
from sparch.models import SNN, SPIKING, build
from sparch.published import NAMES, infer_config

from .scripts import TINY, call

Capture = pytest.CaptureFixture[str]
KINDS = [*SPIKING, *NON_SPIKING]
FILES = {
    *("config.yaml", "run.json", "metrics.jsonl", "best.safetensors", "last.safetensors"),
    *("resume.pt", "learning_curve.png", ".lock"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("_no_figures")
def test_one_epoch(kind: str, tiny_shd: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "run"
    published = kind in ("LIF", "GRU")
    options = (*TINY, "--data_folder", tiny_shd, "--model_type", kind, "--nb_epochs", 1)
    protocol = ("--protocol", "published") if published else ()
    assert call(*options, *protocol, "--new_exp_folder", out) == 0

    spiking = kind in SPIKING
    (before, after) = rows(out)
    assert after["train_loss"] > 0
    assert (after["sop"] is not None) == ("rate" in after) == spiking
    assert (before["val_loss"] == before["test_loss"]) == published
    run = facts(out)
    assert (run["paper"], run["task"], run["model"]) == ("sparch", "shd", kind)
    assert run["data"]["name"] == "shd-unverified"
    assert (run["status"], run["epochs_done"], run["selects"]) == ("finished", 1, "val_accuracy")
    assert run["backend"] == ("cpu" if spiking else "torch")
    assert len(run["tests"]["accuracies"]) == (2 if spiking else 1)
    assert run["config_file"] is None
    counts = run["counts"]
    assert (counts["samples"], counts["parameter_count"]) == (24, run["parameters"])
    assert (counts["membrane_updates"] > 0) == spiking
    assert len(counts["layers"]) == 3
    assert "uncounted" not in counts

    last = checkpoints.load(out / "last.safetensors")
    assert last.manifest["config_hash"] == run["config_hash"]
    buffers = ("running_mean", "running_var", "num_batches_tracked")
    trained = [w.numel() for k, w in last.weights.items() if not k.endswith(buffers)]
    assert sum(trained) == run["parameters"]

    shown = capsys.readouterr()
    assert without_notices(shown.err) == ""
    samples = "24 test samples (which also select" if published else "16 validation / 24 test"
    assert f"{kind} on shd-unverified (shd): {run['parameters']} parameters, " in shown.out
    assert samples in shown.out
    assert re.search(r"epoch 1/1 \| train loss [\d.]+ \| val loss", shown.out)
    by = "validation accuracy" + (", on the test set itself" if published else "")
    assert re.search(rf"best epoch [01] by {by}: test accuracy [\d.]+ %", shown.out)
    assert ("per neuron and step" in shown.out) == spiking
    assert "counts per sample: " in shown.out
    assert re.search(
        rf"test of the best weights, epoch [01], {'2 times' if spiking else 'once'}", shown.out
    )


def test_quick_start(tmp_path: Path) -> None:
    """The real script in a process of its own, on the embedded data, with everything it draws."""
    command = "run_exp.py --config configs/quick.yaml --nb_epochs 1 --nb_hiddens 8 --log_tofile 1"
    done = subprocess.run(
        [
            *(sys.executable, *command.split(), "--evaluations", "2"),
            *("--new_exp_folder", str(tmp_path / "run")),
        ],
        cwd=PAPER,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    out = tmp_path / "run"
    log = out / "log" / "exp.log"
    assert done.stdout == f"writing to {log}\n"
    assert without_notices(done.stderr) == ""
    found = {path.name for path in out.iterdir() if "tfevents" not in path.name}
    assert found == {*FILES, "log"}
    assert (out / "learning_curve.png").stat().st_size > 1000
    assert facts(out)["data"]["name"] == "synthetic-shd"
    assert facts(out)["config_file"] == "configs/quick.yaml"
    config = load_yaml(Config, out / "config.yaml")
    assert (config.data, config.nb_hiddens, config.nb_epochs) == ("embedded", 8, 1)

    told = log.read_text(encoding="utf-8")
    parts = [
        r"^model_type: LIF$",
        r"^SNN\($",
        r"^LIF on synthetic-shd \(shd\): \d+ parameters, 7\d\d training / \d+ validation / 200",
        r"^device cpu",
        r"^epoch 0/1 \|",
        r"^epoch 1/1 \| train loss",
        r"^best epoch [01] by validation accuracy: test",
        r"^test of the best weights, epoch [01], 2 times on 200 samples: accuracy .* \+- ",
    ]
    places = [re.search(part, told, re.MULTILINE) for part in parts]
    assert None not in places
    assert [p.start() for p in places if p] == sorted(p.start() for p in places if p)


@pytest.mark.usefixtures("_no_figures")
def test_commands_of_the_authors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As their README writes them, but for the number of neurons."""
    monkeypatch.chdir(tmp_path)
    data = "--dataset_name sc --data_folder embedded"
    first = f"--model_type adLIF {data} --new_exp_folder out --nb_hiddens 8"
    assert call(*first.split()) == 0
    again = f"--use_pretrained_model 1 --load_exp_folder out {data} --start_epoch 5"
    assert call(*again.split()) == 0
    assert [row["epoch"] for row in rows(tmp_path / "out")] == list(range(11))
    assert facts(tmp_path / "out")["data"]["name"] == "synthetic-sc"
    assert (facts(tmp_path / "out")["status"], facts(tmp_path / "out")["epochs_done"]) == (
        "finished",
        10,
    )


@pytest.mark.usefixtures("_no_figures")
def test_default_folder(tiny_shd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    options = (*TINY, "--data_folder", tiny_shd, "--nb_epochs", 0, "--log_tofile", 1)
    assert call(*options) == 0
    (folder,) = (tmp_path / "exp" / "test_exps").iterdir()
    name = "shd_LIF_3lay6_drop0_1_batchnorm_nobias_udir_noreg_lr0_01"
    assert re.fullmatch(rf"{name}-seed0-\d{{8}}-\d{{6}}", folder.name)
    assert [row["epoch"] for row in rows(folder)] == [0]
    assert call(*options, "--seed", 1) == 0, "another seed has a folder of its own"
    assert len(list(folder.parent.iterdir())) == 2
    # two runs in one process log into their own files
    first = (folder / "log" / "exp.log").read_text()
    assert call(*options, "--out", tmp_path / "other") == 0
    assert (folder / "log" / "exp.log").read_text() == first
    assert (tmp_path / "other" / "log" / "exp.log").read_text().count("\nepoch 0/0 ") == 1


# --- learning -------------------------------------------------------------------------------------


class Overfit:
    """96 samples of 20 classes: five channels fire at 30 % for a class, the others at 1 %."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        self.targets = torch.arange(96) % 20
        chance_NI = torch.full((96, 100), 0.01)
        for sample, target in enumerate(self.targets):
            chance_NI[sample, 5 * target : 5 * target + 5] = 0.3
        self.inputs_TNI = torch.bernoulli(chance_NI.expand(30, -1, -1), generator=generator)

    def epoch(self, epoch: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
        order = torch.randperm(96, generator=torch.Generator().manual_seed(epoch))
        return [(self.inputs_TNI[:, rows], self.targets[rows]) for rows in order.split(32)]


@pytest.mark.parametrize(("kind", "least"), [("LIF", 95), ("RLIF", 95), ("adLIF", 40), ("MLP", 95)])
def test_overfits(kind: str, least: float) -> None:
    """Adaptive neurons learn more slowly here, with the authors' code too."""
    torch.manual_seed(0)
    model = build(Config(model_type=kind, nb_hiddens=32), 100, 20)  # type: ignore[arg-type]
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    data, objective, device = Overfit(), make_objective(), torch.device("cpu")
    for epoch in range(30):
        step = backpropagation_step(objective, None)
        trained = train_one_epoch(model, data.epoch(epoch), step, optimizer, device=device)
    assert trained.accuracy > least
    # and in evaluation, where batch norm uses its running statistics
    assert evaluate(model, data.epoch(0), objective, device=device).accuracy > 0.6 * least


# --- checkpoints of the authors -------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"normalization": "layernorm", "use_bias": True, "bidirectional": True, "nb_layers": 4},
        {"normalization": "none", "nb_hiddens": 7},
    ],
    ids=str,
)
def test_settings_are_read_off_a_state_dict(kind: str, options: dict[str, object]) -> None:
    options = {**options, "bidirectional": options.get("bidirectional", False) and kind != "MLP"}
    for inputs, classes, dataset in ((700, 20, "shd"), (40, 35, "sc")):
        config = Config(model_type=kind, dataset_name=dataset, **options)  # type: ignore[arg-type]
        model = build(config, inputs, classes)
        assert infer_config(model.state_dict(), "x") == config


def test_authors_state_dict_scores_as_ours(tmp_path: Path, capsys: Capture) -> None:
    torch.manual_seed(1)
    model = SNN((1, None, 700), [6, 6, 20], "RadLIF")
    theirs = NAMES.to_published(model.state_dict())
    torch.save(theirs, tmp_path / "theirs.pth")
    torch.save({f"module.{key}": value for key, value in theirs.items()}, tmp_path / "ddp.pth")
    torch.manual_seed(1)
    config = Config(model_type="RadLIF", nb_hiddens=6, data="embedded")
    manifest = {"paper": "sparch", "task": "shd", "config": to_dict(config)}
    checkpoints.save(tmp_path / "ours.safetensors", model, manifest)
    found = []
    for name in ("theirs.pth", "ddp.pth", "ours.safetensors"):
        options = ("--data_folder", "embedded", "--json", "--evaluations", 1, "--threads", 1)
        assert call(tmp_path / name, *options, script="evaluate") == 0
        found.append(json.loads(capsys.readouterr().out.splitlines()[-1]))
        assert found[-1]["counts"]["parameter_count"] == count_parameters(model)
        assert found[-1].pop("weights") == f"RadLIF in {name} on synthetic-shd (shd)"
    assert found[0] == found[1] == found[2]


def test_json_has_no_nan(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config(model_type="MLP", nb_hiddens=6, data="embedded")
    manifest = {"paper": "sparch", "task": "shd", "config": to_dict(config)}
    checkpoints.save(tmp_path / "a.safetensors", build(config, 700, 20), manifest)
    nothing = Metrics(samples=3, loss=float("nan"), accuracy=0.0, sop=None, rate=None)
    lost = Evaluations("lost", (nothing,), Counts(1, {}))
    monkeypatch.setattr(evaluation, "evaluate_repeatedly", lambda *_, **__: lost)
    assert call(tmp_path / "a.safetensors", "--json", script="evaluate") == 0
    line = capsys.readouterr().out.splitlines()[-1]
    assert "NaN" not in line
    assert json.loads(line)["loss"] is None
