"""How far a run of a sweep is, read from its folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from core.errors import UserError
from core.records.runs import read_metrics
from core.sweep.plan import FREE_KEYS
from core.training.run_facts import read_facts
from core.training.run_folder import RESUME, in_use
from core.training.selection import Selects, best_row

Status = Literal["waiting", "running", "interrupted", "finished", "failed"]


@dataclass(frozen=True)
class State:
    """What is known about a run.

    Attributes:
        status: ``interrupted`` for a run that can go on and that nobody runs at the moment.
        epoch: Last finished one.
        epochs: Planned.
        accuracy: Test accuracy (%) at the epoch that validation selects so far.
        seconds: Per epoch.
        memory_mb: Peak so far.
        can_resume: There is a checkpoint to go on from.
    """

    status: Status = "waiting"
    epoch: int = 0
    epochs: int | None = None
    accuracy: float | None = None
    seconds: float | None = None
    memory_mb: float | None = None
    can_resume: bool = False

    @property
    def seconds_left(self) -> float | None:
        """Until the last epoch, by the epochs so far."""
        if self.seconds is None or self.epochs is None:
            return None
        return (self.epochs - self.epoch) * self.seconds


def look(folder: Path) -> State:
    """The state of the run in ``folder``.

    Raises:
        UserError: There are files, but no run.
    """
    try:
        empty = not folder.exists() or all(path.name == ".lock" for path in folder.iterdir())
    except OSError as error:
        raise UserError(f"{folder} is no folder to run in ({error.strerror})") from error
    if empty:
        return State()
    running = in_use(folder)
    if running and not (folder / "run.json").is_file():
        return State("running")
    facts = read_facts(folder)
    status: Status = "finished" if facts.get("status") == "finished" else "interrupted"
    if facts.get("status") == "failed":
        status = "failed"
    return State(
        status="running" if running else status,
        epoch=_count(facts.get("epochs_done")) or 0,
        epochs=_count(facts.get("epochs_planned")),
        accuracy=_accuracy(folder, facts),
        seconds=_number(facts.get("seconds_per_epoch")),
        memory_mb=_number(facts.get("peak_memory_mb")),
        can_resume=(folder / RESUME).is_file(),
    )


def other_settings(asked: Mapping[str, Any], stored: Mapping[str, Any]) -> list[str]:
    """Settings in which the run in a folder is not the one that was asked for."""
    keys = sorted((asked.keys() | stored.keys()) - FREE_KEYS)
    return [key for key in keys if asked.get(key) != stored.get(key)]


def _accuracy(folder: Path, facts: Mapping[str, Any]) -> float | None:
    try:
        rows = read_metrics(folder, "partial")
    except UserError:  # before the first evaluation
        return None
    key: Selects = "val_accuracy" if facts.get("selects") == "val_accuracy" else "val_loss"
    rows = [row for row in rows if row[key] is not None]
    if not rows:
        return None
    accuracy: float | None = best_row(rows, selects=key)["test_accuracy"]
    return accuracy


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None
