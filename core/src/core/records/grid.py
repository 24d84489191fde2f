"""A Markdown table, and the small pieces of text its cells are made of."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence


def grid(
    columns: Sequence[str], rows: Iterable[Mapping[str, str]], *, optional: Iterable[str] = ()
) -> str:
    """Lay out rows as a Markdown table.

    Args:
        columns: names, from left to right.
        rows: text by column; what a row does not have stays empty.
        optional: columns that are left out where they are empty in every row.
    """
    rows = list(rows)
    empty = {name for name in optional if not any(row.get(name) for row in rows)}
    shown = [name for name in columns if name not in empty]
    body = [[row.get(name, "").replace("|", r"\|") for name in shown] for row in rows]
    return "\n".join(
        "| " + " | ".join(line) + " |" for line in [shown, ["---"] * len(shown), *body]
    )


def rounded(value: float | None, digits: int) -> str:
    """``value`` with so many decimals; empty for None."""
    return "" if value is None else f"{value:.{digits}f}"


def mean_and_deviation(values: Iterable[float | None], digits: int) -> str:
    """Mean and, of two or more values, their standard deviation (n-1); None does not count."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return rounded(known[0], digits) if known else ""
    return f"{statistics.fmean(known):.{digits}f} ± {statistics.stdev(known):.{digits}f}"


def counted_runs(number: int) -> str:
    """``1 run``, ``2 runs``."""
    return f"{number} run" if number == 1 else f"{number} runs"
