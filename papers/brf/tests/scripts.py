"""The training scripts of this paper, called in this process; small settings for tests."""

from __future__ import annotations

import pytest

from brf.config import PAPER
from core.testing import assert_same_run as assert_same_run
from core.testing import call_script, message
from core.testing import contents as contents
from core.testing import facts as facts
from core.testing import rows as rows
from core.testing import without_notices as without_notices

TINY_SMNIST = ("--data", "embedded", "--hidden", "6", "--train_fraction", "0.1", "--threads", "1")
TINY_ECG = ("--data", "embedded", "--hidden", "6", "--batch_size", "128", "--threads", "1")
TINY_GSC = ("--data", "embedded", "--hidden", "6", "--threads", "1")
TINY_SHD = ("--data", "embedded", "--hidden", "6", "--batch_size", "256", "--threads", "1")


def call(script: str, *arguments: object) -> int:
    """Run ``papers/brf/<script>.py`` and return its exit code."""
    return call_script(PAPER, script, *arguments)


def refusal(capsys: pytest.CaptureFixture[str], script: str, *arguments: object) -> str:
    """The one message of a script that refuses to run."""
    capsys.readouterr()
    assert call(script, *arguments) == 2
    return message(capsys)
