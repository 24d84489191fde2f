"""The command line: help at once, every flag of the authors' script, every config file."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.config import load_yaml, to_dict, to_yaml
from core.errors import UserError
from core.testing.help import assert_explains_every_key, assert_help_at_once
from silif.commands import Call, read_call
from silif.config import PAPER, Config, run_name

from .scripts import call, refusal

FILES = sorted((PAPER / "configs").glob("*.yaml"))
SEEDS = (13, 42, 73, 190, 268)
DEFAULTS: dict[str, Any] = {
    **{"model_type": "SiLIF", "dt_min": 0.01, "dt_max": 0.5, "nb_layers": 3, "nb_hiddens": 512},
    **{"state_size": 64, "pdrop": 0.1, "normalization": "batchnorm", "use_bias": False},
    **{"bidirectional": False, "sweep_name": None, "sweep_id": None, "debug": False},
    **{"only_createsweep": False, "s4_opt": False, "evaluate_pretrained": False},
    **{"load_exp_folder": None, "out": None, "dataset_name": "shd", "log_tofile": True},
    **{"save_best": True, "batch_size": 128, "nb_steps": 100, "max_time": 1.0, "spatial_bin": 5},
    **{"nb_epochs": 100, "start_epoch": 0, "lr": 0.01, "scheduler_patience": 10},
    **{"num_workers": 8, "scheduler_factor": 0.7, "use_regularizers": False, "reg_factor": 0.5},
    **{"reg_fmin": 0.01, "reg_fmax": 0.5, "use_augm": False},
}
_SHD = {"dataset_name": "shd", "batch_size": 128, "nb_steps": 250, "max_time": 1.0}
_SSC = {"dataset_name": "ssc", "batch_size": 256, "nb_steps": 300, "max_time": 1.2, "pdrop": 0.5}
_SSC10 = {**_SSC, "nb_steps": 100, "max_time": 1.0}
_SC = {"dataset_name": "sc", "batch_size": 32, "scheduler_patience": 5}
_SEVEN = {"nb_layers": 7, "nb_hiddens": 128, "s4_opt": True}
TEN = (9, 15, 17, 25, 27, 29, 33, 42, 73, 268)
#: The authors' files, as their specification lists them; what is not here has its default.
THEIRS: dict[str, dict[str, Any]] = {
    "shd_csilif": {
        **_SHD,
        **{"model_type": "CSiLIF", "pdrop": 0.1, "lr": 0.005, "dt_max": 0.5},
        **{"scheduler_factor": 0.9, "seeds": TEN, "seed": 9},
    },
    "shd_silif": {**_SHD, "model_type": "SiLIF", "pdrop": 0.25, "lr": 1e-3}
    | {"scheduler_patience": 5},
    "shd_cadlif": {**_SHD, "model_type": "CadLIF", "pdrop": 0.25, "lr": 0.005},
    "shd_adlif": {**_SHD, "model_type": "adLIF", "pdrop": 0.25, "lr": 0.05},
    "ssc_silif_4ms": {**_SSC, "model_type": "SiLIF", "lr": 0.01},
    "ssc_silif_10ms": {**_SSC10, "model_type": "SiLIF", "lr": 0.01},
    "ssc_csilif_4ms": {**_SSC, "model_type": "CSiLIF", "lr": 0.01, "dt_max": 5.0},
    "ssc_csilif_10ms": {**_SSC10, "model_type": "CSiLIF", "lr": 0.005, "dt_max": 5.0},
    "ssc_cadlif_4ms": {**_SSC, "model_type": "CadLIF", "lr": 0.01},
    "ssc_rf": {**_SSC, "model_type": "ResonateFire", "pdrop": 0.25, "lr": 0.01},
    "sc_silif": {**_SC, "model_type": "SiLIF", "pdrop": 0.5, "lr": 1e-3},
    "sc_s4d": {**_SC, **_SEVEN, "model_type": "S4D", "pdrop": 0.2, "lr": 0.005, "dt_max": 0.1},
    "sc_ss4d": {**_SC, **_SEVEN, "model_type": "SS4D", "pdrop": 0.1, "lr": 0.005, "dt_max": 5.0},
    "sc_mamba": {
        **{**_SC, "model_type": "Mamba", "pdrop": 0.2, "lr": 1e-4, "dt_max": 0.1},
        **{"nb_layers": 7, "nb_hiddens": 64, "normalization": "layernorm"},
    },
}


def parse(*argv: str) -> Config:
    return read_call(argv).config


def seeds_of(found: Call) -> list[int]:
    return [int(run.get("seed", found.config.seed)) for run in found.runs]


# --- help and the printed config -----------------------------------------------------------------


@pytest.mark.parametrize("script", ["main", "evaluate"])
def test_help_comes_at_once(script: str) -> None:
    assert_help_at_once(PAPER, script)


def test_help_explains_every_key(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("-h") == 0
    page = capsys.readouterr().out
    assert_explains_every_key(page, Config)
    assert "--new_exp_folder" in page


def test_printed_config_says_everything(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    argv = ["--seed=7", "--use_bias", "1", "--data_folder", "embedded", "--lr", "1e-3"]
    assert call(*argv, "--print_config") == 0
    printed = tmp_path / "printed.yaml"
    printed.write_text(capsys.readouterr().out)
    assert re.findall(r"^(\w+):", printed.read_text(), re.MULTILINE) == list(to_dict(Config()))
    again = read_call(["--config", str(printed)])
    assert again.several == {}
    assert again.config == parse(*argv) == load_yaml(Config, printed)


# --- the flags of the authors' script ------------------------------------------------------------


def test_defaults_are_those_of_the_authors() -> None:
    config = parse("--debug")
    assert {k: getattr(config, k) for k in DEFAULTS} == {**DEFAULTS, "debug": True}
    assert (config.seed, config.seeds, Config().seeds) == (13, (13,), SEEDS)
    assert (config.device, config.wandb, config.protocol) == ("auto", False, "held-out")


@pytest.mark.parametrize(
    ("argv", "key", "value"),
    [
        *(("--model_type " + n, "model_type", n) for n in ("SiLIF", "CSiLIF", "CadLIF", "S4D")),
        *(("--model_type " + n, "model_type", n) for n in ("ResonateFire", "LIF", "adLIF")),
        *(("--model_type " + n, "model_type", n) for n in ("RLIF", "RadLIF", "SS4D", "Mamba")),
        *(("--model_type " + n, "model_type", n) for n in ("MLP", "RNN", "LiGRU", "GRU")),
        *(("--dataset_name " + n, "dataset_name", n) for n in ("shd", "ssc", "hd", "sc")),
        ("--dt_min 0.001", "dt_min", 0.001),
        ("--dt_max 5", "dt_max", 5.0),
        ("--nb_layers 4", "nb_layers", 4),
        ("--nb_hiddens=128", "nb_hiddens", 128),
        ("--state_size 32", "state_size", 32),
        ("--pdrop 0", "pdrop", 0.0),
        ("--normalization whatever", "normalization", "whatever"),
        ("--use_bias yes", "use_bias", True),
        ("--bidirectional on", "bidirectional", True),
        ("--sweep_name a", "sweep_name", "a"),
        ("--sweep_id a", "sweep_id", "a"),
        ("--only_createsweep True", "only_createsweep", True),
        ("--s4_opt t", "s4_opt", True),
        ("--gpu_device 0", "device", "cuda:0"),
        ("--gpu_device 2 --device cpu", "device", "cpu"),
        ("--evaluate_pretrained True", "evaluate_pretrained", True),
        ("--load_exp_folder exp/a", "load_exp_folder", Path("exp/a")),
        ("--new_exp_folder exp/a", "out", Path("exp/a")),
        ("--data_folder data/SHD/", "data_folder", Path("data/SHD")),
        ("--data_folder embedded", "data", "embedded"),
        ("--log_tofile False", "log_tofile", False),
        ("--save_best n", "save_best", False),
        ("--batch_size 64", "batch_size", 64),
        ("--nb_steps 250", "nb_steps", 250),
        ("--max_time 1.4", "max_time", 1.4),
        ("--spatial_bin 1", "spatial_bin", 1),
        ("--nb_epochs 2", "nb_epochs", 2),
        ("--start_epoch 3", "start_epoch", 3),
        ("--lr 1e-3", "lr", 1e-3),
        ("--scheduler_patience 5", "scheduler_patience", 5),
        ("--num_workers 0", "num_workers", 0),
        ("--scheduler_factor 0.9", "scheduler_factor", 0.9),
        ("--use_regularizers true", "use_regularizers", True),
        ("--reg_factor 0.1", "reg_factor", 0.1),
        ("--reg_fmin 0", "reg_fmin", 0.0),
        ("--reg_fmax 0.3", "reg_fmax", 0.3),
        ("--use_augm 1 --dataset_name sc", "use_augm", True),
        ("--wandb", "wandb", True),
    ],
)
def test_every_flag(argv: str, key: str, value: object) -> None:
    assert getattr(parse(*argv.split(), "--seed", "3"), key) == value


def test_several_values_are_several_runs() -> None:
    assert seeds_of(read_call([])) == list(SEEDS)
    assert seeds_of(read_call(["--seed", "1", "2", "3"])) == [1, 2, 3]
    assert seeds_of(read_call(["--seed", "1", "2", "3", "--debug"])) == [1]
    grid = read_call(
        ["--lr", "0.1", "0.01", "--pdrop", "0.1", "--seed", "1", "2", "--nb_hiddens", "8", "16"]
    )
    assert len(grid.runs) == 8
    assert grid.runs[0] == {"lr": "0.1", "seed": "1", "nb_hiddens": "8"}
    assert "--pdrop=0.1" in grid.arguments


@pytest.mark.parametrize("argv", ["--seed 1 1", "--lr 0.1 0.2 0.1"])
def test_the_same_run_twice(argv: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "twice" in refusal(capsys, *argv.split())


def test_too_many_runs(capsys: pytest.CaptureFixture[str]) -> None:
    many = [str(n) for n in range(1, 41)]
    assert "at most 1000" in refusal(capsys, "--seed", *many, "--nb_hiddens", *many)


# --- configuration files -------------------------------------------------------------------------


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_files_say_what_they_are(file: Path) -> None:
    """Every key under its explanation, a header with the command; and as the authors' file."""
    config = load_yaml(Config, file)
    lines = file.read_text().splitlines()
    body = [line for line in lines if not line.startswith("#")]
    assert body == [line for line in to_yaml(config).splitlines() if not line.startswith("#")]
    assert f"# python main.py --config={file.name}" in lines
    if (theirs := THEIRS.get(file.stem)) is None:
        return
    where: dict[str, Any] = {"load_exp_folder": config.load_exp_folder, "protocol": "published"}
    assert config == replace(Config(), **theirs, **where)
    names = {"SiLIF": "SiLIF", "CSiLIF": "CSiLIF", "CadLIF": "CadLIF", "ResonateFire": "RF"}
    if config.nb_steps == 300:
        folder = f"reference_models/ref_SSC_{names[config.model_type]}"
        assert config.load_exp_folder == Path(folder)
    else:
        assert config.load_exp_folder is None


