"""The ``core`` command: data, records and tables of the papers.

Modules that take long to import are imported by the subcommand that needs them, so that
``core --help`` answers at once. Exit codes are those of :mod:`core.errors`.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version

from core.errors import RunFailed, run_main
from core.paths import from_here, user_path


def main(argv: Sequence[str] | None = None) -> None:
    """Run one subcommand; ``argv`` defaults to the arguments of the process."""
    arguments = _parser().parse_args(argv)
    run_main(lambda: arguments.run(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="core", description="Data sets, records and result tables of the reproduced papers."
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, run: Callable[[argparse.Namespace], None]) -> argparse.ArgumentParser:
        text = str(run.__doc__)
        added = commands.add_parser(name, help=text.splitlines()[0], description=text)
        added.set_defaults(run=run)
        return added

    fetch = command("fetch", _fetch)
    fetch.add_argument("name", metavar="NAME", help="a data set; `core doctor` lists them")
    source = fetch.add_mutually_exclusive_group()
    source.add_argument(
        "--from", dest="source", type=user_path, metavar="FOLDER", help="take files fetched by hand"
    )
    source.add_argument("--mirror", metavar="URL", help="an address to try before the known ones")

    command("doctor", _doctor)

    new = command("new", _new)
    new.add_argument("name", metavar="NAME", help="of its folder and its Python package")

    record = command("record", _record)
    record.add_argument("run_folder", type=user_path, metavar="RUN_FOLDER", help="what a run wrote")
    record.add_argument(
        "--replace", action="store_true", help="give up the result recorded earlier for this run"
    )

    record.add_argument(
        "--keep-weights", action="store_true", help="copy the best weights to checkpoints/"
    )

    trial_help = "record even what is on embedded data or not as a file in configs/ says"
    record.add_argument("--trial", action="store_true", help=trial_help)

    supersede = command("supersede", _supersede)
    supersede.add_argument("paper", metavar="PAPER", help="a folder of papers/, such as brf")
    supersede.add_argument(
        "runs", metavar="RUNS", help="ids, such as 'shd_*' for all that begin so"
    )
    supersede.add_argument("reason", metavar="REASON", help="what was changed in the code")

    table = command("table", _table)
    table.add_argument("paper", metavar="PAPER", help="a folder of papers/, such as brf")
    output = table.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print the rows as one JSON list")
    output.add_argument("--write", action="store_true", help="update the tables in the READMEs")
    output.add_argument(
        "--check", action="store_true", help="exit 1 when a README differs from the records"
    )

    figures = command("figures", _figures)
    which = figures.add_mutually_exclusive_group(required=True)
    which.add_argument("paper", nargs="?", metavar="PAPER", help="a folder of papers/, such as brf")
    which.add_argument(
        "--all", action="store_true", help="all papers, and papers/claims.png of all their claims"
    )

    sweep = command("sweep", _sweep)
    sweep.add_argument("paper", metavar="PAPER", help="a folder of papers/, such as brf")
    sweep.add_argument("script", metavar="SCRIPT", help="its training script, such as train_ecg")
    sweep.add_argument(
        "--config", nargs="+", type=user_path, metavar="FILE", help="configurations, all of them"
    )
    sweep.add_argument("--seeds", default="0-4", metavar="0-4", help="one run each (0-4)")
    sweep.add_argument("--set", nargs="+", metavar="KEY=A,B", help="settings, in every combination")
    sweep.add_argument("--jobs", type=int, metavar="N", help="runs at once; default one a core")
    sweep.add_argument(
        "--threads", type=int, metavar="N", help="of each run; default the cores divided by jobs"
    )
    sweep.add_argument(
        "--out", type=user_path, metavar="FOLDER", help="where runs go (papers/PAPER/runs/sweep)"
    )
    sweep.add_argument("--record", action="store_true", help="record each run that finishes")
    sweep.add_argument("--trial", action="store_true", help=f"with --record: {trial_help}")
    sweep.add_argument(
        "--keep-weights", action="store_true", help="with --record: keep their best weights, too"
    )
    sweep.add_argument("--retry", action="store_true", help="try again what failed before")
    sweep.add_argument("flags", nargs="*", metavar="-- FLAG", help="after --: flags of every run")

    compare = command("compare", _compare)
    compare.add_argument(
        "runs",
        nargs="+",
        type=user_path,
        metavar="RUN",
        help="run folders, or folders full of them",
    )
    compare.add_argument(
        "--figure",
        type=user_path,
        metavar="FILE",
        help="the picture (comparison.png beside the runs)",
    )

    bench = command("bench", _bench)
    bench.add_argument(
        "--rows", nargs="+", metavar="NAME", help="some rows, such as lif brf growth; default all"
    )
    bench.add_argument(
        "--own", action="store_true", help="only a neuron of one's own, auto beside reference"
    )
    bench.add_argument("--repeats", type=int, default=5, help="timed passes; their median counts")
    bench.add_argument("--threads", type=int, default=2, help="processor threads of everybody")
    bench.add_argument("--device", default="cpu", help="cpu or cuda")
    bench.add_argument(
        "--no-public-loop", action="store_true", help="leave out the loop that takes minutes"
    )
    bench.add_argument("--quick", action="store_true", help="tiny shapes: only shows that it runs")
    bench.add_argument("--json", type=user_path, metavar="FILE", help="also write the rows as JSON")
    bench.add_argument(
        "--readme", type=user_path, metavar="FILE", help="also write the table between its markers"
    )
    return parser


def _fetch(arguments: argparse.Namespace) -> None:
    """Get a data set: download it, or take it from a folder; verify it."""
    from core.data.fetch import fetch

    folder = fetch(arguments.name, source=arguments.source, mirror=arguments.mirror, progress=True)
    print(f"{arguments.name} is ready in {folder}")


def _new(arguments: argparse.Namespace) -> None:
    """Write a paper with all its rooms, which trains on handwritten digits, to be filled."""
    from core.new.paper import new_paper

    folder = new_paper(arguments.name)
    print(f"wrote {folder}, and its entries in NOTICE, CITATION.cff, README.md and pyproject.toml")
    print(
        f"try it there: uv run --package {folder.name} python train.py --config configs/quick.yaml"
    )


def _record(arguments: argparse.Namespace) -> None:
    """Add a run to the results of its paper."""
    from core.records import find_paper, keep_weights, record_run
    from core.training.run_facts import read_facts

    paper = find_paper(read_facts(arguments.run_folder)["paper"])
    record = record_run(
        arguments.run_folder, paper, replace=arguments.replace, trial=arguments.trial
    )
    print(f"recorded {record.id} ({record.status}) in {paper / 'results'}")
    if arguments.keep_weights:
        print(f"kept {keep_weights(arguments.run_folder, paper, record)}")
    print(f"update the tables with: core table {paper.name} --write")


def _supersede(arguments: argparse.Namespace) -> None:
    """Mark recorded runs whose numbers a later change of the code altered."""
    from core.records import find_paper, supersede

    paper = find_paper(arguments.paper)
    marked = supersede(paper, arguments.runs, arguments.reason)
    print("\n".join(f"superseded {name}" for name in marked))
    print(f"run them again, and update the tables with: core table {paper.name} --write")


def _table(arguments: argparse.Namespace) -> None:
    """Compare the published numbers of a paper with the recorded runs."""
    from core.records import (
        find_paper,
        load_claims,
        load_orders,
        load_records,
        markdown,
        order_table,
        refresh,
        table,
    )

    paper = find_paper(arguments.paper)
    if arguments.write or arguments.check:
        stale = refresh(paper, write=arguments.write)
        if stale and arguments.check:
            raise RunFailed(
                f"{'; '.join(stale)} differ from the records; "
                f"run `core table {paper.name} --write` and commit the result"
            )
        print("\n".join(f"updated {place}" for place in stale) or "the READMEs are up to date")
        return
    records = load_records(paper)
    rows = table(load_claims(paper / "claims.yaml"), records)
    orders = order_table(load_orders(paper / "claims.yaml"), records)
    if arguments.json:
        from core.outside.text import to_json

        lines = [row.as_dict() for row in rows] + [order.as_dict() for order in orders]
        print(to_json(lines, indent=1))
    else:
        print(markdown(rows, orders))


def _figures(arguments: argparse.Namespace) -> None:
    """Draw the figures of a paper from its records, and the page results/figures.md.

    What cannot be drawn again on this machine (its data are not here) stays as it is.
    """
    from core.records import find_paper, find_papers
    from core.records.pictures import draw_claims, draw_shared, show_figures

    papers = find_papers() if arguments.all else [find_paper(arguments.paper)]
    for paper in papers:
        show_figures(paper, draw_shared(paper))
        if not (paper / "figures.py").is_file():
            continue
        # A process of its own: core never imports a paper.
        code = subprocess.run([sys.executable, "figures.py"], cwd=paper, check=False).returncode
        if code != 0:
            raise RunFailed(f"{paper / 'figures.py'} stopped with exit code {code}; see above")
    if arguments.all and papers:
        print(draw_claims(papers, papers[0].parent / "claims.png").path)


def _sweep(arguments: argparse.Namespace) -> None:
    """Run a script for every configuration, setting and seed, several at once.

    A finished run is never run twice and an interrupted one goes on, so the same command, given
    again, finishes what is left.
    """
    from core.sweep.command import sweep

    sweep(arguments)


def _compare(arguments: argparse.Namespace) -> None:
    """Compare runs: mean and deviation over seeds as a table, curves as a picture."""
    from core.records.compare import comparison_markdown, draw_comparison, grouped, read_runs

    groups = grouped(read_runs(arguments.runs))
    print(comparison_markdown(groups))
    print(f"curves: {from_here(draw_comparison(groups, arguments.figure))}")


def _bench(arguments: argparse.Namespace) -> None:
    """Time the scan beside its reference, other libraries and the machine's limit."""
    if arguments.own:
        from core.bench.own import own_neuron

        print(
            own_neuron(
                repeats=arguments.repeats,
                threads=arguments.threads,
                device=arguments.device,
                readme=arguments.readme,
            )
        )
        return
    from core.bench.command import bench

    bench(
        arguments.rows,
        repeats=arguments.repeats,
        device=arguments.device,
        threads=arguments.threads,
        public_loop=not arguments.no_public_loop,
        quick=arguments.quick,
        json_file=arguments.json,
        readme=arguments.readme,
    )


