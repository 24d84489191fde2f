"""What a run and its configuration differ in, whatever either leaves out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from core.errors import UserError
from core.records import keep_weights, load_manifest, load_records, record_run

from .conftest import make_run


@pytest.mark.parametrize(
    ("config", "changes"),
    [
        ({"seed": 7, "device": "cuda", "threads": 4, "out": "x"}, []),
        ({"data": "regenerated", "load_exp_folder": "x", "evaluations": 2}, []),
        ({"lr": 0.2, "clip_norm": 1.0}, ["clip_norm", "lr"]),
        ({"new_setting": 1}, ["new_setting"]),
        ({"omega": [3, 5]}, []),
    ],
)
def test_changes_against_the_configuration(
    paper: Path, tmp_path: Path, config: dict[str, Any], changes: list[str]
) -> None:
    record = record_run(make_run(tmp_path / "run", [20.0], config=config), paper, trial=True)
    assert record.changes == changes


SETTINGS = """
from dataclasses import dataclass
from core.config_ranges import number

@dataclass(frozen=True)
class Config:
    lr: float = number(0.1)
    clip_norm: float | None = number(None)
    momentum: float = number(0.9)

CONFIGS = {"ecg": Config}
"""


@pytest.mark.parametrize(
    ("used", "removed", "added", "changes"),
    [
        ({}, "clip_norm", "", []),  # left out of the file: the default, which the run had
        ({"clip_norm": 1.0}, "clip_norm", "", ["clip_norm"]),
        ({"lr": 0.2}, "lr", "", ["lr"]),
        ({}, "", "momentum: 0.9", []),  # came later than the run
        ({}, "", "momentum: 0.5", ["momentum"]),
        ({"momentum": 0.5}, "", "", ["momentum"]),
    ],
)
def test_what_a_file_or_a_record_leaves_out_is_the_default(
    used: dict[str, Any],
    removed: str,
    added: str,
    changes: list[str],
    paper: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    named = paper.rename(paper.with_name("paper_with_settings"))
    (named / "src" / named.name).mkdir(parents=True)
    (named / "src" / named.name / "config.py").write_text(SETTINGS)
    file = named / "configs" / "ecg_brf.yaml"
    lines = [line for line in file.read_text().splitlines() if line.split(":")[0] != removed]
    file.write_text("\n".join([*lines, added]))
    run = make_run(tmp_path / "run", [20.0], config=used, paper=named.name)
    record = record_run(run, named, trial=True)
    assert record.changes == changes
    keep_weights(run, named, record)
    (kept,) = load_manifest(named)
    values = {"clip_norm": 1.0, "lr": 0.2, "momentum": used.get("momentum", 0.9)}
    assert kept.get("changed", {}) == {key: values[key] for key in changes}
    monkeypatch.delitem(sys.modules, f"{named.name}.config")
    monkeypatch.delitem(sys.modules, named.name)


def test_a_configuration_that_is_gone_counts_as_changed(paper: Path, tmp_path: Path) -> None:
    record_run(make_run(tmp_path / "run", [20.0]), paper)
    (paper / "configs" / "ecg_brf.yaml").unlink()
    (record,) = load_records(paper)
    assert record.changes == ["configs/ecg_brf.yaml (gone)"]
    keep_weights(tmp_path / "run", paper, record)
    (kept,) = load_manifest(paper)
    assert (kept["config"], kept["changed"]) == ("configs/ecg_brf.yaml", {"file": "gone"})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", r"AttributeError: module 'lacking\.config' has no attribute 'CONFIGS'"),
        ("CONFIGS = 3", "AttributeError: 'int' object"),
        ("CONFIGS = {'ecg': int}", "TypeError"),
        ("CONFIGS = {", "SyntaxError"),
        ("import not_there", "ModuleNotFoundError"),
    ],
)
def test_a_paper_that_does_not_say_its_settings(
    text: str, told: str, paper: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    named = paper.rename(paper.with_name("lacking"))
    (named / "src/lacking").mkdir(parents=True)
    (named / "src/lacking/config.py").write_text(text)
    run = make_run(tmp_path / "run", [20.0], paper="lacking")
    with pytest.raises(UserError, match=rf"lacking/config\.py .*{told}.* has to define CONFIGS"):
        record_run(run, named)
    sys.modules.pop("lacking.config", None)
    sys.modules.pop("lacking", None)
