"""A run of a sweep, and the process that does it."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import explained
from core.files import absent
from core.sweep.plan import Planned
from core.sweep.state import State

REFUSED = 2
"""Exit code of a process that did nothing, such as one that finds no data, or whose run another has
finished meanwhile."""
PATIENCE = 120.0
"""Seconds that stopped runs get to write what they have."""


@dataclass
class Run:
    """A planned run and what became of it.

    Attributes:
        planned: Name and flags.
        folder: Where it writes.
        kind: The same for runs that differ in the seed alone.
        state: As last looked at.
        problem: Why it failed here, or None.
        note: What to say beside its state.
        process: While this sweep runs it.
        has_begun: It was seen at work: it has found all that it needs.
        refused: It did not begin, for a reason that it gave.
        printed_before: Bytes in its log when its process started.
        made: What the start of its process made, last first.
    """

    planned: Planned
    folder: Path
    kind: str = ""
    state: State = field(default_factory=State)
    problem: str | None = None
    note: str = ""
    process: subprocess.Popen[bytes] | None = None
    has_begun: bool = False
    refused: bool = False
    printed_before: int = 0
    made: tuple[Path, ...] = ()

    @property
    def log(self) -> Path:
        """What its processes print."""
        return self.folder.with_name(f"{self.folder.name}.log")

    @property
    def is_over(self) -> bool:
        """Nothing is left to do for it."""
        return self.process is None and (
            self.problem is not None or self.state.status in ("finished", "failed")
        )


@dataclass(frozen=True)
class Script:
    """What every run calls.

    Attributes:
        paper: Folder of the paper, where it is called.
        file: Its name, such as ``train_smnist.py``.
        threads: Of each process.
        nice: Of each process, from 0 to 19: others come first.
    """

    paper: Path
    file: str
    threads: int = 1
    nice: int = 0

    def command(self, *arguments: str) -> list[str]:
        """For :mod:`subprocess`."""
        return [sys.executable, self.file, *arguments]

    @property
    def environment(self) -> dict[str, str]:
        """That of this process, with libraries held to the threads of the run."""
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        return {**os.environ, **dict.fromkeys(names, str(self.threads))}


def start(run: Run, script: Script) -> None:
    """Start a run, or go on with one that was interrupted."""
    if run.state.can_resume:
        arguments = ["--resume", str(run.folder)]
    else:
        if run.state.status != "waiting":  # killed before its first checkpoint: nothing to keep
            aside = run.folder.parent / "unstarted"  # where core compare does not see it
            aside.mkdir(exist_ok=True)
            run.folder.rename(aside / f"{run.folder.name}-{time.strftime('%Y%m%d-%H%M%S')}")
        arguments = [*run.planned.arguments, "--out", str(run.folder)]
        arguments += ["--threads", str(script.threads)]  # which a run keeps when it goes on
    arguments += run.planned.place
    run.problem = None
    run.made = absent(run.log)
    run.folder.parent.mkdir(parents=True, exist_ok=True)
    with open(run.log, "ab") as log:
        run.printed_before = log.tell()
        log.write(f"$ {shlex.join(script.command(*arguments)[1:])}\n".encode())
        log.flush()
        run.process = subprocess.Popen(
            script.command(*arguments),
            cwd=script.paper,
            env=script.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches this process alone, which passes it on
        )
    if script.nice:
        step_back(run.process.pid, script.nice)


def step_back(pid: int, nice: int) -> None:
    """Let others come first; nothing where the system has no such thing.

    On Linux every session of its own is a group that shares the processor with the other groups
    whatever its processes say, so that the group has to be told.
    """
    with suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, pid, nice)
    with suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(nice))


def stop(runs: Sequence[Run]) -> None:
    """Ask every process to stop, wait for it, and kill what does not listen."""
    active = [run for run in runs if run.process]
    for run in active:
        assert run.process is not None
        run.process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE
    for run in active:
        assert run.process is not None
        try:
            run.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            run.process.kill()
            run.process.wait()


def cause(text: str) -> str:
    """The whole of the last error message in what a process printed, or the last line."""
    _, error, message = f"\n{text}".rpartition("\nerror: ")
    lines = (message if error else text).strip().splitlines() or ["it said nothing"]
    return "\n".join(lines) if error else lines[-1].strip()


def printed(run: Run) -> str:
    """What its last process printed."""
    try:
        return run.log.read_bytes()[run.printed_before :].decode(errors="replace")
    except OSError as error:
        return explained(error)


def memory_allows(runs: Sequence[Run], active: Sequence[Run]) -> bool:
    """Whether one more run fits, as large as the largest so far; one always may."""
    available = _available_mb()
    largest = max((run.state.memory_mb or 0.0 for run in runs), default=0.0)
    return not active or available is None or largest <= available


def _available_mb() -> float | None:
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            found = [line.split()[1] for line in lines if line.startswith("MemAvailable")]
    except OSError:  # not Linux
        return None
    return float(found[0]) / 1024 if found else None
