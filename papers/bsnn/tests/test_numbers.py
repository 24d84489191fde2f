"""Recorded numbers are those of today: samples, their order, initial weights, updates."""

from __future__ import annotations

from pathlib import Path

import pytest

from bsnn.config import PAPER
from core.testing import assert_numbers, call_script

from .test_smoke import TINY


@pytest.mark.parametrize(
    ("flags", "losses"),
    [
        ("--balance --single-spike", [0.700040, 0.697897, 0.695203]),
        (
            "--slow-dynamics --V-slow-scale 0.2 --balance --single-spike --fix-w-rec",
            [0.676601, 0.705969, 0.693779],
        ),
        ("--protocol clean --surrogate intended --single-spike", [0.694634, 0.697874, 0.664113]),
    ],
)
def test_a_tiny_run_gives_the_losses_it_gave(
    flags: str, losses: list[float], tmp_path: Path
) -> None:
    command = (*TINY, *flags.split(), "--n-epochs", 1, "--out", tmp_path / "run")
    assert call_script(PAPER, "main", *command) == 0
    assert_numbers(tmp_path / "run", losses, relative=1e-2)
