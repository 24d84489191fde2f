"""One style for every figure, and the file it goes to."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from cycler import cycler
from matplotlib.figure import Figure

from core.files import write_atomically

STYLE: dict[Any, Any] = {
    "figure.dpi": 100,
    "savefig.dpi": 150,
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e3e3e3",
    "grid.linewidth": 0.8,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    # Okabe-Ito: distinguishable with the common forms of colour blindness and in print
    "axes.prop_cycle": cycler(
        color=["#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
    ),
}
"""The one style of every figure; a paper's own figures use it through :func:`figure`."""


@contextmanager
def figure(path: Path, *, width: float, height: float) -> Iterator[Figure]:
    """A figure of ``width`` x ``height`` inches in the house style, saved to ``path`` at the end.

    The folder is made when it is missing. Nothing is written when the body raises, and
    an earlier picture stays where the disk is full.
    """
    with mpl.rc_context(STYLE):
        fig = Figure(figsize=(width, height), layout="constrained")
        yield fig
        drawn = io.BytesIO()
        fig.savefig(drawn, format=path.suffix.removeprefix(".") or "png")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda file: file.write(drawn.getbuffer()))
