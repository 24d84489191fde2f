"""Full runs of the benchmark, one file per commit, and a picture of their distance to the limit.

A file is ``DATE-COMMIT.json``: ``commit``, ``date``, ``machine`` and the ``rows`` of
:mod:`core.bench.table`. Times of different machines are not comparable and their ratios to the
machine's own limit hardly, so that a line connects measurements of one machine alone.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.bench.table import Row, measured
from core.errors import UserError
from core.files import write_text_atomically
from core.outside.shape import check
from core.outside.text import read_json, to_json
from core.training.environment import checked_out

PICTURE = "history.png"
_SHAPE = {
    **{"commit": str, "date": str, "machine": str},
    "rows": [{"workload": str, "limit_ratio?": (float, None)}],
}


def place(folder: Path) -> Path:
    """The file of the checked-out commit.

    Raises:
        UserError: There is no commit, files differ from it, or it was measured before.
    """
    name, dirty = checked_out()
    if name is None or dirty:
        why = "no git checkout" if name is None else "a checkout with changes"
        raise UserError(f"--history keeps what a commit measures, and this is {why}; commit first")
    if known := sorted(folder.glob(f"*-{name[:8]}.json")):
        raise UserError(f"--history: {known[0]} is of this commit; move it away to measure again")
    return folder / f"{time.strftime('%Y-%m-%d', time.gmtime())}-{name[:8]}.json"


def keep(rows: Sequence[Row], machine: str, file: Path) -> None:
    """Write the rows to the file that :func:`place` gave, and draw the folder's picture anew."""
    name, _ = checked_out()
    date = file.name[:10]
    content = {"commit": name, "date": date, "machine": machine, "rows": list(rows)}
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomically(file, to_json(content, indent=1, ensure_ascii=False) + "\n")
    draw(file.parent)


def draw(folder: Path) -> Path:
    """Time over limit of every row, file after file; a panel per machine.

    Raises:
        UserError: A file is damaged.
    """
    from core.plots import figure  # matplotlib takes a second to import

    kept = [_read(file) for file in sorted(folder.glob("*.json"))]
    machines: dict[str, list[dict[str, Any]]] = {}
    for content in kept:
        machines.setdefault(content["machine"], []).append(content)
    path = folder / PICTURE
    with figure(path, width=9.0, height=0.8 + 3.2 * max(1, len(machines))) as fig:
        panels = fig.subplots(max(1, len(machines)), 1, squeeze=False)[:, 0]
        for axes, (machine, contents) in zip(panels, machines.items(), strict=False):
            names = dict.fromkeys(
                row["workload"] for content in contents for row in measured(content["rows"])
            )
            for index, name in enumerate(names):
                points = [
                    (number, row["limit_ratio"])
                    for number, content in enumerate(contents)
                    for row in measured(content["rows"])
                    if row["workload"] == name
                ]
                stroke = ("-", "--", ":")[index // 7 % 3]
                axes.plot(*zip(*points, strict=True), stroke, marker="o", markersize=3, label=name)
            labels = [f"{content['date']}\n{content['commit'][:8]}" for content in contents]
            axes.set_xticks(range(len(contents)), labels, fontsize=8)
            axes.set(yscale="log", ylabel="time / limit", title=machine)
            axes.axhline(1.0, color="#444444", linewidth=0.8)
            if names:
                axes.legend(fontsize=7, ncols=2, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return path


def _read(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = check(read_json(file), _SHAPE, str(file))
    return content
