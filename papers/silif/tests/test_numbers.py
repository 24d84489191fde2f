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
            ("--model_type", "SiLIF", "--pdrop", 0.3, "--protocol", "published"),
            [1.7949, 1.8787, 1.7050],
            3e-2,
        ),
        (("--model_type", "CSiLIF"), [1.4644, 2.6662, 1.6467], 3e-2),
        (("--model_type", "ResonateFire"), [1.4753, 1.9633, 1.7105], 3e-2),
        (("--model_type", "S4D", "--s4_opt", "true"), [1.4321, 1.4040, 1.2440], 1e-2),
    ],
    ids=["SiLIF", "CSiLIF", "ResonateFire", "S4D"],
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
