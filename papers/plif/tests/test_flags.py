"""The command line: the authors' flags, help at once, files that say the same, clear refusals."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from core.config import load_yaml, to_dict, to_yaml
from core.errors import UserError
from plif.config import PAPER, Config, parse_command_line, run_name

from .scripts import COMMANDS, GESTURE, refusal

FILES = sorted((PAPER / "configs").glob("*.yaml"))
Capture = pytest.CaptureFixture[str]


def parse(*argv: str, validation: bool = True) -> Config:
    config, _ = parse_command_line(argv, prog="train_val.py", validation=validation)
    return config


@pytest.mark.parametrize("script", ["train", "train_val"])
def test_help_needs_no_pytorch(script: str) -> None:
    watch = f"""
import runpy, sys
sys.argv = ["{script}.py", "--help"]
try:
    runpy.run_path("{script}.py", run_name="__main__")
finally:
    print("IMPORTED", sorted({{"torch", "numpy", "spikingjelly"}} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", watch], cwd=PAPER, capture_output=True, text=True, check=True
    )
    assert done.stdout.rstrip().endswith("IMPORTED []")
    assert "--tau_per_neuron" in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_of_the_seed(name: str) -> None:
    config = parse(*COMMANDS[name], "-log_dir_prefix", "logs")
    assert config.dataset_name == "DVS128Gesture"
    assert (config.T, config.max_epoch, config.channels, config.number_layer) == (20, 1256, 128, 5)
    assert (config.batch_size, config.learning_rate, config.T_max) == (16, 1e-3, 64)
    assert (config.val_ratio, config.seed) == (0.15, 2020)
    assert config.use_plif
    assert config.detach_reset
    assert config.use_max_pool
    assert not config.alpha_learnable
    assert config.tau_per_neuron == (name != "baseline")
    weight = {"lambda=0.01": 0.01, "lambda=0.1": 0.1}.get(name, 0.0)
    assert (config.reg_lambda, config.regulariser) == (weight, "var_w")
    assert config.tau_std_dev == (0.1 if config.tau_per_neuron else 0.0)
    assert config.log_dir_prefix == Path("logs")


def test_every_flag_of_the_authors() -> None:
    flags = (
        "-init_tau 3.0 -batch_size 5 -learning_rate 1e-4 -T_max 7 -use_plif -alpha_learnable "
        "-use_max_pool -device cpu -dataset_name CIFAR10DVS -log_dir_prefix l -T 6 -channels 4 "
        "-number_layer 3 -split_by time -normalization frequency -max_epoch 9 -detach_reset "
        "-val_ratio 0.2 -tau_per_neuron -tau_std_dev 0.2 -reg_lambda 0.3 -seed 8 -data_dir d"
    )
    config = parse(*flags.split())
    changed: dict[str, Any] = {
        **{"init_tau": 3.0, "batch_size": 5, "learning_rate": 1e-4, "T_max": 7, "T": 6},
        **dict.fromkeys(("use_plif", "alpha_learnable", "use_max_pool", "detach_reset"), True),
        **{"device": "cpu", "log_dir_prefix": Path("l"), "channels": 4, "number_layer": 3},
        **{"split_by": "time", "normalization": "frequency", "max_epoch": 9},
        **{"val_ratio": 0.2, "tau_per_neuron": True, "tau_std_dev": 0.2},
        **{"reg_lambda": 0.3, "seed": 8, "data_folder": Path("d")},
    }
    assert config == Config(
        dataset_name="CIFAR10DVS",
        **changed,
    )


def test_flags_and_files_give_equal_configs(tmp_path: Path) -> None:
    config = parse(*COMMANDS["lambda=0.1"])
    file = tmp_path / "same.yaml"
    file.write_text(to_yaml(config), encoding="utf-8")
    assert load_yaml(Config, file) == config
    assert parse("--config", str(file)) == config
    assert to_dict(parse("--config", str(file), "-seed", "3")) == {**to_dict(config), "seed": 3}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_files_load_and_name_their_command(file: Path) -> None:
    config = load_yaml(Config, file)
    script = "train_val.py" if config.val_ratio else "train.py"
    text = file.read_text(encoding="utf-8")
    assert f"# python {script} --config configs/{file.name}\n" in text
    assert parse("--config", str(file), validation=config.val_ratio > 0) == config
    lines = to_yaml(config).splitlines()
    assert text.splitlines()[-len(lines) :] == lines


def test_embedded_data_are_a_word_for_data_dir() -> None:
    config = parse(*GESTURE, "-data_dir", "embedded")
    assert (config.data, config.data_folder) == ("embedded", None)


def test_run_names() -> None:
    gesture = parse(*COMMANDS["lambda=0.1"], "-log_dir_prefix", "logs")
    assert str(run_name(gesture, None)) == (
        "logs/val_0.15_DVS128Gesture_init_tau_2.0_tau_std_dev_0.1_use_plif_True_use_max_pool_True_"
        "T_20_c_128_n_5_split_by_number_normalization_None_detach_reset_True_tau_per_neuron_True_"
        "lambda_reg_0.1"
    )
    mnist = Config(dataset_name="MNIST", val_ratio=0.0)
    assert run_name(mnist, None).name == (
        "MNIST_init_tau_2.0_use_plif_False_use_max_pool_False_T_8_detach_reset_False"
    )


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("-init_tau 1.0", "init_tau"),
        ("-dataset_name DVSGesture", "CIFAR10DVS,DVS128Gesture"),
        ("-use_plif false -tau_per_neuron", "add use_plif"),
        ("-reg_lambda 0.1", "add tau_per_neuron"),
        ("-tau_std_dev 0.1", "add tau_per_neuron"),
        ("-normalization frequency", "use split_by time"),
        ("-split_by events", "split_by"),
        ("-val_ratio 0", "use train.py"),
        ("-data subset", "NMNIST and CIFAR10"),
        ("-data embedded -data_folder x", "takes no folder"),
        ("-amp", "amp is for GPUs"),
        ("-nonsense 3", "no such option"),
    ],
)
def test_refusals(flags: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse(*GESTURE, *flags.split())


def test_missing_flags_are_named() -> None:
    with pytest.raises(UserError, match=r"needs -init_tau, -T, -max_epoch, or --config"):
        parse("-dataset_name", "MNIST")
    with pytest.raises(UserError, match=r"-init_tua: no such option; did you mean"):
        parse("-dataset_name", "MNIST", "-init_tua", "2.0", "-T", "8", "-max_epoch", "1")


def test_train_has_no_validation(tmp_path: Path) -> None:
    flags = ["-init_tau", "2.0", "-dataset_name", "MNIST", "-T", "8", "-max_epoch", "1"]
    assert parse(*flags, validation=False).val_ratio == 0.0
    with pytest.raises(UserError, match=r"use train_val\.py"):
        parse(*flags, "-val_ratio", "0.1", validation=False)
    with pytest.raises(UserError, match="about events, and MNIST has none"):
        parse(*flags, "-split_by", "time")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_one_message_names_the_processor(capsys: Capture, tmp_path: Path) -> None:
    flags = [flag if flag != "cpu" else "cuda:0" for flag in GESTURE]
    said = refusal(capsys, *flags, "-log_dir_prefix", tmp_path, "-data_dir", "embedded")
    assert "cuda:0" in said
    assert "-device cpu" in said
