"""One table of the runs of a sweep: alive on a terminal, in a log lines of what changed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table

from core.sweep.process import Run
from core.training.progress import duration

_COLUMNS = ("run", "state", "epoch", "test accuracy (%)", "time left", "memory (MB)")
_COLORS = {"finished": "green", "failed": "red", "running": "cyan", "interrupted": "yellow"}


class SweepTable:
    """Shows runs; use as a context manager and call it with them."""

    def __init__(self) -> None:
        self.console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
        self.live = Live(console=self.console, auto_refresh=False)
        self._said: dict[str, tuple[str, int]] = {}

    def __enter__(self) -> SweepTable:
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.console.is_terminal:
            self.live.stop()

    def __call__(self, runs: Sequence[Run]) -> None:
        """Show how far the runs are now."""
        if self.console.is_terminal:
            self.live.update(_table(runs), refresh=True)
            return
        for run in runs:
            now = (status_of(run), run.state.epoch)
            if self._said.get(run.planned.name) != now:
                self._said[run.planned.name] = now
                self.console.print(_line(run), markup=False)


def status_of(run: Run) -> str:
    """What the column ``state`` says."""
    if run.problem is not None:
        return "failed"
    if run.process:
        return "running" if run.has_begun else "starting"
    return run.state.status


def _table(runs: Sequence[Run]) -> Table:
    table = Table(*_COLUMNS)
    for run in runs:
        table.add_row(*_cells(run), style=_COLORS.get(status_of(run), ""))
    return table


def _line(run: Run) -> str:
    name, status, epoch, accuracy, left, memory = _cells(run)
    parts = [
        status,
        f"epoch {epoch}" if epoch else "",
        f"test accuracy {accuracy} %" if accuracy else "",
        f"about {left} left" if left else "",
        f"{memory} MB" if memory else "",
    ]
    return f"{name}: {', '.join(filter(None, parts))}"


def _cells(run: Run) -> list[str]:
    state, status = run.state, status_of(run)
    left = state.seconds_left if status in ("running", "interrupted") else None
    return [
        run.planned.name,
        f"{status}: {run.problem.splitlines()[0]}"
        if run.problem
        else " ".join(filter(None, [status, run.note])),
        f"{state.epoch}/{state.epochs}" if state.epochs is not None else "",
        "" if state.accuracy is None else f"{state.accuracy:.2f}",
        "" if left is None else duration(left),
        "" if state.memory_mb is None else f"{state.memory_mb:.0f}",
    ]
