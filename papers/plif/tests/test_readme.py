"""What the README and the pages behind it show works: Python runs, commands are understood."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from plif.config import OLD_SPELLINGS, PAPER, Config, parse_command_line

PAGES = [PAPER / "README.md", *sorted((PAPER / "docs").glob("*.md"))]
TEXT = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
COMMANDS = [
    (script, shlex.split(line.partition("  #")[0]))
    for script, line in re.findall(
        r"^    uv run --package plif python (train(?:_val)?)\.py(.*)$", TEXT, re.MULTILINE
    )
]


def test_the_python_of_the_pages_runs() -> None:
    assert len(BLOCKS) == 2
    names: dict[str, Any] = {}
    for block in BLOCKS:
        exec(compile(block, "papers/plif/docs/nodes.md", "exec"), names)
    assert names["spikes"].shape == (20, 4, 10)
    assert names["per_neuron"].w.shape == (1, 8, 16, 16)


@pytest.mark.parametrize(("script", "arguments"), COMMANDS)
def test_commands_are_understood(
    script: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(PAPER)
    config, base = parse_command_line(
        arguments, prog=f"{script}.py", validation=script == "train_val"
    )
    assert isinstance(config, Config)
    assert base is None or base.is_file()


def test_commands_were_found() -> None:
    assert len(COMMANDS) >= 4


def test_every_flag_it_names_exists() -> None:
    flags = {flag.lstrip("-") for flag in re.findall(r"`(--?[A-Za-z_]\w+)(?=[` ])", TEXT)}
    known = set(Config.__dataclass_fields__) | {flag.lstrip("-") for flag in OLD_SPELLINGS}
    assert len(flags) > 12
    assert flags - known == set()


def test_every_file_it_names_exists() -> None:
    files = set(re.findall(r"\b(?:configs/\w+\.yaml|\w+\.py|claims\.yaml)\b", TEXT))
    files -= {"test_nodes.py", "test_published.py"}
    assert len(files) > 8
    missing = [name for name in files if not (PAPER / Path(name)).is_file()]
    assert missing == []
