from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from core.config import (
    config_hash,
    flag_value,
    from_dict,
    load_yaml,
    parse,
    to_dict,
    to_yaml,
)
from core.config_ranges import number
from core.errors import UserError


@dataclass(frozen=True)
class Config:
    model: Literal["rf", "brf", "none"] = "brf"
    """Neuron of the hidden layer."""
    lr: float = number(0.1)
    """Learning rate, 100 % of it in the first epoch,
    and linearly less after that."""
    epochs: int = number(300)
    """Epochs to train."""
    permuted: bool = False
    """Permute the pixels."""
    tau: float | None = number(None)
    """Mean time constant; none draws it."""
    sizes: tuple[int, ...] = number((256,))
    """Hidden units of each layer."""
    omega: tuple[float, float] = number((15.0, 85.0))
    """Range of the angular frequencies."""
    decays: list[float] = number([])
    """Decay rates."""
    note: str | None = "first"
    title: str = "run"
    """Free text."""
    out: Path = field(default=Path("runs"), metadata={"hash": False})
    """Folder of the run."""

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise ValueError(f"epochs must be at least 1, not {self.epochs}")


OLD = {"-init_tau": "tau", "--model-type": "model", "-T": "epochs", "--permute": "permuted"}


def read(*argv: str, **options: Any) -> Config:
    options = {"prog": "train.py", "description": "Train at 100 %.", **options}
    return parse(Config, argv, old_spellings=OLD, **options)


def refuse(*argv: str) -> str:
    with pytest.raises(UserError) as error:
        read(*argv)
    return str(error.value)


def written(folder: Path, text: str) -> str:
    (folder / "x.yaml").write_text(text, encoding="utf-8")
    return str(folder / "x.yaml")


# ---- reading flags


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ("", {}),
        ("--lr 1e-3 --epochs=5", {"lr": 1e-3, "epochs": 5}),
        ("--lr -1e-3", {"lr": -1e-3}),
        ("--epochs 3 --epochs 4", {"epochs": 4}),
        ("--permuted", {"permuted": True}),
        ("--permuted --epochs 5", {"permuted": True, "epochs": 5}),
        ("--permuted true", {"permuted": True}),
        ("--permuted 0", {"permuted": False}),
        ("--permuted=No", {"permuted": False}),
        ("--permuted --no-permuted", {"permuted": False}),
        ("--permuted --no_permuted", {"permuted": False}),
        ("--model none --tau none", {"model": "none", "tau": None}),
        ("--tau 2 --note None", {"tau": 2.0, "note": None}),
        ("--sizes 128 64 --lr 1", {"sizes": (128, 64), "lr": 1.0}),
        ("--sizes 128,64", {"sizes": (128, 64)}),
        ("--sizes=[128,64] --decays 1", {"sizes": (128, 64), "decays": [1.0]}),
        ("--sizes= --decays []", {"sizes": (), "decays": []}),
        ("--omega -1.5 1e1", {"omega": (-1.5, 10.0)}),
        ("--title= --out a/b", {"title": "", "out": Path("a/b")}),
        ("-init_tau 2.0 --model_type rf -T 7", {"tau": 2.0, "model": "rf", "epochs": 7}),
        ("--init-tau=3 -model-type rf --T 8", {"tau": 3.0, "model": "rf", "epochs": 8}),
        ("-permute --no-permute", {"permuted": False}),
    ],
)
def test_flags(argv: str, expected: dict[str, Any]) -> None:
    config = read(*argv.split())
    assert config == replace(Config(), **expected)
    for item in fields(config):
        value = getattr(config, item.name)
        assert type(value) is type(getattr(replace(Config(), **expected), item.name))


def test_flags_of_the_process_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py", "--epochs", "9"])
    assert parse(Config, prog="train.py", description="").epochs == 9


