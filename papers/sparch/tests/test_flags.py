"""The command line: help at once, every flag of the authors' script, every config file."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.config import config_hash, load_yaml, to_dict, to_yaml
from core.testing.help import assert_explains_every_key, assert_help_at_once
from sparch.config import PAPER, Config, parse_command_line, run_name

from .scripts import call

FILES = sorted((PAPER / "configs").glob("*.yaml"))


def parse(*argv: str) -> Config:
    return parse_command_line(argv, prog="run_exp.py")[0]


# --- help and the printed config ----------------------------------------------------------------


@pytest.mark.parametrize("script", ["run_exp", "evaluate"])
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_comes_at_once(script: str, flag: str) -> None:
    assert_help_at_once(PAPER, script, flag)


def test_help_explains_every_key(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("-h") == 0
    page = capsys.readouterr().out
    assert_explains_every_key(page, Config)
    assert "--new_exp_folder" in page


def test_printed_config_says_everything(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    argv = ["--seed=7", "--use_bias", "1", "--clip-norm", "none", "--data_folder", "embedded"]
    assert call(*argv, "--print_config") == 0
    printed = tmp_path / "printed.yaml"
    printed.write_text(capsys.readouterr().out)
    keys = re.findall(r"^(\w+):", printed.read_text(), re.MULTILINE)
    assert keys == list(to_dict(parse(*argv)))
    assert load_yaml(Config, printed) == parse(*argv) == parse("--config", str(printed))


# --- the flags of the authors' script ------------------------------------------------------------

DEFAULTS: dict[str, Any] = {
    **{"model_type": "LIF", "nb_layers": 3, "nb_hiddens": 128, "pdrop": 0.1},
    **{"normalization": "batchnorm", "use_bias": False, "bidirectional": False},
    **{"use_pretrained_model": False, "only_do_testing": False, "load_exp_folder": None},
    **{"dataset_name": "shd", "log_tofile": False, "save_best": True, "batch_size": 128},
    **{"nb_epochs": 5, "start_epoch": 0, "lr": 1e-2, "scheduler_patience": 1},
    **{"scheduler_factor": 0.7, "use_regularizers": False, "reg_factor": 0.5},
    **{"reg_fmin": 0.01, "reg_fmax": 0.5, "use_augm": False},
}


def test_defaults_are_those_of_the_authors() -> None:
    config = parse()
    assert {key: getattr(config, key) for key in DEFAULTS} == DEFAULTS
    assert (config.data, config.data_folder, config.out) == ("original", None, None)
    assert (config.protocol, config.init_state, config.seed) == ("held-out", "rand", 0)


@pytest.mark.parametrize(
    ("argv", "key", "value"),
    [
        *(("--model_type " + n, "model_type", n) for n in ("LIF", "adLIF", "RLIF", "RadLIF")),
        *(("--model_type " + n, "model_type", n) for n in ("MLP", "RNN", "LiGRU", "GRU")),
        *(("--dataset_name " + n, "dataset_name", n) for n in ("shd", "ssc", "hd", "sc")),
        ("--nb_layers 4", "nb_layers", 4),
        ("--nb_hiddens 512", "nb_hiddens", 512),
        ("--pdrop 0", "pdrop", 0.0),
        ("--normalization layernorm", "normalization", "layernorm"),
        ("--normalization none", "normalization", "none"),
        ("--normalization whatever", "normalization", "whatever"),
        ("--batch_size=64", "batch_size", 64),
        ("--nb_epochs 30", "nb_epochs", 30),
        ("--lr 1e-3", "lr", 1e-3),
        ("--scheduler_patience 2", "scheduler_patience", 2),
        ("--scheduler_factor 0.5", "scheduler_factor", 0.5),
        ("--reg_factor 0.1", "reg_factor", 0.1),
        ("--reg_fmin 0", "reg_fmin", 0.0),
        ("--reg_fmax 0.3", "reg_fmax", 0.3),
        ("--start_epoch 5", "start_epoch", 5),
        ("--data_folder data/shd_dataset/", "data_folder", Path("data/shd_dataset")),
        ("--data_folder embedded", "data", "embedded"),
        ("--data_folder regenerated", "data", "regenerated"),
        ("--data_folder subset --dataset_name hd", "data", "subset"),
        ("--new_exp_folder a/b", "out", Path("a/b")),
        ("--new-exp-folder a/b", "out", Path("a/b")),
        ("--out a/b", "out", Path("a/b")),
    ],
)
def test_flag(argv: str, key: str, value: object) -> None:
    config = parse(*argv.split())
    assert getattr(config, key) == value
    assert type(getattr(config, key)) is type(value)


BOOLEANS = ("use_bias", "bidirectional", "log_tofile", "save_best", "use_regularizers", "use_augm")


@pytest.mark.parametrize("key", BOOLEANS)
@pytest.mark.parametrize(
    ("words", "value"),
    [("y yes t true on 1 Y Yes T True ON", True), ("n no f false off 0 N No F False OFF", False)],
)
def test_booleans_as_words(key: str, words: str, value: bool) -> None:
    for word in words.split():
        assert getattr(parse(f"--{key}", word), key) is value


def test_data_words_count_and_folders_do_not() -> None:
    """A record is of other data, not of another place."""
    hashes = {config_hash(parse("--data_folder", place)) for place in ("a", "/b/c", "regenerated")}
    assert len(hashes) == 2
    assert config_hash(parse("--data_folder", "a")) == config_hash(parse())
    config = parse("--data_folder", "embedded")
    assert config.data_folder is None
    assert replace(config, data="original", data_folder=Path("here")).data_folder == Path("here")


# --- name of the default folder -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        (
            "--model_type GRU --nb_hiddens 8",
            "shd_GRU_3lay8_drop0_1_batchnorm_nobias_udir_noreg_lr0_01",
        ),
        (
            "--dataset_name sc --model_type adLIF --use_bias 1 --bidirectional 1 --lr 1e-3"
            " --use_regularizers 1 --normalization layernorm --pdrop 0.25 --nb_layers 4",
            "sc_adLIF_4lay128_drop0_25_layernorm_bias_bdir_reg_lr0_001",
        ),
        ("--lr 1e-5 --pdrop 0", "shd_LIF_3lay128_drop0_0_batchnorm_nobias_udir_noreg_lr1e-05"),
    ],
)
def test_name_of_the_default_folder(argv: str, name: str) -> None:
    assert run_name(parse(*argv.split()), None) == Path("exp") / "test_exps" / name


# --- the files -----------------------------------------------------------------------------------


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_config_file(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    config = load_yaml(Config, file)
    header = re.findall(r"^# (python .*)$", text, re.MULTILINE)
    assert len(header) == 1, "the command stands on top, once"
    assert shlex.split(header[0]) == ["python", "run_exp.py", "--config", f"configs/{file.name}"]
    assert parse_command_line(["--config", str(file)], prog="run_exp.py") == (config, file)
    # complete, and in the form that --print_config gives
    body = [line for line in text.splitlines() if not line.startswith("#")]
    assert body == [line for line in to_yaml(config).splitlines() if not line.startswith("#")]
    # nothing of one machine, nothing that a run decides for itself
    for key in ("data_folder", "load_exp_folder", "mirror", "out", "resume"):
        assert getattr(config, key) is None
    assert (config.seed, config.device, config.backend) == (0, "auto", "auto")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_config_file_is_the_recipe(file: Path) -> None:
    """The authors' defaults but for what the name says, and the number of epochs."""
    config = load_yaml(Config, file)
    if file.stem == "quick":
        assert (config.data, config.threads) == ("embedded", 1)
        return
    dataset, model, hiddens = file.stem.split("_")
    expected = {
        **to_dict(Config()),
        **{"dataset_name": dataset, "nb_hiddens": int(hiddens), "nb_epochs": 30},
        **{"model_type": config.model_type, "protocol": "published"},
        "lr": 1e-3 if dataset in ("hd", "sc") else 1e-2,
    }
    assert to_dict(config) == expected
    assert config.model_type.lower() == model
    assert "number of epochs is not known" in " ".join(file.read_text().split("\n# "))


def test_there_is_a_file_for_every_published_row() -> None:
    rows = "shd_lif_128 shd_adlif_128 shd_gru_128 shd_radlif_1024 ssc_radlif_1024 ssc_gru_512"
    assert {*rows.split(), "quick"} <= {file.stem for file in FILES}
