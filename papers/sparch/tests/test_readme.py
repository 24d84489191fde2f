"""What the README and the pages behind it show works: Python examples run, commands
are understood."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from sparch.config import OLD_SPELLINGS, PAPER, Config, parse_command_line

PAGES = [PAPER / "README.md", *sorted((PAPER / "docs").glob("*.md"))]
README = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
COMMANDS = [
    shlex.split(line.partition("  #")[0])
    for line in re.findall(r"^    uv run --package sparch python run_exp\.py(.*)$", README, re.M)
]


def executed(block: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(compile(block, "papers/sparch/docs/layers.md", "exec"), names)
    return names


def test_the_network_of_the_readme_runs() -> None:
    names = executed(BLOCKS[0])
    assert len(BLOCKS[0].strip().splitlines()) <= 6, "a snippet of five lines"
    assert names["y"].shape == (4, 100, 10)
    assert names["firing_rates"].shape == (266,)
    assert names["y"].unique().tolist() == pytest.approx([0.0, 1.0 / 0.9])  # dropout scales


def test_the_layer_of_the_readme_runs() -> None:
    assert len(BLOCKS) == 2
    names = executed(BLOCKS[1])
    assert names["output"].shape == names["spikes"].shape == (100, 4, 64)
    assert set(names["spikes"].unique().tolist()) <= {0.0, 1.0}


@pytest.mark.parametrize("arguments", COMMANDS, ids=shlex.join)
def test_commands_are_understood(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PAPER)
    config, base = parse_command_line(arguments, prog="run_exp.py")
    assert isinstance(config, Config)
    assert base is not None
    assert base.is_file()


def test_commands_were_found() -> None:
    assert len(COMMANDS) >= 4


def test_every_flag_it_names_exists() -> None:
    flags = {flag.lstrip("-") for flag in re.findall(r"`(--\w+)", README)}
    known = set(Config.__dataclass_fields__) | {flag.lstrip("-") for flag in OLD_SPELLINGS}
    assert len(flags) > 15
    assert flags - known == {"config"}


def test_every_file_it_names_exists() -> None:
    files = set(re.findall(r"\b(?:configs/\w+\.yaml|\w+\.py|claims\.yaml)\b", README))
    files -= {"setup.py"}
    assert len(files) > 8
    missing = [name for name in files if not (PAPER / Path(name)).is_file()]
    assert missing == []