def test_precedence(tmp_path: Path) -> None:
    defaults = tmp_path / "defaults.yaml"
    defaults.write_text("epochs: 1\nlr: 1\ntitle: defaults\n")
    file = written(tmp_path, "# python train.py\n# reached 99 %\nlr: 2\ntitle: file\n")
    config = read("--title", "flag", "--config", file, defaults_file=defaults)
    assert (config.model, config.epochs, config.lr, config.title) == ("brf", 1, 2.0, "flag")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--epohcs", "3"], ["--epohcs", "did you mean --epochs?", "train.py --help"]),
        (["--epoch", "3"], ["--epoch", "did you mean --epochs?"]),  # no abbreviations
        (["--EPOCHS", "3"], ["--EPOCHS", "did you mean --epochs?"]),
        (["--zzzz"], ["--zzzz: no such option; train.py --help"]),
        (["--no-permutde"], ["--no-permutde", "no such option"]),
        (["--epochs", "1.5"], ["--epochs", "expected int, got '1.5'", "train.py --help"]),
        (["--epochs", "1e3"], ["expected int"]),
        (["-T", "x"], ["-T: expected int, got 'x'"]),
        (["--lr", "fast"], ["--lr: expected float, got 'fast'"]),
        (["--lr", "nan"], ["expected float"]),
        (["--lr=inf"], ["expected float"]),
        (["--lr", "none"], ["expected float, got 'none'"]),
        (["--tau", "x"], ["expected float or none"]),
        (["--model", "lif"], ["--model: expected {rf,brf,none}, got 'lif'"]),
        (["--permuted", "maybe"], ["--permuted: expected true|false, got 'maybe'"]),
        (["--no-permuted=true"], ["--no-permuted", "without a value"]),
        (["--no-epochs"], ["--no-epochs", "only true|false options"]),
        (["--omega", "1"], ["expected 2 values: float, float"]),
        (["--sizes", "1.5"], ["expected list of int"]),
        (["--title"], ["--title: expected text, got nothing"]),
        (["--title", "--epochs", "3"], ["--title: expected text, got nothing"]),
        (["--epochs", "3", "4"], ["4: a value without an option"]),
        (["x.yaml"], ["x.yaml: a value without an option", "train.py --help"]),
        (["--config"], ["--config: expected path, got nothing"]),
        (["--config", "missing.yaml"], ["missing.yaml: no such config file"]),
        (["--epochs", "0"], ["train.py: epochs must be at least 1, not 0", "--help"]),
    ],
)
def test_flag_errors(argv: Sequence[str], words: Sequence[str]) -> None:
    message = refuse(*argv)
    assert [word for word in words if word not in message] == [], message


