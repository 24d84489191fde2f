"""Asking for help prints help: nothing that git tracks changes, and nothing new lies about."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

ASK = """
import argparse, contextlib, io, os, runpy, sys
from pathlib import Path
from core import cli

def ask(name, call):
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        try:
            call()
        except SystemExit as stop:
            assert not stop.code, (name, stop.code)
        else:
            raise AssertionError(f"{name} went on after --help")
    assert said.getvalue().startswith("usage: "), (name, said.getvalue()[:200])
    print(name)

root = Path.cwd()
assert Path(cli.__file__).is_relative_to(root), "another checkout would be asked"
(commands,) = (a for a in cli._parser()._actions if isinstance(a, argparse._SubParsersAction))
for command in commands.choices:
    ask(f"core {command}", lambda: cli.main([command, "--help"]))
for script in sorted(root.glob("papers/*/*.py")):
    os.chdir(script.parent)
    sys.argv = [script.name, "--help"]
    ask(str(script.relative_to(root)), lambda: runpy.run_path(str(script), run_name="__main__"))
"""


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of this checkout as it is, all of it committed."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    copy = tmp_path / "checkout"
    for name in git(ROOT, "ls-files", "-z", "-co", "--exclude-standard").split("\0"):
        heavy = name.endswith((".safetensors", ".npz", ".pt"))
        if name and not heavy and (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
    git(copy, "init", "-q")
    git(copy, "add", "-A")
    git(copy, "commit", "-q", "-m", "all")
    return copy


def test_help_changes_nothing(checkout: Path) -> None:
    sources = [checkout / "core" / "src", *checkout.glob("papers/*/src")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, sources))}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    result = subprocess.run(
        [sys.executable, "-c", ASK],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    asked = result.stdout.split("\n")
    scripts = [path.relative_to(checkout).as_posix() for path in checkout.glob("papers/*/*.py")]
    assert len(scripts) >= 8
    assert set(scripts) <= set(asked)
    assert "core figures" in asked
    assert git(checkout, "status", "--porcelain", "--ignored") == ""
