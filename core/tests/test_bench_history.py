"""Runs of the benchmark that are kept with their commit, and drawn."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.bench import command, history
from core.bench.command import bench
from core.errors import UserError

ROWS: list[dict[str, object]] = [
    {"workload": "lif", "limit_seconds": 1.0, "limit_ratio": 1.5},
    {"workload": "growth"},
]


@pytest.fixture(autouse=True)
def _committed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "checked_out", lambda: ("0123456789abcdef", False))


def test_a_run_is_kept_with_its_commit_and_drawn(tmp_path: Path) -> None:
    folder = tmp_path / "history"
    file = history.place(folder)
    assert file.name.endswith("-01234567.json")
    history.keep(ROWS, "a machine", file)
    content = json.loads(file.read_text())
    assert (content["commit"], content["machine"]) == ("0123456789abcdef", "a machine")
    assert content["rows"] == ROWS
    assert (folder / history.PICTURE).stat().st_size > 5000
    with pytest.raises(UserError, match="is of this commit; move it away"):
        history.place(folder)
    (folder / "2026-01-01-aaaaaaaa.json").write_text(
        json.dumps({**content, "commit": "aaaaaaaa", "machine": "another"})
    )
    history.draw(folder)
    (folder / "2026-01-02-bbbbbbbb.json").write_text("{}")
    with pytest.raises(UserError, match=r"bbbbbbbb\.json lacks commit"):
        history.draw(folder)


def test_only_what_a_commit_measures_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for found, why in (((None, None), "no git checkout"), (("0123456789", True), "with changes")):
        monkeypatch.setattr(history, "checked_out", lambda found=found: found)
        with pytest.raises(UserError, match=f"{why}; commit first"):
            history.place(tmp_path)


def test_a_part_is_no_full_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="leave out --quick and --rows"):
        bench(
            ["lif"],
            repeats=1,
            device="cpu",
            threads=1,
            public_loop=False,
            quick=False,
            kept=tmp_path,
        )


def test_a_full_run_reaches_the_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "select", lambda names, tiny: [])
    bench(
        None, repeats=1, device="cpu", threads=1, public_loop=False, quick=False, kept=tmp_path,
        say=lambda text: None,
    )  # fmt: skip
    assert len(list(tmp_path.glob("*-01234567.json"))) == 1