def test_all_files_of_the_authors_are_here() -> None:
    assert len(THEIRS) == 14
    assert set(THEIRS) <= {file.stem for file in FILES}


SWEEP = """
method: grid
parameters:
  model_type: {values: [CSiLIF]}
  seed:
    values: [9, 15, 17, 25, 27, 29, 33, 42, 73, 268]
  lr: {values: [5e-3, 1e-2]}
  nb_hiddens: 16
  log_tofile: {value: true}
  data_folder: {values: [./data/SHD/]}
"""


def test_their_form_of_a_file(tmp_path: Path) -> None:
    """Every value of every list counts; the authors' code takes the first ones."""
    path = tmp_path / "their_sweep.yaml"
    path.write_text(SWEEP)
    found = read_call([f"--config={path}"])
    assert len(found.runs) == 20
    assert (found.config.model_type, found.config.nb_hiddens) == ("CSiLIF", 16)
    assert found.config.data_folder == Path("data/SHD")
    assert found.base == path
    one = read_call([f"--config={path}", "--debug"])
    assert (one.several, one.config.seed, one.config.lr) == ({}, 9, 5e-3)
    flags = read_call([f"--config={path}", "--lr", "0.1", "--seed", "3"])
    assert (flags.several, flags.config.lr, flags.config.seed) == ({}, 0.1, 3)