# ---- reading files


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("# only a comment\n", {}),
        ("lr: 1e-3\ntau: 1e5", {"lr": 1e-3, "tau": 1e5}),
        ("lr: 1", {"lr": 1.0}),
        ("permuted: yes", {"permuted": True}),
        ("model: none\ntau: null\nnote:", {"model": "none", "tau": None, "note": None}),
        ("note: None\ntau: ~", {"note": None, "tau": None}),
        ("note: 'none'\ntitle: no", {"note": "none", "title": "no"}),
        ("title: 010", {"title": "010"}),
        ("sizes: [128, 64]\ndecays: []", {"sizes": (128, 64), "decays": []}),
        ("sizes:\n- 128\n- 64\nomega: [1, 1e1]", {"sizes": (128, 64), "omega": (1.0, 10.0)}),
    ],
)
def test_yaml(tmp_path: Path, text: str, expected: dict[str, Any]) -> None:
    file = written(tmp_path, text)
    assert load_yaml(Config, Path(file)) == replace(Config(), **expected)
    assert read("--config", file) == replace(Config(), **expected)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lr: 1\nepohcs: 3", ["x.yaml, line 2: epohcs", "did you mean epochs?", "--help"]),
        ("model-type: rf", ["model-type: no such option; did you mean model?"]),  # no old flags
        ("LR: 1", ["line 1: LR: no such option; did you mean lr?"]),
        ("[a]: 3", ["line 1", "no such option"]),
        ("epochs: 1.5", ["x.yaml, line 1: epochs: expected int, got '1.5'", "--help"]),
        ("epochs:", ["epochs: expected int, got ''"]),
        ("epochs: [1, 2]", ["expected int, got ['1', '2']"]),
        ("epochs: {a: 1}", ["line 1: epochs", "something nested"]),
        ("sizes: {a: 1}", ["something nested"]),
        ("sizes: [[1]]", ["something nested"]),
        ("omega: [1, 2, 3]", ["expected 2 values"]),
        ("model: lif", ["model: expected {rf,brf,none}, got 'lif'"]),
        ("lr: 1\nlr: 2", ["line 2: lr is given twice"]),
        ("- lr\n- 1", ["x.yaml: expected lines that read 'key: value'"]),
        ("just words", ["x.yaml: expected lines that read 'key: value'"]),
        ("lr: [1\n", ["x.yaml: cannot be read as YAML, correct the file", "line 2"]),
        ("lr: 1\n---\nlr: 2", ["x.yaml: cannot be read as YAML, correct the file"]),
        ("epochs: 0", ["epochs must be at least 1"]),
    ],
)
def test_yaml_errors(tmp_path: Path, text: str, words: Sequence[str]) -> None:
    message = refuse("--config", written(tmp_path, text))
    assert [word for word in words if word not in message] == [], message
    assert "\n" not in message


def test_yaml_file_errors_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes(b"\xff\xfe\xff")
    for path in (tmp_path / "x.yaml", tmp_path / "missing.yaml", tmp_path):
        with pytest.raises(UserError, match=str(path)):
            load_yaml(Config, path)
    with pytest.raises(UserError, match=r"x\.yaml: epochs must be"):
        load_yaml(Config, Path(written(tmp_path, "epochs: 0")))


# ---- round trips

text_values = st.text(st.characters(codec="utf-8"))
numbers = st.floats(allow_nan=False, allow_infinity=False)
configs = st.builds(
    Config,
    model=st.sampled_from(["rf", "brf", "none"]),
    lr=numbers | st.integers(-100, 100),
    epochs=st.integers(min_value=1),
    permuted=st.booleans(),
    tau=st.none() | numbers,
    sizes=st.lists(st.integers()).map(tuple),
    omega=st.tuples(numbers, numbers),
    decays=st.lists(numbers),
    note=st.none() | text_values | st.sampled_from(["None", "null", "~", ""]),
    title=text_values,
    # no path has a zero byte, and what a user writes with ~ in front is a home folder
    out=text_values.map(lambda text: Path(text.replace("\0", "").lstrip("~"))),
)


@settings(derandomize=True, deadline=None)
@given(configs, st.text(st.characters(codec="ascii", exclude_categories=["Cc"])))
def test_yaml_round_trip(tmp_path_factory: pytest.TempPathFactory, config: Any, top: str) -> None:
    path = tmp_path_factory.getbasetemp() / "round_trip.yaml"
    path.write_text(to_yaml(config, header=top), encoding="utf-8", newline="")
    assert load_yaml(Config, path) == config
    assert yaml.safe_load(path.read_text(encoding="utf-8")) is not None
    assert asdict(load_yaml(Config, path)) == asdict(config)


@settings(derandomize=True, deadline=None)
@given(configs, st.booleans(), st.booleans())
def test_flag_round_trip(config: Config, dashes: bool, equals: bool) -> None:
    argv: list[str] = []
    for key, value in to_dict(config).items():
        words = "none" if value is None else str(value)
        if key == "note" and value is not None and words.lower() in ("", "~", "none", "null"):
            words = value = "first"  # no flag can tell this text from none
            config = replace(config, note=value)
        flag = ("-" if dashes else "--") + key
        # A value that looks like a flag has to be attached with "=".
        argv += [f"{flag}={words}"] if equals or words.startswith("-") else [flag, words]
    assert read(*argv) == config


