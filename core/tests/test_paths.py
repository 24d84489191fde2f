"""Paths are named from where the user stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.paths import from_here


def test_the_shorter_of_two_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tmp_path / "a" / "b"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    assert from_here(here / "runs" / "x.png") == Path("runs/x.png")
    assert from_here(Path("runs/x.png")) == Path("runs/x.png")
    assert from_here(tmp_path / "a" / "x.png") == Path("../x.png")
    assert from_here(Path("/x.png")) == Path("/x.png")
