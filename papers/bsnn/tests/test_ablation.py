"""The ablation series: every task of the authors' script is a file, or one with another setting."""

from dataclasses import asdict
from typing import Any

import pytest

from bsnn.config import PAPER, Config
from core.config import load_yaml
from core.sweep.plan import plan, read_settings

FOLDER = PAPER / "configs" / "ablation"
SHARED = {"model": "RLIF", "dataset": "shd", "neurons": 128, "track_balance": True}
TASKS: dict[str, dict[str, Any]] = {
    "smoke": {"n_layers": 2, "n_epochs": 2},
    "reference": {"n_layers": 2},
    "no_dropout": {"n_layers": 2, "dropout": 0.0},
    "no_norm": {"n_layers": 2, "normalization": "none"},
    "neither": {"n_layers": 2, "dropout": 0.0, "normalization": "none"},
    "one_layer": {"n_layers": 1},
    "one_layer_neither": {"n_layers": 1, "dropout": 0.0, "normalization": "none"},
    "single_spike": {"n_layers": 2, "n_epochs": 50, "single_spike": True, "balance": True},
    "single_spike_one_layer_neither": {
        **{"n_layers": 1, "n_epochs": 50, "single_spike": True, "balance": True},
        **{"dropout": 0.0, "normalization": "none"},
    },
}


@pytest.mark.parametrize("task", TASKS)
def test_a_file_has_the_settings_of_its_task(task: str) -> None:
    config = load_yaml(Config, FOLDER / f"ablation_{task}.yaml")
    expected = {**asdict(Config()), **SHARED, "n_epochs": 30, **TASKS[task]}
    assert asdict(config) == expected


def test_every_file_and_every_task_has_its_run() -> None:
    files = sorted(FOLDER.iterdir())
    assert {file.stem for file in files} == {f"ablation_{task}" for task in TASKS}
    singles = [file for file in files if "single_spike" in file.stem]
    repeats = read_settings(["repeat=5,10,20,50"])
    runs = plan(files, [0, 1, 3], {}, stem="main") + plan(singles, [0, 1, 3], repeats, stem="main")
    assert len(runs) == 3 * 17
    assert len({run.name for run in runs}) == len(runs)
