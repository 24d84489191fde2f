"""``core gpu``."""

from __future__ import annotations

import argparse
from pathlib import Path

from core.cli.command import Command
from core.paths import user_path


def add(command: Command) -> None:
    """Let the parser know it."""
    gpu = command("gpu", _gpu)
    gpu.add_argument(
        "--out", type=user_path, default=Path("gpu"), metavar="FOLDER", help="for gpu.json (gpu)"
    )
    gpu.add_argument(
        "--accept", type=user_path, metavar="FILE", help="let auto take what gpu.json found right"
    )
    gpu.add_argument(
        "--rehearse",
        action="store_true",
        help="toy sizes in Triton's interpreter, without a GPU: only shows that it runs",
    )


def _gpu(arguments: argparse.Namespace) -> None:
    """Find out in five minutes whether the kernels are right on this GPU, and how fast."""
    if arguments.accept is not None:
        from core.scan.gpu.verified import accept

        print(f"auto takes {accept(arguments.accept)}")
        return
    from core.bench.first_minutes.command import first_minutes

    first_minutes(arguments.out, rehearse=arguments.rehearse)
