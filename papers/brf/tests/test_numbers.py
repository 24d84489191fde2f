"""Recorded numbers are those of today's code: initial weights, splits, order of batches."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.testing import assert_numbers

from .scripts import call

TINY = ("--data", "embedded", "--hidden", "8", "--batch_size", "8", "--threads", "1")


@pytest.fixture(autouse=True)
def _no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than these runs."""
    monkeypatch.setattr("core.plots.learning_curve", lambda *_, **__: None)


@pytest.mark.parametrize(
    ("script", "options", "losses"),
    [
        ("train_ecg", ("--neuron", "brf"), [1.791759, 1.788145, 1.756425]),
        ("train_ecg", ("--neuron", "alif"), [1.800590, 1.660560, 1.535057]),
        (
            "train_smnist",
            ("--neuron", "rf", "--permuted", "--train_fraction", "0.1"),
            [2.302756, 2.314237, 2.300399],
        ),
        (
            "train_shd",
            ("--neuron", "alif", "--batch_size", "256"),
            [2.996570, 2.989873, 2.962756],
        ),
    ],
    ids=["ECG BRF", "ECG ALIF", "PS-MNIST RF", "SHD ALIF"],
)
def test_a_tiny_run_gives_the_losses_it_gave(
    script: str, options: tuple[str, ...], losses: list[float], tmp_path: Path
) -> None:
    assert call(script, *TINY, *options, "--epochs", "1", "--out", tmp_path / "run") == 0
    assert_numbers(tmp_path / "run", losses, relative=1e-4)
