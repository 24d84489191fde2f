"""Commands, flags, files and numbers of the README and its pages are real."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from bsnn.command import function_of, parse_command_line
from bsnn.config import OLD_SPELLINGS, PAPER, Config
from bsnn.samples import NAMES

PAGES = [PAPER / "README.md", *(PAPER / "docs" / f"{name}.md" for name in ("differences", "model"))]
TEXT = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
CALL = r"^    uv run --package bsnn python main\.py(.*)$"
COMMANDS = [shlex.split(line.partition("  #")[0]) for line in re.findall(CALL, TEXT, re.M)]


@pytest.mark.parametrize("arguments", COMMANDS, ids=shlex.join)
def test_commands_are_understood(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PAPER)
    name, flags = function_of(arguments)
    assert name is None or name in NAMES
    config, base = parse_command_line(flags, prog="main.py")
    assert isinstance(config, Config)
    assert base is None or base.is_file()


def test_commands_were_found() -> None:
    assert len(COMMANDS) >= 3


def test_every_flag_it_names_exists() -> None:
    flags = {flag.lstrip("-").replace("-", "_") for flag in re.findall(r"`(--[\w-]+)", TEXT)}
    known = set(Config.__dataclass_fields__) | {flag.lstrip("-") for flag in OLD_SPELLINGS}
    assert len(flags) > 15
    assert flags - known == {"numerics"}  # of boerlin.py


def test_every_file_it_names_exists() -> None:
    named = re.findall(r"configs/[\w*/]+\.yaml|\w+\.py\b|claims\.yaml", TEXT)
    assert len(named) > 8
    assert [name for name in set(named) - {"testing.py"} if not list(PAPER.rglob(name))] == []


def test_the_readme_is_short() -> None:
    assert (PAPER / "README.md").read_text(encoding="utf-8").count("\n") <= 155


def test_every_quirk_has_its_line() -> None:
    page = Path(PAPER / "docs" / "differences.md").read_text(encoding="utf-8")
    numbers = [int(number) for number in re.findall(r"^\| (\d+) \|", page, re.M)]
    assert numbers == list(range(1, 28))
