"""Recorded numbers are those of today: initial weights, dropout, augmentation, order of batches."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.testing import assert_numbers

from .scripts import call

pytestmark = pytest.mark.usefixtures("_no_figures")
SMALL = ("-channels", 6, "-hidden", 64, "-T", 4, "-batch_size", 8, "-learning_rate", 0.02)
PLAIN = ("-threads", 1, "-init_tau", 2.0, "-data_dir", "embedded", "-max_epoch", 1, "-use_max_pool")


@pytest.mark.parametrize(
    ("options", "losses"),
    [
        (
            ("-dataset_name", "MNIST", "-use_plif", "-train_samples", 300),
            [0.1, 0.0986788, 0.0937754],
        ),
        (
            (
                *("-dataset_name", "DVS128Gesture", "-use_plif", "-tau_per_neuron"),
                *("-tau_std_dev", 0.1, "-reg_lambda", 0.1, "-number_layer", 2),
            ),
            [0.0909091, 0.0913961, 0.0869617],
        ),
    ],
    ids=["MNIST", "gestures"],
)
def test_a_tiny_run_gives_the_losses_it_gave(
    options: tuple[object, ...], losses: list[float], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert call(*PLAIN, *SMALL, *options, "-out", run) == 0
    assert_numbers(run, losses, relative=1e-3)