def _doctor(arguments: argparse.Namespace) -> None:
    """Say what this machine offers: versions, devices, data sets, backends, papers."""
    for name, probe in (
        ("python", lambda: [platform.python_version()]),
        ("core", lambda: [version("core")]),
        ("torch", lambda: [version("torch")]),
        ("numpy", lambda: [version("numpy")]),
        ("cpu", _cpu),
        ("gpu", _gpu),
        ("denormals", _denormals),
        ("data", _data),
        ("backends", _backends),
        ("papers", _papers),
    ):
        try:
            lines = list(probe())
        except Exception as error:  # one broken part must not hide the state of the others
            lines = [f"cannot tell: {type(error).__name__}: {error}"]
        for index, line in enumerate(lines):
            print(f"{'' if index else name:<10} {line}")


def _cpu() -> Iterable[str]:
    import torch

    return [f"{os.cpu_count()} cores, torch uses {torch.get_num_threads()} threads"]


def _gpu() -> Iterable[str]:
    import torch

    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return names or ["none"]


def _denormals() -> Iterable[str]:
    import torch

    supported = torch.set_flush_denormal(True)
    torch.set_flush_denormal(False)
    return [
        "can be flushed to zero" if supported else "cannot be flushed to zero: expect slow runs"
    ]


def _data() -> Iterable[str]:
    from core.data.fetch import data_root, is_present
    from core.data.registry import SOURCES

    chosen = "from SNN_DATA" if os.environ.get("SNN_DATA") else "the default; SNN_DATA sets another"
    yield f"{data_root()} ({chosen})"
    for name, source in SOURCES.items():
        here = "here" if is_present(name) else f"not here, get it with: core fetch {name}"
        yield f"{name} {here}; {source.title}"


def _backends() -> Iterable[str]:
    from core.scan import BACKENDS

    chosen = os.environ.get("SNN_BACKEND", "auto")
    yield f"{chosen} ({'from SNN_BACKEND' if 'SNN_BACKEND' in os.environ else 'the default'})"
    for backend in BACKENDS:
        yield f"{backend.name}: {backend.note}"
        auto = "" if backend.verified else "; auto does not take it"
        yield f"{backend.name} here: {backend.here()}{auto}"
    yield f"fused: {', '.join(_fused())}; the other cases: see core/README.md"


def _fused() -> Iterable[str]:
    """Names of the neurons whose step has a kernel."""
    import torch

    from core import neurons
    from core.scan.fused import has_kernels

    kinds = [getattr(neurons, name) for name in neurons.__all__]
    for kind in kinds:
        known = isinstance(kind, type) and issubclass(kind, neurons.Neuron)
        if known and kind is not neurons.Neuron and has_kernels(kind(1), torch.float32):
            yield kind.__name__


def _papers() -> Iterable[str]:
    from core.records import find_papers

    return [str(paper) for paper in find_papers()] or ["none found"]
