"""From a command line to settings; imports nothing heavy."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bsnn.config import OLD_SPELLINGS, PAPER, Config
from core import settings


def parse_command_line(argv: Sequence[str], *, prog: str) -> tuple[Config, Path | None]:
    """Settings of ``main.py``, and the file they start from (None: the defaults).

    Raises:
        UserError: Wrong flags, values or files.
    """
    config, base = settings.parse_command_line(
        Config,
        argv,
        prog=prog,
        description="Train and test balanced spiking networks.",
        paper=PAPER.name,
        old_spellings=OLD_SPELLINGS,
        abbreviations=True,
    )
    if config.seed == -1:  # no run has it: what is recorded must give the same numbers again
        config = replace(config, seed=int(time.time()))
    return config, base


def function_of(argv: Sequence[str]) -> tuple[str | None, Sequence[str]]:
    """The function that ``main.py NAME [flags]`` names, if it does, and the flags."""
    if argv and not argv[0].startswith("-"):
        return argv[0], argv[1:]
    return None, argv
