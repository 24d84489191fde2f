"""Recorded numbers are those of today: initial weights and states, dropout, order of batches."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.testing import assert_numbers

from .scripts import TINY, call

pytestmark = pytest.mark.usefixtures("_no_figures")


@pytest.mark.parametrize(
    ("options", "losses", "relative"),
    [
        (
            ("--model_type", "RadLIF", "--pdrop", 0.3, "--protocol", "published"),
            [3.2246, 11.729, 3.0621],
            3e-2,
        ),
        (
            ("--model_type", "adLIF"),
            [2.9143, 13.862, 1.9212],
            3e-2,
        ),
        (("--model_type", "GRU", "--pdrop", 0.3), [6.86785, 1.32516, 6.85995], 1e-3),
    ],
    ids=["RadLIF", "adLIF", "GRU"],
)
def test_a_tiny_run_gives_the_losses_it_gave(
    options: tuple[object, ...],
    losses: list[float],
    relative: float,
    tiny_shd: Path,
    tmp_path: Path,
) -> None:
    run = tmp_path / "run"
    command = (*TINY, *options, "--nb_epochs", 1, "--data_folder", tiny_shd)
    assert call(*command, "--new_exp_folder", run) == 0
    assert_numbers(run, losses, relative=relative)
