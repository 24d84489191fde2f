"""What a file of others says never becomes a path outside of the paper."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from core.cli import main
from core.errors import UserError
from core.outside.shape import inside
from core.records import load_claims, load_manifest, load_records, record_run
from core.testing import contents

from .conftest import CLAIMS, make_run

UP = "../../../evil"


@pytest.mark.parametrize(
    "facts",
    [
        {"seed": f"0/{UP}"},
        {"seed": True},
        {"seed": -1},
        {"config_hash": f"{UP}/a"},
        {"config_hash": "0123abc"},
        {"config_file": None, "task": UP},
        {"config_file": None, "model": f"/{UP}"},
        {"config_file": f"configs/{UP}.yaml"},
        {"config_file": "/etc/passwd"},
        {"config_file": ["configs/ecg_brf.yaml"]},
        {"paper": "../toy"},
        {"data": {"name": UP, "digest": "d"}},
    ],
    ids=str,
)
def test_a_run_stays_inside_its_paper(
    facts: dict[str, Any],
    paper: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = make_run(tmp_path / "run", [20.0, 85.5], **facts)
    before = contents(tmp_path)
    monkeypatch.chdir(paper)
    with pytest.raises(SystemExit) as left:
        main(["record", str(run), "--keep-weights"])
    assert left.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert "run.json" in error
    assert contents(tmp_path) == before


def spoil_line(paper: Path, **fields: Any) -> None:
    path = paper / "results" / "runs.jsonl"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields) + "\n")


@pytest.mark.parametrize(
    "fields",
    [{"id": UP}, {"id": ["x"]}, {"config_file": f"configs/../../{UP}"}, {"kind": None}],
    ids=str,
)
def test_a_recorded_line_stays_inside_its_paper(
    fields: dict[str, Any], paper: Path, tmp_path: Path
) -> None:
    record_run(make_run(tmp_path / "run", [20.0]), paper)
    spoil_line(paper, **fields)
    with pytest.raises(UserError, match=rf"runs\.jsonl, line 1: {next(iter(fields))} must be"):
        load_records(paper)


def test_a_link_is_not_followed_out_of_the_paper(paper: Path, tmp_path: Path) -> None:
    run, mine = make_run(tmp_path / "run", [20.0]), tmp_path / "mine.csv"
    mine.write_text("mine")
    (paper / "results" / "curves").mkdir(parents=True)
    (paper / "results" / "curves" / "ecg_brf-seed0-01234567.csv").symlink_to(mine)
    with pytest.raises(UserError, match=r"is a link that leaves .*curves; put a file"):
        record_run(run, paper)
    assert mine.read_text() == "mine"


def test_names_in_manifest_and_claims(paper: Path) -> None:
    (paper / "checkpoints").mkdir()
    (paper / "checkpoints" / "manifest.yaml").write_text(f"- {{file: {UP}}}\n")
    with pytest.raises(UserError, match="entry 1 lacks record"):
        load_manifest(paper)
    (paper / "claims.yaml").write_text(CLAIMS.replace("configs/ecg_brf", f"configs/{UP}", 2))
    with pytest.raises(UserError, match=r"config must be like configs/"):
        load_claims(paper / "claims.yaml")


@pytest.mark.parametrize("name", ["", ".", "..", "/a", "a/../b", ".hidden", "a\0b", "a\nb", "a//b"])
def test_names_that_are_no_names(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no name of a file in"):
        inside(tmp_path, name)
    assert inside(tmp_path, "a/b-c_1.5.csv") == tmp_path / "a" / "b-c_1.5.csv"
