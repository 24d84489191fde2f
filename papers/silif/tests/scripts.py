"""The scripts of this paper, called in this process."""

from __future__ import annotations

import pytest

from core.testing import call_script, message
from silif.config import PAPER

#: A network and bins that make a run a matter of a second.
TINY = (
    *("--nb_hiddens", 6, "--batch_size", 16, "--nb_steps", 30, "--max_time", 1.4),
    *("--spatial_bin", 20, "--threads", 1, "--evaluations", 2, "--seed", 3),
)


def call(*arguments: object, script: str = "main") -> int:
    """Run a script of this paper and return its exit code."""
    return call_script(PAPER, script, *arguments)


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object, script: str = "main") -> str:
    """The one message of a script that refuses to run."""
    capsys.readouterr()
    assert call(*arguments, script=script) == 2
    return message(capsys)
