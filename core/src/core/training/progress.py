"""What a person sees while a run goes on: a bar on a terminal, plain lines in a log."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

LOG_INTERVAL = 60.0
"""Seconds between two lines about the same epoch in a log."""


class RunProgress:
    """Progress over all training steps of a run; use as a context manager.

    Args:
        total_steps: Training steps of the whole run.
        done_steps: Steps done before (a resumed run).
    """

    def __init__(self, total_steps: int, done_steps: int = 0) -> None:
        self.console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
        self.total, self.done, self.first = total_steps, done_steps, done_steps
        self.started = self.last_line = time.monotonic()
        self.bar: Progress | None = None
        if self.console.is_terminal:
            self.bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.completed}/{task.total} steps"),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=self.console,
            )
            self.task = self.bar.add_task("training", total=total_steps, completed=done_steps)

    def __enter__(self) -> RunProgress:
        if self.bar:
            self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.bar:
            self.bar.stop()

    def line(self, text: str) -> None:
        """Print a line that stays."""
        self.console.print(text, markup=False)

    def step(self, epoch: int, value: float) -> None:
        """One training step of ``epoch`` is done, with batch loss ``value``."""
        self.done += 1
        if self.bar:
            self.bar.update(
                self.task, advance=1, description=f"epoch {epoch}  batch loss {value:.4f}"
            )
            return
        now = time.monotonic()
        if now - self.last_line >= LOG_INTERVAL:
            self.last_line = now
            per_step = (now - self.started) / (self.done - self.first)
            left = duration(per_step * (self.total - self.done))
            self.line(
                f"  epoch {epoch}: step {self.done}/{self.total}, "
                f"batch loss {value:.4f}, about {left} left"
            )


def duration(seconds: float) -> str:
    """``75 -> 1m15s``, ``8000 -> 2h13m``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
