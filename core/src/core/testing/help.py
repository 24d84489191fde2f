"""What ``--help`` of every script of a paper must do: answer at once, and explain every key."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from core.config_fields import config_fields

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

SLOW = {"torch", "numpy", "scipy", "matplotlib", "rich", "h5py"}
"""Modules that take long to import."""


def assert_help_at_once(paper_folder: Path, script: str, flag: str = "--help") -> None:
    """Help imports nothing slow and takes under half a second.

    That is processor time, which other programs on the machine hardly change, of the faster of two.
    """
    watch = f"""
import runpy, sys
sys.argv = ["{script}.py", "{flag}"]
try:
    runpy.run_path("{script}.py", run_name="__main__")
finally:
    print("IMPORTED", sorted({SLOW} & set(sys.modules)))
"""
    seconds = []
    for _ in range(2):
        before = os.times()
        done = subprocess.run(
            [sys.executable, "-c", watch],
            cwd=paper_folder,
            capture_output=True,
            text=True,
            check=True,
        )
        after = os.times()
        user = after.children_user - before.children_user
        seconds.append(user + after.children_system - before.children_system)
    assert done.stdout.rstrip().endswith("IMPORTED []")
    assert min(seconds) < 0.5


def assert_explains_every_key(page: str, config_class: type[DataclassInstance]) -> None:
    """A page of help has each setting with its explanation, wherever lines are broken."""
    joined = " ".join(page.split())
    for key, field in config_fields(config_class).items():
        assert f"--{key} " in joined
        assert len(field.explanation) > 15, key
        # argparse may break a line after a hyphen
        assert field.explanation.replace("- ", "-") in joined.replace("- ", "-"), key