def test_our_form_with_lists(tmp_path: Path) -> None:
    path = tmp_path / "ours.yaml"
    path.write_text("model_type: LIF\nseed: [1, 2]\nlr: [0.1, 0.2]\n")
    assert len(read_call(["--config", str(path)]).runs) == 4
    path.write_text("model_type: LIF\nseed: 7\n")
    assert seeds_of(read_call(["--config", str(path)])) == [7]


def test_a_file_of_ours_says_how_many_runs_there_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "ours.yaml"
    path.write_text("model_type: LIF\ndebug: true\n")
    assert seeds_of(read_call(["--config", str(path)])) == [13]
    path.write_text("evaluate_pretrained: true\nload_exp_folder: SiLIF\n")
    assert read_call(["--config", str(path)]).several == {}
    for line in ("only_createsweep: true", "sweep_id: mine"):
        path.write_text(f"{line}\n")
        assert "give them on the command line" in refusal(capsys, f"--config={path}")


def test_the_ten_seeds_of_shd_csilif() -> None:
    found = read_call(["--config=shd_csilif.yaml"])
    assert seeds_of(found) == list(TEN)
    assert found.base == PAPER / "configs" / "shd_csilif.yaml"
    child = read_call([*found.arguments, "--seed=17"])
    assert (child.several, child.config.seed, child.base) == ({}, 17, found.base)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("parameters: {lr: {min: 0, max: 1}}", "expected 'values: [...]' below it"),
        ("parameters: {lrr: {values: [1]}}", "'lrr': no such option"),
        ("parameters: [1]", "expected lines that read 'key: value'"),
        ("parameters: {lr: {values: [1]}}\nlr: 2", "'lr' stands beside parameters, not below it"),
        ("parameters: {lr: {values: []}}", "expected one value or a flat list"),
        ("parameters: {lr: {values: [[1]]}}", "expected one value or a flat list"),
        ("lr: 1\nlr: 2", "'lr' is given twice"),
        ("lr: {a: 1}", "expected 'values: [...]' below it"),
        ("- 1", "expected lines that read 'key: value'"),
        ("lr: [x, 2]", "--lr: expected float, got 'x'"),
    ],
)
def test_files_that_cannot_be_read(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    assert message in refusal(capsys, f"--config={path}")


def test_an_unknown_file(capsys: pytest.CaptureFixture[str]) -> None:
    said = refusal(capsys, "--config=shd_silfi.yaml")
    assert "no such file" in said
    assert "shd_silif.yaml" in said


# --- words and names -----------------------------------------------------------------------------


def test_the_stray_word_names_a_checkpoint() -> None:
    argv = ["--config=ssc_silif_4ms.yaml", "CSiLIF", "--evaluate_pretrained", "True"]
    found = read_call(argv)
    assert found.config.load_exp_folder == Path("CSiLIF")
    assert found.config.seeds == SEEDS
    without = read_call([word for word in argv if word != "CSiLIF"])
    assert without.config.load_exp_folder == Path("reference_models/ref_SSC_SiLIF")
    assert read_call([*argv, "--debug"]).config.seeds == (13,)


def test_a_stray_word_without_a_test(capsys: pytest.CaptureFixture[str]) -> None:
    said = refusal(capsys, "--config=ssc_silif_4ms.yaml", "SiLIF")
    assert "SiLIF names a checkpoint to test; add --evaluate_pretrained True" in said
    assert "one checkpoint can be named" in refusal(capsys, "--config=quick.yaml", "a", "b")


def test_name_of_a_run() -> None:
    config = Config(nb_steps=50, nb_hiddens=16, lr=0.01, pdrop=0.1)
    assert str(run_name(config, None)) == "exp/test_exps/shd_50steps_SiLIF_3lay16_lr0_01_drop0_1"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dt_min": 1.0, "dt_max": 0.5}, "dt_min is 1.0, above dt_max"),
        ({"model_type": "S4D", "state_size": 5}, "modes come in pairs"),
        ({"model_type": "S4D", "use_regularizers": True}, "about spikes"),
        ({"model_type": "MLP", "bidirectional": True}, "no direction"),
        ({"dataset_name": "ssc", "data": "regenerated"}, "exists for shd"),
    ],
)
def test_settings_that_contradict_each_other(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Config(**settings)


@pytest.mark.parametrize("seeds", [(), ("--debug",)])
def test_a_gpu_that_is_not_here(seeds: tuple[str], capsys: pytest.CaptureFixture[str]) -> None:
    said = refusal(capsys, "--gpu_device", 99, *seeds)
    assert re.search(r"--gpu_device 99: PyTorch sees .*; leave the flag out, or say --device", said)


def test_names_that_are_no_checkpoint(capsys: pytest.CaptureFixture[str]) -> None:
    assert "needs weights" in refusal(capsys, "--evaluate_pretrained", "True")
    said = refusal(capsys, "nothing", "--evaluate_pretrained", "True")
    assert "these are SiLIF, CSiLIF, CadLIF, ResonateFire" in said


def test_user_errors_are_one_kind() -> None:
    with pytest.raises(UserError):
        read_call(["--lrr", "3"])
