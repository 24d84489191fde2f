"""The command line: help at once, every flag of the authors' script, its README's commands."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from bsnn.command import parse_command_line
from bsnn.config import PAPER, Config, trial_seeds
from core.config import config_hash, load_yaml, to_dict
from core.testing import call_script
from core.testing.help import assert_explains_every_key, assert_help_at_once

from .parity import EXPERIMENTS

COMMON = (
    "--model RLIF --dataset cue --n-layer 1 --neurons 100 --dropout 0.0 --normalization none "
    "--track-balance --batch-size 30 --dataset-scale 200 --n-epochs 10 --trials 3 --repeat 4 "
    "--plot --balance-metric lowpass --gpu 0"
)
DEFAULTS: dict[str, Any] = {
    **{"model": "LIF", "balance": False, "fix_w_out": False, "fix_w_in": False},
    **{"fix_w_rec": False, "fix_tau_out": False, "fix_tau_rec": False, "n_layers": 3},
    **{"neurons": 128, "dropout": 0.1, "normalization": "batchnorm", "bidirectional": False},
    **{"track_balance": False, "single_spike": False, "auto_encoder": False, "mu": 0.0},
    **{"nu": 0.0, "V_scale": 1.0, "V_slow_scale": 1.0, "balance_refit": False},
    **{"slow_dynamics": False, "reset": "default", "w_in_init": "bernoulli"},
    **{"pruning_epochs": 2, "pruning_threshold": 0.12, "quantize": "", "quantize_adc": ""},
    **{"gauss": 0.0, "gauss_mul": False, "use_pretrained_model": False},
    **{"only_do_testing": False, "load_exp_folder": None, "dataset": "shd"},
    **{"dataset_scale": 1.0, "log": False, "save_best": True, "batch_size": 128, "n_epochs": 5},
    **{"start_epoch": 0, "lr": 0.01, "scheduler_patience": 1, "scheduler_factor": 0.7},
    **{"use_regularizers": False, "reg_factor": 0.5, "reg_fmin": 0.01, "reg_fmax": 0.5},
    **{"augment": False, "trials": 1, "gpu": -1, "plot": False, "plot_epoch_freq": 2},
    **{"repeat": 1, "balance_metric": "median"},
}


def parse(*argv: str) -> Config:
    return parse_command_line(argv, prog="main.py")[0]


@pytest.mark.parametrize("script", ["main", "evaluate"])
def test_help_comes_at_once(script: str) -> None:
    assert_help_at_once(PAPER, script, "--help")


def test_help_explains_every_key(capsys: pytest.CaptureFixture[str]) -> None:
    assert call_script(PAPER, "main", "-h") == 0
    page = capsys.readouterr().out
    assert_explains_every_key(page, Config)
    assert "--new_exp_folder" in page


def test_defaults_are_those_of_the_authors() -> None:
    config = parse()
    assert {key: getattr(config, key) for key in DEFAULTS} == DEFAULTS
    assert (config.seed, config.alpha_init, config.protocol) == (0, None, "published")


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_commands_of_the_readme(experiment: str) -> None:
    """As they are written, and as the file of the same name has it."""
    flags = f"{COMMON} --new-exp-folder {experiment} {EXPERIMENTS[experiment]}"
    config = parse(*shlex.split(flags))
    file = load_yaml(Config, PAPER / "configs" / f"fig4_{experiment}.yaml")
    assert config_hash(config) == config_hash(file)
    assert (config.out, config.trials, config.gpu, config.plot) == (Path(experiment), 3, 0, True)
    assert trial_seeds(config) == [0, 1, 3]


@pytest.mark.parametrize(
    ("argv", "key", "value"),
    [
        ("--model RLIF --balance --mu 0.5 --nu 0.25", "mu", 0.5),
        ("--n 64", "neurons", 64),
        ("--neur 64", "neurons", 64),
        ("--n-layer 2", "n_layers", 2),
        ("--model RLIF --V-scale 0.3", "V_scale", 0.3),
        ("--model RLIF --V-slow-scale 0.2 --slow-dynamics", "V_slow_scale", 0.2),
        ("--model RLIF --quantize 4.2", "weight_bits", 4),
        ("--model RLIF --quantize-adc 6.3", "current_bits", 6),
        ("--model RLIF --gauss 0.5 --gauss-mul", "gauss_mul", True),
        ("--model RLIF --reset voltage", "reset", "voltage"),
        ("--model RLIF --w-in-init uniform", "w_in_init", "uniform"),
        ("--dataset-folder data/shd", "data_folder", Path("data/shd")),
        ("--model RLIF --n-layers 1 --auto-encoder", "fix_w_in", True),
        ("--no-save-best", "save_best", False),
        ("--pruning-thr 0.2", "pruning_threshold", 0.2),
        ("--trials 4 --seed 5", "trials", 4),
        ("--dataset hd --augment", "augment", True),
    ],
)
def test_flags(argv: str, key: str, value: object) -> None:
    assert getattr(parse(*argv.split()), key) == value


def test_a_seed_from_the_clock_is_a_seed(capsys: pytest.CaptureFixture[str]) -> None:
    config = parse("--seed", "-1")
    assert config.seed > 1.6e9
    assert f"seed {config.seed}, from the clock" in capsys.readouterr().out


def test_places_do_not_change_what_is_computed() -> None:
    here = parse()
    there = parse("--trials", "3", "--plot", "--gpu", "0", "--out", "x", "--log")
    assert config_hash(here) == config_hash(there)
    assert to_dict(here) != to_dict(there)
