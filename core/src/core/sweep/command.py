"""The command ``core sweep``."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from core.errors import UserError, explained
from core.outside.text import counted
from core.paths import from_here
from core.records.places import find_paper
from core.sweep.execute import execute, prepare
from core.sweep.plan import Planned, plan, read_seeds, read_settings
from core.sweep.process import Run, Script
from core.sweep.show import SweepTable
from core.training.interrupts import interruptible


def sweep(arguments: argparse.Namespace) -> None:
    """Do what ``core sweep`` was asked for.

    Raises:
        UserError: Wrong flags, or folders that hold other runs.
        RunFailed: Some run failed.
        KeyboardInterrupt: Stopped; the same command goes on.
    """
    paper = find_paper(arguments.paper)
    configs = [_config(file, paper) for file in arguments.config or []]
    planned = plan(
        configs,
        read_seeds(arguments.seeds),
        read_settings(arguments.set or []),
        stem=Path(arguments.script).stem,
    )
    out = arguments.out.expanduser().resolve() if arguments.out else paper / "runs" / "sweep"
    run_all(
        paper,
        arguments.script,
        planned,
        out=out,
        jobs=arguments.jobs,
        threads=arguments.threads,
        nice=arguments.nice,
        record=arguments.record,
        trial=arguments.trial,
        keep_weights=arguments.keep_weights,
        retry=arguments.retry,
    )


def run_all(
    paper: Path,
    script: str,
    planned: Sequence[Planned],
    *,
    out: Path,
    jobs: int | None = None,
    threads: int | None = None,
    nice: int = 0,
    record: bool = False,
    trial: bool = False,
    keep_weights: bool = False,
    retry: bool = False,
) -> list[Run]:
    """Carry a sweep out and print its table; for ``core sweep`` and for scripts of papers.

    Args:
        paper: Folder of the paper.
        script: Training script in it, with or without ``.py``.
        planned: The runs.
        out: Their folders go below.
        jobs: Runs at once; by default one per processor core, and no more than there are runs.
        threads: Of every run; by default the cores divided by ``jobs``.
        nice: How far the runs step back behind other work, 0 to 19.
        record: Record each run that finishes.
        trial: Record trials, too, see :func:`core.records.changes.refuse_trial`.
        keep_weights: Also keep its weights.
        retry: Try again what failed in an earlier sweep.

    Raises:
        UserError: There is no such script, or see :func:`core.sweep.execute.prepare`.
        RunFailed: See :func:`core.sweep.execute.execute`.
        KeyboardInterrupt: The same.
    """
    file = script if script.endswith(".py") else f"{script}.py"
    if not (paper / file).is_file():
        there = ", ".join(sorted(path.name for path in paper.glob("*.py")))
        raise UserError(f"{paper} has no script {file}; there are {there}")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    jobs = min(cores or 1, len(planned)) if jobs is None else jobs
    if jobs < 1 or (threads is not None and threads < 1):
        raise UserError("--jobs and --threads must be at least 1")
    if not 0 <= nice <= 19:
        raise UserError(f"--nice is a number from 0 to 19, not {nice}")
    called = Script(paper, file, threads or max(1, (cores or 1) // jobs), nice)
    runs = prepare(called, planned, out)
    print(
        f"{counted(len(runs), 'run')} of {file}, {jobs} at once with "
        f"{counted(called.threads, 'thread')} each, in {out}"
    )

    def ended(run: Run) -> None:
        if record:
            run.note = _record(run, paper, trial, keep_weights)

    with interruptible() as check, SweepTable() as table:

        def show(runs: Sequence[Run]) -> None:
            check()
            table(runs)

        for run in runs:  # finished by an earlier sweep, but perhaps never recorded
            if run.state.status == "finished":
                ended(run)
        execute(runs, called, jobs=jobs, show=show, ended=ended, retry=retry)
    if len(runs) > 1:
        print(f"mean, deviation and curves: core compare {shlex.quote(str(from_here(out)))}")
    return runs


def _record(run: Run, paper: Path, trial: bool, keep_weights: bool) -> str:
    """Record a finished run; a refusal is told and stops nothing."""
    from core.records import keep_weights as keep
    from core.records import record_run

    try:
        record = record_run(run.folder, paper, trial=trial)
        if keep_weights:
            keep(run.folder, paper, record)
    except (UserError, OSError) as error:
        return f"(not recorded: {explained(error) if isinstance(error, OSError) else error})"
    return "and recorded"


def _config(file: Path, paper: Path) -> Path:
    """As named from here, from the paper's folder, or in its ``configs/``."""
    for candidate in (file, paper / file, paper / "configs" / file):
        if candidate.is_file():
            return candidate
    raise UserError(f"--config {file}: no such file, and none in {paper / 'configs'} either")