def test_to_yaml_explains_and_parses_back(tmp_path: Path) -> None:
    text = to_yaml(Config(), header="python train.py --lr 1\n\nreached 99 %")
    assert text.startswith(
        "# python train.py --lr 1\n# \n# reached 99 %\n# Neuron of the hidden layer.\nmodel: brf\n"
        "# Learning rate, 100 % of it in the first epoch, and linearly less after that.\nlr: 0.1\n"
    )
    assert "sizes: [256]\n" in text
    assert list(yaml.safe_load(text)) == [item.name for item in fields(Config)]
    assert load_yaml(Config, Path(written(tmp_path, text))) == Config()


@pytest.mark.parametrize("note", ["None", "none", "null", "~", "", "true", "1", None])
def test_to_yaml_keeps_texts_that_look_like_none(tmp_path: Path, note: str | None) -> None:
    assert load_yaml(Config, Path(written(tmp_path, to_yaml(Config(note=note))))).note == note


# ---- hash


def test_hash_is_stable_and_normalised() -> None:
    assert config_hash(Config()) == "2f5aa139d0d3"
    assert config_hash(Config(lr=1)) == config_hash(Config(lr=1.0)) != config_hash(Config())
    assert config_hash(Config(omega=(15, 85))) == config_hash(Config())
    assert config_hash(Config(out=Path("elsewhere"))) == config_hash(Config())
    assert config_hash(Config(title="x"), exclude=("title",)) != config_hash(Config(title="x"))
    assert config_hash(Config(title="x"), exclude=("title",)) == config_hash(
        Config(title="y"), exclude=["title"]
    )
    with pytest.raises(ValueError, match="has no titel"):
        config_hash(Config(), exclude=("titel",))


# ---- other ways in


@pytest.mark.parametrize(
    "old", [{"--depth": "layers"}, {"--lr": "epochs"}, {"-h": "lr"}, {"-a": "lr", "--a": "epochs"}]
)
def test_unusable_old_spellings(old: dict[str, str]) -> None:
    with pytest.raises(TypeError, match="old spelling"):
        parse(Config, [], prog="", description="", old_spellings=old)


def test_from_dict_reads_what_to_dict_gave() -> None:
    config = Config(model="none", lr=1e-7, tau=None, sizes=(1, 2), note=None, out=Path("a b"))
    assert from_dict(Config, to_dict(config), "manifest") == config
    with pytest.raises(UserError, match=r"weights\.st, line 1: epoch: .* epochs"):
        from_dict(Config, {"epoch": 3}, "weights.st")
    with pytest.raises(UserError, match="expected int"):
        from_dict(Config, {"epochs": "many"}, "weights.st")


@pytest.mark.parametrize(
    ("argv", "value"),
    [
        ("", None),
        ("--lr 1", None),
        ("--data-folder x", "x"),
        ("-data_folder=x=y", "x=y"),
        ("--data_folder a --lr 1 --data_folder b", "b"),
        ("--data_folder", ""),
        ("--data_folder --lr 1", ""),
        ("--data_folder x --no-data-folder", "false"),
    ],
)
def test_value_of_one_flag(argv: str, value: str | None) -> None:
    assert flag_value(argv.split(), "data_folder") == value


def test_abbreviations_where_a_script_takes_them() -> None:
    assert read("--perm", "--epo=4", abbreviations=True) == Config(permuted=True, epochs=4)
    with pytest.raises(UserError, match="no such option"):
        read("--epo=4")
    with pytest.raises(UserError, match=r"--o could be --omega, --out; write it out"):
        read("--o", "x", abbreviations=True)
    assert read("--out", "x", abbreviations=True) == Config(out=Path("x"))
    with pytest.raises(UserError, match="no such option"):
        read("--zzz", abbreviations=True)
