"""Carries a sweep out: starts, resumes, waits, and never runs a finished run again.

A run is a process of its own, ``python SCRIPT ...`` in the paper's folder, that writes to a folder
named by its settings. All that is known about it is read from there, so a sweep has no state of
its own: killed at any moment and started again, it goes on.

Whether a run finds its data, it knows itself, and others that differ in the seed find the same. So
the first of a kind goes ahead: the others start when it has begun, and not at all when it refuses.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from core.errors import RunFailed, UserError, explained
from core.files import take_back
from core.outside.text import from_yaml, read_yaml, to_json
from core.sweep.plan import Planned
from core.sweep.process import REFUSED, Run, Script, cause, memory_allows, printed, start, stop
from core.sweep.state import look, other_settings


def prepare(script: Script, planned: Sequence[Planned], out: Path) -> list[Run]:
    """Look at every folder, and ask the script what it makes of every run's flags.

    Nothing is started when a flag is wrong or a folder holds another run.

    Raises:
        UserError: See above; names the run.
    """
    runs = []
    for one in planned:
        asked = _settings(script, one)
        kind = to_json({key: asked[key] for key in sorted(asked) if key not in ("seed", "seeds")})
        run = Run(one, out / one.name, kind)
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
        raise UserError(f"{planned.name}: {cause(done.stderr)}")
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
        UserError: The first run refused to begin; nothing was started, and nothing is left of it.
        RunFailed: At the end, if a run failed; the others were finished.
        KeyboardInterrupt: On Ctrl-C and SIGTERM, after all runs have stopped.
    """
    again = {id(run) for run in runs if retry and run.state.status == "failed"}
    try:
        while True:
            for run in runs:
                _look(run, ended)
            again -= {id(run) for run in _refuse_alike(runs)}
            todo = [r for r in runs if not r.is_over or id(r) in again]
            active = [
                r for r in runs if r.process or (r.state.status == "running" and not r.is_over)
            ]
            for run in todo:
                if len(active) >= jobs or not memory_allows(runs, active):
                    break
                if run not in active and _may_start(run, runs):
                    again.discard(id(run))
                    try:
                        start(run, script)
                    except OSError as error:
                        run.problem = f"it cannot be started: {explained(error)}"
                    else:
                        active.append(run)
            show(runs)
            if not active and all(run.is_over for run in runs) and not again:
                break
            time.sleep(pause)
    except Exception:  # nobody would look after them
        stop(runs)
        raise
    except KeyboardInterrupt:
        stop(runs)
        done = sum(run.state.status == "finished" for run in runs)
        raise KeyboardInterrupt(
            f"stopped with {done} of {len(runs)} runs finished; the same command goes on"
        ) from None
    if failed := [run for run in runs if run.state.status != "finished"]:
        first = failed[0]
        alike = sum(run.problem == first.problem for run in failed[1:])
        raise RunFailed(
            f"{len(failed)} of {len(runs)} runs failed, the first of them {first.planned.name}"
            f"{f' and {alike} alike' if alike else ''}: "
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
    run.has_begun |= run.state.status == "running"
    if code is None:
        return
    run.process = None
    run.refused = code == REFUSED and run.state.status in ("waiting", "interrupted")
    run.has_begun |= not run.refused
    if run.state.status == "running":  # another process was faster, and refused ours
        return
    if run.state.status == "finished" and code in (0, REFUSED):
        ended(run)
    elif run.problem is None:
        run.problem = f"killed by signal {-code}" if code < 0 else cause(printed(run))


def _may_start(run: Run, runs: Sequence[Run]) -> bool:
    """Whether one of its kind has begun, or nobody is out to see whether it can."""
    begun = any(other.has_begun for other in runs if other.kind == run.kind)
    return begun or not any(other.process and not other.has_begun for other in runs)


def _refuse_alike(runs: Sequence[Run]) -> list[Run]:
    """Those that need not start, because the first of their kind refused to begin.

    Raises:
        UserError: No run has begun at all.
    """
    alike = []
    for first in [run for run in runs if run.refused]:
        first.refused = False
        if not any(run.has_begun for run in runs):
            take_back(first.made)
            of = f"first of {len(runs)} runs; none was started" if len(runs) > 1 else "only run"
            raise UserError(f"{first.problem}\n(so says {first.planned.name}, the {of})")
        if not any(run.has_begun for run in runs if run.kind == first.kind):
            alike += [run for run in runs if run.kind == first.kind and run is not first]
            for run in alike:
                if run.state.status not in ("finished", "failed"):
                    run.problem = first.problem
    return alike
