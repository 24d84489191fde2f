"""``core sweep`` and ``core compare``: many runs."""

from __future__ import annotations

import argparse

from core.cli.command import TRIAL, Command
from core.paths import from_here, user_path


def add(command: Command) -> None:
    """Let the parser know them."""
    sweep = command("sweep", _sweep)
    sweep.add_argument("paper", metavar="PAPER", help="a folder of papers/, such as brf")
    sweep.add_argument("script", metavar="SCRIPT", help="its training script, such as train_ecg")
    sweep.add_argument(
        "--config", nargs="+", type=user_path, metavar="FILE", help="configurations, all of them"
    )
    sweep.add_argument("--seeds", default="0-4", metavar="0-4", help="one run each (0-4)")
    sweep.add_argument("--set", nargs="+", metavar="KEY=A,B", help="settings, in every combination")
    sweep.add_argument(
        "--nice", type=int, default=0, metavar="N", help="step back behind other work, 0 to 19 (0)"
    )
    sweep.add_argument("--jobs", type=int, metavar="N", help="runs at once; default one a core")
    sweep.add_argument(
        "--threads", type=int, metavar="N", help="of each run; default the cores divided by jobs"
    )
    sweep.add_argument(
        "--out", type=user_path, metavar="FOLDER", help="where runs go (papers/PAPER/runs/sweep)"
    )
    sweep.add_argument("--record", action="store_true", help="record each run that finishes")
    sweep.add_argument("--trial", action="store_true", help=f"with --record: {TRIAL}")
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
