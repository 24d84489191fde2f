"""Where and with what a run was made: the facts a record needs to be repeatable."""

from __future__ import annotations

import platform
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.files import without_folders
from core.training.devices import device_name

# All but what is written from records: a result that was just recorded changes no computation.
_COMPUTED_FROM = (":(top)", ":(top,exclude)papers/*/results/*", ":(top,exclude)*.md")


def describe(device: torch.device, backend: str) -> dict[str, Any]:
    """Versions, commit, command and device of this process, JSON-able."""
    commit, dirty = checked_out()
    return {
        "command": _command(),
        "commit": commit,
        "dirty": dirty,
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "core": version("core"),
        },
        "device": str(device),
        "device_name": device_name(device),
        "threads": torch.get_num_threads(),
        "backend": backend,
    }


def _command() -> str:
    """The command line with script and folders by name: checkpoints hold no path of a machine."""
    return shlex.join(["python", Path(sys.argv[0]).name, *without_folders(sys.argv[1:])])


def checked_out() -> tuple[str | None, bool | None]:
    """Commit of the checkout this package runs from, and whether tracked files were changed."""
    folder = Path(__file__).resolve().parent

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        changed = git("status", "--porcelain", "-uno", "--", *_COMPUTED_FROM)
        return git("rev-parse", "HEAD"), bool(changed)
    except (OSError, subprocess.CalledProcessError):
        return None, None  # installed without git: the versions above have to do
