"""The table of a neuron of one's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.bench import own
from core.errors import UserError


def test_a_neuron_of_ones_own_is_timed_at_every_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own, "SIZES", ((4, 2, 3), (5, 2, 3)))
    readme = tmp_path / "README.md"
    readme.write_text("<!-- core own neuron -->\n<!-- end -->\n")
    text = own.own_neuron(repeats=1, threads=1, device="cpu", readme=readme)
    head, _, *rows = text.partition("\n\n")[0].splitlines()
    assert head.startswith("| T, B, H | auto takes | auto | reference | speed-up |")
    assert [row.split(" | ")[0] for row in rows] == ["| 4, 2, 3", "| 5, 2, 3"]
    assert text in readme.read_text()
    with pytest.raises(UserError, match="does not exist"):
        own.own_neuron(repeats=1, threads=1, device="cpu", readme=tmp_path / "none.md")
