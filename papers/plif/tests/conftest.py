from __future__ import annotations

import pytest


@pytest.fixture
def _no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than the runs of these tests."""
    monkeypatch.setattr("core.plots.learning_curve", lambda *_, **__: None)
