"""Claims beside our runs, laid out as Markdown tables.

Kinds of numbers are counted apart, in a summary on top and in the titles of what is folded away.
What only some papers have (evidence of a number) has a column only there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from core.records.claims import KINDS, Claim
from core.records.grid import counted_runs, grid
from core.records.measure import Group
from core.records.orders import ORDER_VERDICTS, OrderRow
from core.records.rule import LEVEL
from core.records.verdicts import JUDGED, VERDICTS, Row

_METRIC = {
    "test_accuracy": ("test accuracy (%)", 2),
    "test_loss": ("test loss", 4),
    "sop": ("spikes per sample", 1),
    "sop_per_step": ("spikes per step", 2),
    "synaptic_operations": ("synaptic operations per sample, as the authors count them", 0),
    "test_balance_lowpass": ("balance, low-pass", 3),
    "parameters": ("parameters", 0),
    "epochs_to_95": ("epochs to 95 %", 1),
    "epochs_to_98": ("epochs to 98 %", 1),
    "epochs_to_100": ("epochs to 100 %", 1),
    "hours": ("hours", 1),
    "samples": ("samples", 0),
}
_EPOCH = {"last": ", last epoch", "max_test": ", best test epoch"}
_KIND = {"training": "training", "weights": "weights evaluated", "exact": "exact"}
_DIFFERENCE = "difference [95 %]"
_COLUMNS = (
    *("task", "model", "metric", "published", "evidence", "ours", _DIFFERENCE, "verdict"),
    *("run of", "remark"),
)
_ORDER_COLUMNS = (
    *("source", "task", "claim", "metric", "lower", "higher", "p", "pairs", "verdict", "remark"),
)


def markdown(rows: Sequence[Row], orders: Sequence[OrderRow] = (), *, compact: bool = False) -> str:
    """Lay out rows as Markdown.

    Main claims come first, one table per source (but one for all where most sources would have a
    row or two), then claims of order; the others, and those of tasks the package does not have, are
    folded away. ``compact`` keeps accuracies and spikes of main claims that have been run at least
    in part, and main claims of order that were tested.
    """
    if compact:
        return _compact(rows, orders)
    present = [row for row in rows if not row.claim.task.absent]
    parts = [_summary(rows)]
    if by_chance := _expected_outside(rows):
        parts.append(by_chance)
    main = [row for row in present if row.claim.main]
    groups = _by_source(main)
    if len(groups) > 1 and 3 * len(groups) > len(main):
        parts.append(_claims(main, ("source", *_COLUMNS)))
    else:
        for source, group in groups:
            parts += [f"**{source}**", _claims(group)]
    parts += _orders(orders)
    for source, group in _by_source(row for row in present if not row.claim.main):
        parts.append(_folded(f"{source} ({_tally(group)})", _claims(group)))
    if absent := [row for row in rows if row.claim.task.absent]:
        title = f"Tasks that are not in this package ({_tally(absent)})"
        parts.append(_folded(title, _claims(absent)))
    return "\n\n".join(parts)


def main_markdown(
    rows: Sequence[Row], orders: Sequence[OrderRow], commands: Mapping[str, str]
) -> str:
    """Lay out what a README shows: tallies, main rows that were run, main claims of order.

    Args:
        rows: All rows of a paper.
        orders: All its claims of order.
        commands: Claim -> the whole command that gives its row.
    """
    shown = _run_main(rows)
    tested = [row for row in orders if row.claim.main and row.order is not None]
    columns = ("source", *(name for name in _COLUMNS if name != "run of"), "command")
    cells = [_cells(row) | {"command": _code(commands.get(row.claim.id))} for row in shown]
    optional = ["evidence", _DIFFERENCE, "remark", "command"]
    parts = [_summary(rows), _expected_outside(rows)]
    parts += [grid(columns, cells, optional=optional)] if shown else []
    parts += [_order_grid(tested)] if tested else []
    return "\n\n".join(filter(None, parts))


def _code(command: str | None) -> str:
    return f"`{command}`" if command else ""


def published(claim: Claim) -> str:
    """The published number with its deviation and its runs."""
    spread = "" if claim.spread is None else f" ± {claim.spread}"
    return f"{claim.value}{spread}" + (f" ({counted_runs(claim.seeds)})" if claim.seeds else "")


def _compact(rows: Sequence[Row], orders: Sequence[OrderRow]) -> str:
    shown = _run_main(rows)
    tested = [row for row in orders if row.claim.main and row.order is not None]
    columns = ("source", *(name for name in _COLUMNS if name != "run of"))
    parts = [_claims(shown, columns)] if shown else []
    parts += [_order_grid(tested)] if tested else []
    return "\n\n".join(parts) or "Nothing has been run yet."


def _run_main(rows: Sequence[Row]) -> list[Row]:
    """Accuracies and spikes of main claims that have been run at least in part."""
    shown = [row for row in rows if row.claim.main and row.n + (row.verdict == "partial")]
    return [row for row in shown if row.claim.metric in ("test_accuracy", "sop")]


def _claims(rows: Sequence[Row], columns: Sequence[str] = _COLUMNS) -> str:
    return grid(columns, map(_cells, rows), optional=["evidence", _DIFFERENCE])


def _by_kind(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    """Rows by kind, what was published apart from what was computed with the authors' code."""
    groups = []
    for computed in (False, True):
        for kind in reversed(KINDS):
            these = [
                row
                for row in rows
                if row.claim.kind == kind and (row.claim.evidence == "computed") == computed
            ]
            if these:
                about = ", computed with the authors' code" if computed else ""
                groups.append((_KIND[kind] + about, these))
    return groups


