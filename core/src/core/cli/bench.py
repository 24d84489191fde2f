"""``core bench``."""

from __future__ import annotations

import argparse

from core.cli.command import Command
from core.paths import user_path


def add(command: Command) -> None:
    """Let the parser know it."""
    bench = command("bench", _bench)
    bench.add_argument(
        "--rows", nargs="+", metavar="NAME", help="some rows, such as lif brf growth; default all"
    )
    bench.add_argument(
        "--own", action="store_true", help="only a neuron of one's own, auto beside reference"
    )
    bench.add_argument(
        "--balanced", action="store_true", help="only networks of balanced neurons, likewise"
    )
    bench.add_argument(
        "--rates", action="store_true", help="only products by spikes beside dense ones, by rate"
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
    bench.add_argument(
        "--history",
        type=user_path,
        metavar="FOLDER",
        help="also keep a full run as the commit's, and draw all that are kept",
    )


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
    if arguments.balanced:
        from core.bench.balanced import balanced_networks

        print(
            balanced_networks(
                repeats=arguments.repeats, threads=arguments.threads, readme=arguments.readme
            )
        )
        return
    if arguments.rates:
        from core.bench.rates import spike_rates

        print(
            spike_rates(
                repeats=arguments.repeats, threads=arguments.threads, readme=arguments.readme
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
        kept=arguments.history,
    )
