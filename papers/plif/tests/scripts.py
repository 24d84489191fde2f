"""The scripts of this paper, called in this process, on data that a test can afford."""

from __future__ import annotations

import pytest

from core.testing import call_script, message
from plif.config import PAPER

TINY = ("-channels", 2, "-hidden", 8, "-T", 2, "-batch_size", 32, "-threads", 1)
_GESTURE = (
    "-init_tau 2.0 -use_max_pool -device cpu -dataset_name DVS128Gesture -T 20 -max_epoch 1256 "
    "-detach_reset -channels 128 -number_layer 5 -split_by number -normalization None -use_plif"
)
GESTURE = _GESTURE.split()
"""The command of the baseline, without a place for its logs."""
COMMANDS = {
    "baseline": GESTURE,
    "no regularization": [*GESTURE, "-tau_std_dev", "0.1", "-tau_per_neuron"],
    "lambda=0.01": [*GESTURE, "-tau_std_dev", "0.1", "-tau_per_neuron", "-reg_lambda", "0.01"],
    "lambda=0.1": [*GESTURE, "-tau_std_dev", "0.1", "-tau_per_neuron", "-reg_lambda", "0.1"],
}
"""The four commands of the seed's README."""


def call(*arguments: object, script: str = "train_val") -> int:
    """Run a script of this paper and return its exit code."""
    return call_script(PAPER, script, *arguments)


def refusal(
    capsys: pytest.CaptureFixture[str], *arguments: object, script: str = "train_val"
) -> str:
    """The one message of a script that refuses to run."""
    capsys.readouterr()
    assert call(*arguments, script=script) == 2
    return message(capsys)
