"""The scripts of this paper, called in this process, on a data set that a test can afford."""

from __future__ import annotations

import pytest

from core.testing import call_script, message
from sparch.config import PAPER

TINY = ("--nb_hiddens", 6, "--batch_size", 16, "--threads", 1, "--evaluations", 2)


def call(*arguments: object, script: str = "run_exp") -> int:
    """Run a script of this paper and return its exit code."""
    return call_script(PAPER, script, *arguments)


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object, script: str = "run_exp") -> str:
    """The one message of a script that refuses to run."""
    capsys.readouterr()
    assert call(*arguments, script=script) == 2
    return message(capsys)
