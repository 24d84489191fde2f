"""What the README shows: commands are understood, flags and files exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from silif.commands import read_call
from silif.config import PAPER, Config
from silif.words import OLD_SPELLINGS

README = (PAPER / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    shlex.split(line)
    for line in re.findall(r"^    (?:uv run --package silif )?python main\.py(.*)$", README, re.M)
]


@pytest.mark.parametrize("arguments", COMMANDS, ids=shlex.join)
def test_commands_are_understood(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PAPER)
    call = read_call(arguments)
    assert call.config.debug == ("--debug" in arguments)
    assert bool(call.several) == (
        "--debug" not in arguments
        and "True" not in arguments
        and "--config=quick.yaml" not in arguments
    )


def test_commands_were_found() -> None:
    assert len(COMMANDS) == 7


def test_every_flag_it_names_exists() -> None:
    flags = {flag.lstrip("-") for flag in re.findall(r"`(--\w+)", README)}
    known = set(Config.__dataclass_fields__) | {flag.lstrip("-") for flag in OLD_SPELLINGS}
    assert len(flags) > 12
    assert flags - known == {"config", "help"}


def test_every_file_it_names_exists() -> None:
    files = set(re.findall(r"\b(?:[\w/]+\.(?:yaml|py|md|png))\b", README))
    places = (PAPER, PAPER / "configs", PAPER / "results")
    assert len(files) > 10
    missing = [name for name in files if not any((place / Path(name)).exists() for place in places)]
    assert [name for name in missing if not name.startswith(("sparch", "/", "core"))] == []
