from __future__ import annotations

from pathlib import Path

import pytest

from core.testing.spoken import write_tiny_shd


@pytest.fixture(scope="session")
def tiny_shd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in the layout of SHD."""
    folder = tmp_path_factory.mktemp("data") / "shd"
    write_tiny_shd(folder)
    return folder


@pytest.fixture
def _no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than the runs of these tests."""
    monkeypatch.setattr("core.plots.learning_curve", lambda *_, **__: None)