def _summary(rows: Sequence[Row]) -> str:
    """How many numbers of which kind have which verdict."""
    lines = []
    for name, these in _by_kind(rows):
        count = Counter(row.verdict for row in these)
        line = {"kind": name, "numbers": str(len(these))}
        lines.append(line | {verdict: str(number) for verdict, number in count.items()})
    return grid(("kind", "numbers", *VERDICTS), lines, optional=VERDICTS)


def _expected_outside(rows: Sequence[Row]) -> str:
    """What chance alone does to the verdicts on trainings."""
    parts = []
    for name, these in _by_kind([row for row in rows if row.claim.kind == "training"]):
        if judged := sum(row.verdict in JUDGED for row in these):
            parts.append(f"{judged} judged ({name}): about {LEVEL * judged:.1f}")
    if not parts:
        return ""
    return (
        f"Expected outside (lower or higher) by chance, of {'; of '.join(parts)}, even if every "
        "number is true. Rows share their runs, so that those outside come in groups."
    )


def _tally(rows: Sequence[Row]) -> str:
    groups = ((name, [row.verdict for row in these]) for name, these in _by_kind(rows))
    return "; ".join(f"{name}: {_in_words(these, VERDICTS)}" for name, these in groups)


def _in_words(verdicts: Iterable[str], known: Sequence[str]) -> str:
    count = Counter(verdicts)
    return ", ".join(f"{count[verdict]} {verdict}" for verdict in known if count[verdict])


def _by_source(rows: Iterable[Row]) -> list[tuple[str, list[Row]]]:
    ordered = list(rows)
    sources = dict.fromkeys(row.claim.source for row in ordered)
    return [(name, [row for row in ordered if row.claim.source == name]) for name in sources]


def _folded(title: str, content: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{content}\n\n</details>"


def _cells(row: Row) -> dict[str, str]:
    claim = row.claim
    name, digits = _METRIC[claim.metric]
    basis = claim.config or claim.checkpoint
    reason = row.reason if row.reason and row.verdict != "partial" else ""
    return {
        "source": claim.source,
        "task": claim.task.title,
        "model": claim.model,
        "metric": name + _EPOCH.get(claim.selection or "", ""),
        "published": published(claim),
        "evidence": claim.evidence or "",
        "ours": _ours(row, digits),
        _DIFFERENCE: _difference(row, digits),
        "verdict": f"**{row.verdict}**" if row.n else row.verdict,
        "run of": f"`{basis}`" if basis else "",
        "remark": "; ".join(filter(None, [*row.died, *row.flags, reason])),
    }


def _ours(row: Row, digits: int) -> str:
    if row.ours_mean is None:
        return row.reason or "" if row.verdict == "partial" else ""
    spread = "" if row.ours_std is None else f" ± {row.ours_std:.{digits}f}"
    text = f"{row.ours_mean:.{digits}f}{spread}"
    if not row.claim.config:
        return text
    of = len(row.claim.our_seeds) if row.claim.kind == "training" else row.n
    return text + (f" ({counted_runs(row.n)})" if row.n >= of else f" ({row.n} of {of} runs)")


def _difference(row: Row, digits: int) -> str:
    if row.difference is None:
        return ""
    # Adding zero makes the negative zero of a rounded difference positive.
    text = f"{round(row.difference, digits) + 0.0:+.{digits}f}"
    if row.interval is None:
        return text
    low, high = (round(end, digits) + 0.0 for end in row.interval)
    return f"{text} [{low:+.{digits}f}, {high:+.{digits}f}]"


def _orders(orders: Sequence[OrderRow]) -> list[str]:
    if not orders:
        return []
    main = [row for row in orders if row.claim.main]
    others = [row for row in orders if not row.claim.main]
    tested, further = (sum(r.order is not None for r in rows) for rows in (main, others))
    parts = [
        "**Claims of order**, between our own runs: one-sided Welch tests, 5 % after Holm over "
        f"the main claims that were tested ({tested}), and over the others ({further}). `pairs` "
        "is the share of pairs of runs in which the value called lower is lower."
    ]
    if main:
        parts.append(_order_grid(main))
    if others:
        tally = _in_words((row.verdict for row in others), ORDER_VERDICTS)
        parts.append(_folded(f"Further claims of order ({tally})", _order_grid(others)))
    return parts


def _order_grid(rows: Sequence[OrderRow]) -> str:
    return grid(_ORDER_COLUMNS, map(_order_cells, rows), optional=["p", "pairs"])


def _order_cells(row: OrderRow) -> dict[str, str]:
    claim, order = row.claim, row.order
    name, digits = _METRIC[claim.metric]
    return {
        "source": claim.source,
        "task": claim.task.title,
        "claim": claim.sentence,
        "metric": name + _EPOCH.get(claim.selection or "", ""),
        "lower": _group(claim.lower, row.lower, digits),
        "higher": _group(claim.higher, row.higher, digits),
        "p": "" if order is None else f"{order.p_holds:.2g}",
        "pairs": "" if order is None else f"{100 * order.pairs:.0f} %",
        "verdict": row.verdict if order is None else f"**{row.verdict}**",
        "remark": "; ".join(row.remarks),
    }


def _group(config: str | None, ours: Group | None, digits: int) -> str:
    name = f"`{Path(config).stem}`" if config else ""
    if ours is None:
        return name
    spread = "" if ours.std is None else f" ± {ours.std:.{digits}f}"
    return f"{name} {ours.mean:.{digits}f}{spread} ({counted_runs(len(ours.values))})"
