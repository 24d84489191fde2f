"""``core record``, ``supersede``, ``table`` and ``figures``: what a paper's runs gave."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from core.cli.command import TRIAL, Command
from core.errors import RunFailed, UserError, explained
from core.paths import user_path


def add(command: Command) -> None:
    """Let the parser know them."""
    record = command("record", _record)
    record.add_argument(
        "run_folders", nargs="+", type=user_path, metavar="RUN_FOLDER", help="what a run wrote"
    )
    record.add_argument(
        "--replace", action="store_true", help="give up results recorded earlier for these runs"
    )
    record.add_argument(
        "--keep-weights", action="store_true", help="copy the best weights to checkpoints/"
    )
    record.add_argument("--trial", action="store_true", help=TRIAL)

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


def _record(arguments: argparse.Namespace) -> None:
    """Add runs to the results of their papers; one that is refused keeps no other out."""
    folders, refused, papers = arguments.run_folders, 0, set()
    for folder in folders:
        try:
            papers.add(_record_one(folder, arguments))
        except (UserError, OSError) as error:
            if len(folders) == 1:
                raise
            refused += 1
            why = explained(error) if isinstance(error, OSError) else error
            print(f"not recorded: {folder}: {why}", file=sys.stderr)
    for paper in sorted(papers):
        print(f"update the tables with: core table {paper} --write")
    if refused:
        raise UserError(f"{refused} of {len(folders)} runs were not recorded, see above")


def _record_one(folder: Path, arguments: argparse.Namespace) -> str:
    """Record a run, and its weights where they are asked for; returns the name of its paper."""
    from core.records import find_paper, keep_weights, record_run
    from core.training.run_facts import read_facts

    paper = find_paper(read_facts(folder)["paper"])
    record = record_run(folder, paper, replace=arguments.replace, trial=arguments.trial)
    print(f"recorded {record.id} ({record.status}) in {paper / 'results'}")
    if arguments.keep_weights:
        print(f"kept {keep_weights(folder, paper, record)}")
    return paper.name


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
