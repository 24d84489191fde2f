"""The folder of one run: everything that is needed to read it, judge it and go on with it.

==========================  =====================================================================
``config.yaml``             the whole configuration
``run.json``                what :mod:`core.training.environment` says, data, status, progress
``metrics.jsonl``           one line per evaluation; epoch 0 is the untrained network
``best.safetensors``        weights of the selected epoch, with their manifest
``last.safetensors``        weights of the last finished epoch
``resume.pt``               everything needed to go on bit for bit from the last finished epoch
``events*``                 TensorBoard
``learning_curve.png``      drawn at the end
==========================  =====================================================================
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.files import write_text_atomically

RESUME = "resume.pt"


class RunFolder:
    """Paths and small JSON files of one run; :func:`create` or :func:`reopen` makes one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.facts: dict[str, Any] = {}

    @classmethod
    def create(cls, path: Path, config_yaml: str) -> RunFolder:
        """A new run in ``path``, which must not exist or be empty.

        Raises:
            UserError: The folder holds files already, or cannot be written.
        """
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise UserError(
                f"{path} exists already and is not overwritten; continue it with "
                f"--resume {path}, or choose another folder with --out"
            )
        try:
            path.mkdir(parents=True, exist_ok=True)
            write_text_atomically(path / "config.yaml", config_yaml)
        except OSError as error:
            raise UserError(
                f"cannot write the output folder {path} ({error.strerror}); choose another "
                "with --out"
            ) from error
        return cls(path)

    @classmethod
    def reopen(cls, path: Path) -> RunFolder:
        """The run in ``path``, to go on with it.

        Raises:
            UserError: Not a run folder, nothing to resume from, or not writable.
        """
        if not (path / "run.json").is_file():
            raise UserError(f"{path} is not a run folder (it has no run.json); check --resume")
        if not (path / RESUME).is_file():
            raise UserError(
                f"{path} stopped before its first checkpoint; start it again without --resume"
            )
        if not os.access(path, os.W_OK):
            raise UserError(f"cannot write the run folder {path}; copy it and resume the copy")
        folder = cls(path)
        folder.facts = json.loads((path / "run.json").read_text(encoding="utf-8"))
        return folder

    def update(self, **facts: Any) -> None:
        """Merge ``facts`` into ``run.json``."""
        self.facts.update(facts)
        write_text_atomically(self.path / "run.json", json.dumps(self.facts, indent=1) + "\n")

    def write_metrics(self, history: list[dict[str, Any]]) -> None:
        """Replace ``metrics.jsonl``: it always agrees with the resume state."""
        text = "".join(json.dumps(row) + "\n" for row in history)
        write_text_atomically(self.path / "metrics.jsonl", text)

    def lock(self) -> None:
        """Refuse a second process on the same run; released when this process ends.

        Raises:
            UserError: Another process holds it.
        """
        import fcntl

        self._lock = open(self.path / ".lock", "w")  # noqa: SIM115  held until the process ends
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UserError(f"another process is running in {self.path}; wait for it") from error


def now() -> str:
    """UTC time to the second, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")
