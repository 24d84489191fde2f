"""What ``core bench`` does: measure the rows that were asked for, and show them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from core.bench import history, table
from core.bench.gpu import SIZES, open_neuromorphic
from core.bench.growth import growth_rows
from core.bench.row import Options, measure
from core.bench.steps import Step, measure_step
from core.bench.workloads import Workload, select
from core.errors import UserError
from core.training.devices import choose_device, here


def bench(
    names: Sequence[str] | None,
    *,
    repeats: int,
    device: str,
    threads: int,
    public_loop: bool,
    quick: bool,
    json_file: Path | None = None,
    readme: Path | None = None,
    kept: Path | None = None,
    say: Callable[[str], object] = print,
) -> list[dict[str, Any]]:
    """Measure rows one after the other; write the files anew after every row.

    Args:
        names: Rows, None for all.
        repeats: Timed passes of each contestant.
        device: ``cpu`` or a GPU, which adds the rows of :mod:`core.bench.gpu`.
        threads: Processor threads of everybody.
        public_loop: Whether to time the loop that indexes time.
        quick: Tiny shapes: shows that everything runs, and nothing else.
        json_file: Where the rows go, so that a run that stops half-way has them.
        readme: File with the markers of the table.
        kept: Folder of :mod:`core.bench.history`, to which a full run is added.
        say: Called with each row's progress, and with the table at the end.

    Raises:
        UserError: An unknown row or device, a number below one, a file in the way.
        RunFailed: See :func:`core.bench.row.measure`.
    """
    workloads = select(names, tiny=quick)
    for flag, number in (("--repeats", repeats), ("--threads", threads)):
        if number < 1:
            raise UserError(f"{flag} must be at least 1, not {number}")
    if quick and readme is not None:
        raise UserError("--quick gives times that mean nothing: leave it out, or --readme")
    if kept is not None and (quick or names is not None):
        raise UserError("--history keeps full runs: leave out --quick and --rows")
    table.check_places(json_file, readme)
    file = None if kept is None else history.place(kept)
    options = Options(repeats, choose_device(device, threads), public_loop)
    machine = f"{here(options.device)}, medians of {repeats}"
    say(machine)
    rows: list[dict[str, Any]] = []
    done: dict[str, tuple[Workload | Step, dict[str, Any]]] = {}
    for workload in workloads:
        if isinstance(workload, Step):
            row = measure_step(workload, options)
        else:
            row = measure(workload, options)
        done[workload.name] = (workload, row)
        rows.append(row)
        say(f"{workload.name}: {row['seconds']:.4g} s, reference {row['reference_seconds']:.4g} s")
        if json_file is not None:
            table.write_json(rows, json_file)
    rows += growth_rows(done)
    if options.device.type == "cuda" and names is None:
        for size in SIZES:
            rows.append(open_neuromorphic(size, options.device, repeats))
            say(f"linear-lif-{size}: done")
    say("\n" + table.text(rows))
    if json_file is not None:
        table.write_json(rows, json_file)
    if readme is not None:
        table.write_readme(rows, machine, readme)
    if file is not None:
        history.keep(rows, machine, file)
    return rows
