"""Carries a sweep out: starts, resumes, waits, and never runs a finished run again.

A run is a process of its own, ``python SCRIPT ...`` in the paper's folder, that writes to a folder
named by its settings. All that is known about it is read from there, so a sweep has no state of
its own: killed at any moment and started again, it goes on.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.errors import RunFailed, UserError, explained
from core.outside.text import from_yaml, read_yaml
from core.sweep.plan import Planned
from core.sweep.state import State, look, other_settings

REFUSED = 2
"""Exit code of a process that did nothing, such as one whose run another has finished meanwhile."""
PATIENCE = 120.0
"""Seconds that stopped runs get to write what they have."""


@dataclass
class Run:
    """A planned run and what became of it.

    Attributes:
        planned: Name and flags.
        folder: Where it writes.
        state: As last looked at.
        problem: Why it failed here, or None.
        note: What to say beside its state.
        process: While this sweep runs it.
    """

    planned: Planned
    folder: Path
    state: State = field(default_factory=State)
    problem: str | None = None
    note: str = ""
    process: subprocess.Popen[bytes] | None = None

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
    """

    paper: Path
    file: str
    threads: int = 1

    def command(self, *arguments: str) -> list[str]:
        """For :mod:`subprocess`."""
        return [sys.executable, self.file, *arguments]

    @property
    def environment(self) -> dict[str, str]:
        """That of this process, with libraries held to the threads of the run."""
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        return {**os.environ, **dict.fromkeys(names, str(self.threads))}


def prepare(script: Script, planned: Sequence[Planned], out: Path) -> list[Run]:
    """Look at every folder, and ask the script what it makes of every run's flags.

    Nothing is started when a flag is wrong or a folder holds another run.

    Raises:
        UserError: See above; names the run.
    """
    runs = []
    for one in planned:
        run = Run(one, out / one.name)
        asked = _settings(script, one)
        stored = run.folder / "config.yaml"
        run.state = look(run.folder)
        if stored.is_file() and run.state.status != "waiting":
            held = read_yaml(stored)
            if changed := other_settings(asked, held if isinstance(held, dict) else {}):
                raise UserError(
                    f"{run.folder} holds a run with other settings ({', '.join(changed[:5])}); "
                    "choose another folder with --out, or move it away"
                )
        runs.append(run)
    return runs


def _settings(script: Script, planned: Planned) -> Mapping[str, Any]:
    """All settings of a run, as the script prints them."""
    command = script.command(*planned.arguments, *planned.place, "--print_config")
    done = subprocess.run(
        command, cwd=script.paper, env=script.environment, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise UserError(f"{planned.name}: {_last_line(done.stderr)}")
    settings = from_yaml(done.stdout, f"{script.file} --print_config")
    if not isinstance(settings, dict):
        raise UserError(
            f"{script.file} --print_config prints no settings; is it a training script?"
        )
    return settings


def execute(
    runs: Sequence[Run],
    script: Script,
    *,
    jobs: int,
    show: Callable[[Sequence[Run]], None],
    ended: Callable[[Run], None] = lambda run: None,
    retry: bool = False,
    pause: float = 0.5,
) -> None:
    """Bring every run to its end, ``jobs`` at a time.

    Args:
        runs: From :func:`prepare`.
        script: What they call.
        jobs: Processes at once; a run that another process is busy with counts as one.
        show: Called after every look at the runs.
        ended: Called once for each run that this call finished.
        retry: Try again what failed before.
        pause: Seconds between two looks.

    Raises:
        RunFailed: At the end, if a run failed; the others were finished.
        KeyboardInterrupt: On Ctrl-C and SIGTERM, after all runs have stopped.
    """
    again = {id(run) for run in runs if retry and run.state.status == "failed"}
    try:
        while True:
            for run in runs:
                _look(run, ended)
            todo = [r for r in runs if not r.is_over or id(r) in again]
            active = [
                r for r in runs if r.process or (r.state.status == "running" and not r.is_over)
            ]
            for run in todo:
                if len(active) >= jobs or not _memory_allows(runs, active):
                    break
                if run not in active:
                    again.discard(id(run))
                    try:
                        _start(run, script)
                    except OSError as error:
                        run.problem = f"it cannot be started: {explained(error)}"
                    else:
                        active.append(run)
            show(runs)
            if not active and all(run.is_over for run in runs) and not again:
                break
            time.sleep(pause)
    except Exception:  # nobody would look after them
        _stop(runs)
        raise
    except KeyboardInterrupt:
        _stop(runs)
        done = sum(run.state.status == "finished" for run in runs)
        raise KeyboardInterrupt(
            f"stopped with {done} of {len(runs)} runs finished; the same command goes on"
        ) from None
    if failed := [run for run in runs if run.state.status != "finished"]:
        first = failed[0]
        raise RunFailed(
            f"{len(failed)} of {len(runs)} runs failed, the first of them {first.planned.name}: "
            f"{first.problem or 'it failed before; --retry tries it again'} (see {first.log})"
        )


def _look(run: Run, ended: Callable[[Run], None]) -> None:
    """See how far a run is, and whether its process is over."""
    if run.is_over:
        return
    code = run.process.poll() if run.process else None
    theirs = run.process is None and run.state.status == "running"
    try:
        run.state = look(run.folder)
    except UserError as error:
        if run.process is None or code is not None:
            run.problem = str(error)
    if theirs and run.state.status == "finished":
        ended(run)
    if code is None:
        return
    run.process = None
    if run.state.status == "running":  # another process was faster, and refused ours
        return
    if run.state.status == "finished" and code in (0, REFUSED):
        ended(run)
    elif run.problem is None:
        run.problem = f"killed by signal {-code}" if code < 0 else _last_line(_printed(run))


def _printed(run: Run) -> str:
    try:
        return run.log.read_bytes().decode(errors="replace")
    except OSError as error:
        return explained(error)


def _start(run: Run, script: Script) -> None:
    """Start a run, or go on with one that was interrupted."""
    if run.state.can_resume:
        arguments = ["--resume", str(run.folder)]
    else:
        if run.state.status != "waiting":  # killed before its first checkpoint: nothing to keep
            stamp = time.strftime("%Y%m%d-%H%M%S")
            run.folder.rename(run.folder.with_name(f"{run.folder.name}-unstarted-{stamp}"))
        arguments = [*run.planned.arguments, "--out", str(run.folder)]
        arguments += ["--threads", str(script.threads)]  # which a run keeps when it goes on
    arguments += run.planned.place
    run.problem = None
    run.folder.parent.mkdir(parents=True, exist_ok=True)
    with open(run.log, "ab") as log:
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


def _stop(runs: Sequence[Run]) -> None:
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


def _memory_allows(runs: Sequence[Run], active: Sequence[Run]) -> bool:
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


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].removeprefix("error: ") if lines else "it said nothing"
