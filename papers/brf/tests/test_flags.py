"""The command line: help at once, every config file loads, and the recipes are the paper's."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from brf.config import (
    CONFIGS,
    PAPER,
    Config,
    EcgConfig,
    GscConfig,
    ShdConfig,
    SmnistConfig,
    parse_command_line,
)
from core.config import load_yaml, to_dict, to_yaml
from core.testing.help import assert_explains_every_key, assert_help_at_once

from .scripts import call

FILES = sorted((PAPER / "configs").glob("*.yaml"))
SCRIPTS: dict[str, type[Config]] = {
    "train_smnist": SmnistConfig,
    "train_ecg": EcgConfig,
    "train_shd": ShdConfig,
    "train_gsc": GscConfig,
}


def parse(script: str, *argv: str) -> Config:
    config, _ = parse_command_line(argv, prog=f"{script}.py", task=script.removeprefix("train_"))
    return config


def class_of(file: Path) -> type[Config]:
    return CONFIGS.get(file.stem.removeprefix("quick_").partition("_")[0], SmnistConfig)


# --- help and the printed config ----------------------------------------------------------------


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_comes_at_once(script: str) -> None:
    assert_help_at_once(PAPER, script)


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_explains_every_key(script: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(script, "--help") == 0
    assert_explains_every_key(capsys.readouterr().out, SCRIPTS[script])


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize(
    "argv", [[], ["--neuron", "alif"], ["--seed=7", "--bias", "--clip-norm", "none"]], ids=str
)
def test_printed_config_says_everything(
    script: str, argv: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert call(script, *argv, "--print_config") == 0
    printed = tmp_path / "printed.yaml"
    printed.write_text(capsys.readouterr().out)
    keys = re.findall(r"^(\w+):", printed.read_text(), re.MULTILINE)
    expected = parse(script, *argv)
    assert keys == list(to_dict(expected))
    assert load_yaml(SCRIPTS[script], printed) == expected
    assert parse(script, "--config", str(printed)) == expected


# --- which file the settings start from ----------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "recipe"),
    [
        ("", "smnist_brf"),
        ("--neuron rf", "smnist_rf"),
        ("--neuron=rf", "smnist_rf"),
        ("-neuron rf", "smnist_rf"),
        ("--neuron rf --neuron alif", "smnist_alif"),
        ("--permuted", "psmnist_brf"),
        ("--permuted --neuron hrf", "psmnist_hrf"),
        ("--permuted true --lr 0.2", "psmnist_brf"),
        ("--permuted=true", "psmnist_brf"),
        ("--permuted false", "smnist_brf"),
        ("--permuted --no-permuted", "smnist_brf"),
        ("--no_permuted --permuted", "psmnist_brf"),
    ],
)
def test_recipe(argv: str, recipe: str) -> None:
    config, base = parse_command_line(argv.split(), prog="train_smnist.py", task="smnist")
    assert base == PAPER / "configs" / f"{recipe}.yaml"
    stored = load_yaml(SmnistConfig, base)
    assert config == replace(stored, lr=0.2) if "--lr" in argv else config == stored


def test_flags_win_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("neuron: rf\nlr: 0.5\nhidden: 9\n")
    config = parse("train_smnist", "--lr", "0.25", "--config", str(file), "--omega", "1", "2")
    assert (config.neuron, config.lr, config.hidden, config.omega) == ("rf", 0.25, 9, (1.0, 2.0))


# --- the files -----------------------------------------------------------------------------------


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_config_file(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    config = load_yaml(class_of(file), file)
    header = re.findall(r"^# (python .*)$", text, re.MULTILINE)
    assert len(header) == 1, "the command stands on top, once"
    python, script, *argv = shlex.split(header[0])
    assert python == "python"
    assert [str(PAPER / word) if word.endswith(".yaml") else word for word in argv][-1] == str(file)
    argv[-1] = str(file)
    assert parse(script.removesuffix(".py"), *argv) == config
    # complete, and in the form that --print_config gives
    body = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    printed = to_yaml(config)
    assert body == "\n".join(line for line in printed.splitlines() if not line.startswith("#"))
    # nothing of one machine, nothing that a run decides for itself
    for key in ("data_folder", "mirror", "out", "resume"):
        assert getattr(config, key) is None
    assert (config.seed, config.device, config.backend) == (0, "auto", "auto")
    # the networks of a first run are too small for more than one thread
    assert config.threads == (1 if file.stem.startswith("quick") else 0)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_name_says_what_is_in_it(file: Path) -> None:
    config = load_yaml(class_of(file), file)
    task, _, rest = file.stem.partition("_")
    if task == "quick":
        assert config.data == "embedded"
        assert config.task == (rest or "smnist")
        return
    neuron, _, variant = rest.partition("_")
    assert config.data == "original"
    assert (config.task, config.neuron) == (task, neuron)
    assert (config.decay == "linear") == (variant == "linear")
    if isinstance(config, SmnistConfig):
        energy_aware = variant.startswith("spike_")
        weight = float(variant.removeprefix("spike_")) if energy_aware else 0.0
        assert config.lambda_spike == weight
        truncated = variant == "tbptt" or neuron == "alif"
        assert config.tbptt_steps == (50 if truncated else None)
        assert config.train_fraction == (0.5 if variant == "seed" or energy_aware else 1.0)


# --- the paper's table of recipes, and the authors' scripts ---------------------------------------

ECG = {"hidden": 36, "bias": False, "optimizer": "adam", "clip_norm": None, "epochs": 400}
ECG |= {"best_on_ties": "last"}
ECG_RESONATOR = {**ECG, "lr": 0.1, "batch_size": 16, "sub_seq_length": 0}
ECG_RESONATOR |= {"omega": (3, 5), "b_offset": (0.1, 1), "tau_out": (20, 1)}
ECG_ALIF = {**ECG, "lr": 0.05, "batch_size": 64, "sub_seq_length": 10}
ECG_ALIF |= {"tau_mem": (20, 0.5), "tau_adp": (7, 0.2), "tau_out": (20, 0.5)}

MNIST = {"hidden": 256, "bias": False, "optimizer": "adam", "batch_size": 256, "epochs": 300}
MNIST |= {"sub_seq_length": 0}
S = {**MNIST, "lr": 0.1, "clip_norm": 1.0, "label_last": True, "best_on_ties": "first"}
S |= {"omega": (15, 50), "b_offset": (0.1, 1), "tau_out": (20, 5)}
PS = {**S, "label_last": False, "omega": (15, 85), "tau_out": (20, 1)}
SEED = {**S, "label_last": False, "epochs": 150}
S_ALIF = {**MNIST, "lr": 0.001, "clip_norm": None, "label_last": True, "best_on_ties": "last"}
S_ALIF |= {"tau_mem": (20, 5), "tau_adp": (200, 50), "tau_out": (20, 5)}
ALIF_SEED = {**S_ALIF, "bias": True, "epochs": 150}
HRF = {"optimizer": "radam", "readout_decay": "sigmoid", "tau_out": (0, 0.1)}

SHD = {"hidden": 128, "bias": False, "optimizer": "adam", "clip_norm": None, "epochs": 20}
SHD |= {"lr": 0.075, "batch_size": 32, "sub_seq_length": 0, "best_on_ties": "first"}
SHD |= {"omega": (5, 10), "b_offset": (2, 3), "tau_out": (20, 5)}
SHD_ALIF = {**SHD, "sub_seq_length": 10, "best_on_ties": "last"}
SHD_ALIF |= {"tau_mem": (20, 5), "tau_adp": (150, 10)}

GSC = {**ECG_RESONATOR, "hidden": 128, "lr": 0.01, "epochs": 100, "clip_norm": 1.0}
GSC |= {"label_last": True, "standardize": True, "data_percentage": 25.0}

RECIPES: dict[str, dict[str, Any]] = {
    "gsc_brf": GSC,
    "gsc_rf": GSC,
    "gsc_alif": {
        **{**GSC, "bias": True, "clip_norm": None, "standardize": False, "sub_seq_length": 10},
        **{"tau_mem": (20, 0.5), "tau_adp": (7, 0.2), "tau_out": (20, 0.5)},
    },
    "shd_brf": SHD,
    "shd_rf": SHD,
    "shd_hrf": {
        **{**SHD, **HRF},
        **{"optimizer": "rmsprop", "lr": 0.1, "omega": (3, 10), "b_offset": (0.1, 1)},
    },
    "shd_alif": SHD_ALIF,
    "shd_alif_seed": {**SHD_ALIF, "bias": True},
    "shd_brf_linear": {
        **{**SHD_ALIF, "bias": True, "b_offset": (0, 1)},
        **{"decay": "linear", "readout_decay": "linear"},
    },
    "ecg_brf": ECG_RESONATOR,
    "ecg_rf": ECG_RESONATOR,
    "ecg_brf_linear": {**ECG_RESONATOR, "decay": "linear", "readout_decay": "linear"},
    "ecg_alif": ECG_ALIF,
    "ecg_alif_seed": {**ECG_ALIF, "bias": True, "batch_size": 4},
    "ecg_hrf": {
        **{**ECG_RESONATOR, **HRF},
        **{"lr": 0.3, "batch_size": 4, "epochs": 300, "omega": (7, 11)},
    },
    "smnist_brf": S,
    "smnist_rf": S,
    "smnist_brf_tbptt": {**S, "lr": 0.006},
    "smnist_hrf": {**S, **HRF, "clip_norm": None, "epochs": 400, "omega": (15, 35)},
    "psmnist_brf": PS,
    "psmnist_rf": PS,
    "psmnist_brf_tbptt": {**PS, "lr": 0.006},
    "psmnist_hrf": {
        **{**PS, **HRF},
        **{"clip_norm": None, "epochs": 200, "omega": (10, 50), "b_offset": (1, 6)},
    },
    "smnist_alif": S_ALIF,
    "psmnist_alif": {**S_ALIF, "label_last": False},
    "smnist_brf_seed": SEED,
    "smnist_rf_seed": SEED,
    "psmnist_brf_seed": SEED,
    **{f"smnist_brf_spike_1e-{n}": SEED for n in (5, 6, 7)},
    "smnist_alif_seed": ALIF_SEED,
    "psmnist_alif_seed": ALIF_SEED,
}


def test_every_recipe_is_checked() -> None:
    assert {file.stem for file in FILES if not file.stem.startswith("quick")} == set(RECIPES)


@pytest.mark.parametrize("name", RECIPES)
def test_settings_of_the_paper(name: str) -> None:
    task = name.partition("_")[0]
    config = load_yaml(CONFIGS[task], PAPER / "configs" / f"{name}.yaml")
    settings = {"readout_decay": "exponential", "val_fraction": 0.1, **RECIPES[name]}
    assert {key: getattr(config, key) for key in settings} == settings
