"""The functions of ``main.py NAME``, at a small size."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bsnn import samples
from bsnn.config import PAPER, Config
from bsnn.models import Sizes, build
from bsnn.pictures import draw_sample
from bsnn.samples import NAMES, Named, run_named
from bsnn.task import load_task
from core.errors import UserError


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(samples.COMMON, "repeat", 1)
    monkeypatch.setattr(samples, "FACTORS", np.array([0.5, 1.0]))
    monkeypatch.setattr(samples, "SAMPLES", 2)
    for name, named in NAMES.items():
        monkeypatch.setitem(NAMES, name, Named({**named.settings, "neurons": 60}, named.run))


def config(folder: Path) -> Config:
    return Config(out=folder, samples=4, balance_metric="lowpass")


@pytest.mark.parametrize("name", NAMES)
def test_every_function_writes_its_files_and_says_so(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_named(name, config(tmp_path))
    told = capsys.readouterr().out
    written = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*")}
    if name == "run_balanced_ae_samples":
        assert written == {"balances.csv"}
        factors, means = np.loadtxt(tmp_path / "balances.csv", delimiter=",")
        assert factors.tolist() == [0.5, 1.0]
        assert (means > 0.2).all()
    elif "_ae_" in name:
        assert written == {"plots/plot.png", "plots/estimate.png"}
        assert "balance: median" in told
        assert "mean squared error of the estimate" in told
    else:
        assert written == {"plots/plot.png"}
        assert "prediction" in told
        assert sum(map(float, told.split("\n")[0].removeprefix("output: ").split(","))) == (
            pytest.approx(1200, abs=0.1)
        )
    for path in written:
        assert f"wrote {tmp_path / path}" in told


def test_a_balanced_auto_encoder_follows_its_signal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(samples.COMMON, "repeat", 8)  # steps and neurons as the signal needs them
    errors = {}
    for name in ("run_balanced_ae_sample", "run_unbalanced_ae_sample"):
        named = NAMES[name]
        monkeypatch.setitem(NAMES, name, Named({**named.settings, "neurons": 300}, named.run))
        run_named(name, config(tmp_path / name))
        line = capsys.readouterr().out.strip().split("\n")[-1]
        errors[name] = float(line.split(":")[1].split("%")[0])
    assert errors["run_balanced_ae_sample"] < 5 < 50 < errors["run_unbalanced_ae_sample"]


def test_nothing_is_replaced_silently(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.txt").touch()
    for _ in range(2):
        run_named("run_sample", config(tmp_path))
    assert "plot.png, in place of an earlier one" in capsys.readouterr().out
    assert (tmp_path / "mine.txt").exists()


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no function 'run'.*run_balanced_sample"):
        run_named("run", Config())
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write"):
        run_named("run_sample", config(tmp_path / "file"))


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("model", ["RLIF", "adLIF"])
def test_pictures_of_every_spiking_layer(model: str, bidirectional: bool, tmp_path: Path) -> None:
    settings = Config(
        model=model,  # type: ignore[arg-type]
        dataset="cue",
        n_layers=1,
        neurons=5,
        samples=2,
        bidirectional=bidirectional,
        track_balance=True,
    )
    task = load_task(settings)
    network = build(settings, Sizes(task.inputs, task.classes)).eval()
    x, _ = next(task.validation.epoch(0))
    with torch.no_grad():
        output = network.run(x[:50])
    for tracked in (True, False):
        network.config = replace(settings, track_balance=tracked)
        path = tmp_path / f"{tracked}.png"
        assert draw_sample(path, network, x[:50], output, sample=1, title="x").exists()


def test_main_takes_the_name_of_a_function() -> None:
    command = [sys.executable, str(PAPER / "main.py"), "run_nothing", "--gpu", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 2
    assert "error: main.py has no function 'run_nothing'; there are run_unbal" in done.stderr
