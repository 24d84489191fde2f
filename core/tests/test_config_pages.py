"""--help and --print_config."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from core.config import to_yaml

from .test_config import Config, read, written


def test_help(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    with pytest.raises(SystemExit) as stop:
        read("--bogus", "--help")
    page = capsys.readouterr().out
    assert stop.value.code == 0
    assert max(map(len, page.splitlines())) <= 60
    joined = " ".join(page.split())
    assert "Train at 100 %." in joined
    assert (
        "--lr float Learning rate, 100 % of it in the first epoch, and linearly less after that. "
        "(default: 0.1)"
    ) in joined
    assert (
        "--model {rf,brf,none} Neuron of the hidden layer. (default: brf; also --model_type)"
        in (joined)
    )
    assert "--epochs int Epochs to train. (default: 300; also --T)" in joined
    places = [page.index(f"--{item.name} ") for item in fields(Config)]
    assert places == sorted(places)


def test_help_shows_the_defaults_of_the_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = written(tmp_path, "epochs: 12\npermuted: true")
    with pytest.raises(SystemExit):
        read("-h", defaults_file=Path(file))
    page = " ".join(capsys.readouterr().out.split())
    assert "Epochs to train. (default: 12; also --T)" in page
    assert "Permute the pixels. (default: true; also --permute)" in page


@pytest.mark.parametrize("flag", ["--print_config", "--print-config"])
def test_print_config(capsys: pytest.CaptureFixture[str], tmp_path: Path, flag: str) -> None:
    file = written(tmp_path, "lr: 1e-3")
    with pytest.raises(SystemExit) as stop:
        read(flag, "--config", file, "--epochs", "2")
    assert stop.value.code == 0
    assert capsys.readouterr().out == to_yaml(Config(lr=1e-3, epochs=2))


def test_help_is_instant(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(
        "from dataclasses import dataclass\n"
        "from core.config import parse\n"
        "from core.config_ranges import number\n"
        "@dataclass(frozen=True)\n"
        "class Config:\n"
        "    lr: float = number(0.1, above=0)\n"
        '    """Learning rate."""\n'
        "parse(Config, prog='train.py', description='Train.')\n"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    page = subprocess.run(
        [sys.executable, "-X", "importtime", script, "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "80"},
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "Learning rate. (default: 0.1)" in page.stdout
    imported = {line.rsplit("|", 1)[-1].strip() for line in page.stderr.splitlines()}
    assert "core.config" in imported
    assert imported.isdisjoint({"torch", "numpy", "scipy", "jsonargparse", "rich"})
    # Processor time: the clock on the wall depends on what else the machine is doing.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.35
