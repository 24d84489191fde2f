"""Claims, single runs, weights and recipes laid out as Markdown tables.

What only some papers have (evidence of a number, protocol of a run, an early value) has a column
only there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from core.records.claims import Claim
from core.records.grid import counted_runs, grid, rounded
from core.records.store import Record
from core.records.verdicts import VERDICTS, Row

_METRIC = {
    "test_accuracy": ("test accuracy (%)", 2),
    "test_loss": ("test loss", 4),
    "sop": ("spikes per sample", 1),
    "sop_per_step": ("spikes per step", 2),
    "parameters": ("parameters", 0),
    "epochs_to_95": ("epochs to 95 %", 1),
    "epochs_to_98": ("epochs to 98 %", 1),
    "epochs_to_100": ("epochs to 100 %", 1),
    "hours": ("hours", 1),
    "samples": ("samples", 0),
}
_EPOCH = {"last": ", last epoch", "max_test": ", best test epoch"}
_COLUMNS = (
    *("task", "model", "metric", "published", "evidence", "ours", "verdict", "run of", "remark"),
)
_WEIGHT_COLUMNS = ("file", "what", "epoch", "test accuracy (%)", "spikes per sample", "sha256")
_RECIPE_COLUMNS = ("configuration", "row", "published, early", "published (%)")
_RUN_COLUMNS = (
    *("record", "data, protocol", "epochs", "test accuracy (%)", "spikes per sample", "device"),
    *("backend", "s per epoch", "commit"),
)


def markdown(rows: Sequence[Row], *, compact: bool = False) -> str:
    """Lay out rows as Markdown.

    Main claims come first, one table per source (but one for all where most sources would have a
    row or two); the others, and those of tasks the package does not have, are folded away.
    ``compact`` keeps accuracies and spikes of main claims that have been run at least in part.
    """
    if compact:
        shown = [row for row in rows if row.claim.main and row.n + (row.verdict == "partial")]
        shown = [row for row in shown if row.claim.metric in ("test_accuracy", "sop")]
        columns = ("source", *(name for name in _COLUMNS if name != "run of"))
        return _claims(shown, columns) if shown else "Nothing has been run yet."
    present = [row for row in rows if not row.claim.task.absent]
    parts = [_summary(rows)]
    main = [row for row in present if row.claim.main]
    groups = _by_source(main)
    if len(groups) > 1 and 3 * len(groups) > len(main):
        parts.append(_claims(main, ("source", *_COLUMNS)))
    else:
        for source, group in groups:
            parts += [f"**{source}**", _claims(group)]
    for source, group in _by_source(row for row in present if not row.claim.main):
        parts.append(_folded(source, group))
    if absent := [row for row in rows if row.claim.task.absent]:
        parts.append(_folded("Tasks that are not in this package", absent))
    return "\n\n".join(parts)


def runs_markdown(records: Sequence[Record]) -> str:
    """Lay out what was recorded: each run and evaluation with its device and its cost."""
    runs = [record for record in records if record.kind != "count"]
    if not runs:
        return "Nothing has been run yet."
    with_protocol = any(map(_protocol, runs))
    columns = [name for name in _RUN_COLUMNS if with_protocol or name != "data, protocol"]
    return grid(columns, map(_run_cells, runs))


def recipes_markdown(claims: Sequence[Claim]) -> str:
    """Lay out what a run of each configuration should reach, and early on (epoch 5) on its way."""
    lines = []
    for claim in claims:
        if not (claim.main and claim.config and claim.metric == "test_accuracy"):
            continue
        early = claim.published_curve.get(5)
        lines.append(
            {
                "configuration": f"`{claim.config}`",
                "row": f"{claim.source}, {claim.task.title} {claim.model}",
                "published, early": "" if early is None else f"{early} % after 5 epochs",
                "published (%)": _published(claim),
            }
        )
    return grid(_RECIPE_COLUMNS, lines, optional=["published, early"])


def weights_markdown(manifest: Sequence[Mapping[str, Any]]) -> str:
    """Lay out the weights a paper keeps."""
    lines = (
        {
            "file": f"`checkpoints/{entry['file']}`",
            "what": f"{entry['model']} on {entry['data']['name']} ({entry['task']}), "
            f"seed {entry['seed']}, `{entry['config']}`"
            + "".join(f", {key} {value}" for key, value in entry.get("changed", {}).items()),
            "epoch": f"{entry['epoch']} of {entry['of_epochs']}",
            "test accuracy (%)": rounded(entry["test_accuracy"], 2),
            "spikes per sample": rounded(entry["sop"], 1),
            "sha256": f"`{str(entry['sha256'])[:12]}`",
        }
        for entry in manifest
    )
    return grid(_WEIGHT_COLUMNS, lines) if manifest else "None are kept yet."


def _claims(rows: Sequence[Row], columns: Sequence[str] = _COLUMNS) -> str:
    return grid(columns, map(_cells, rows), optional=["evidence"])


def _summary(rows: Sequence[Row]) -> str:
    """How many numbers have which verdict; what was computed here was never published."""
    computed = [row for row in rows if row.claim.evidence == "computed"]
    published = [row for row in rows if row.claim.evidence != "computed"]
    parts = [_tally(published, "published number{}")] if published else []
    if computed:
        parts.append(_tally(computed, "number{} computed with the authors' code"))
    return " ".join(parts)


def _tally(rows: Sequence[Row], what: str) -> str:
    count = Counter(row.verdict for row in rows)
    parts = [f"{count[verdict]} {verdict}" for verdict in VERDICTS if count[verdict]]
    return f"{len(rows)} {what.format('' if len(rows) == 1 else 's')}: {', '.join(parts)}."


def _by_source(rows: Iterable[Row]) -> list[tuple[str, list[Row]]]:
    ordered = list(rows)
    sources = dict.fromkeys(row.claim.source for row in ordered)
    return [(name, [row for row in ordered if row.claim.source == name]) for name in sources]


def _folded(title: str, rows: Sequence[Row]) -> str:
    summary = f"{title}, {_summary(rows)}"
    return f"<details><summary>{summary}</summary>\n\n{_claims(rows)}\n\n</details>"


def _cells(row: Row) -> dict[str, str]:
    claim = row.claim
    name, digits = _METRIC[claim.metric]
    basis = claim.config or claim.checkpoint
    return {
        "source": claim.source,
        "task": claim.task.title,
        "model": claim.model,
        "metric": name + _EPOCH.get(claim.selection or "", ""),
        "published": _published(claim),
        "evidence": claim.evidence or "",
        "ours": _ours(row, digits),
        "verdict": f"**{row.verdict}**" if row.n else row.verdict,
        "run of": f"`{basis}`" if basis else "",
        "remark": row.reason if row.reason and row.verdict != "partial" else "",
    }


def _published(claim: Claim) -> str:
    spread = "" if claim.spread is None else f" ± {claim.spread}"
    return f"{claim.value}{spread}" + (f" ({counted_runs(claim.seeds)})" if claim.seeds else "")


def _ours(row: Row, digits: int) -> str:
    if row.ours_mean is None:
        return row.reason or "" if row.verdict == "partial" else ""
    spread = "" if row.ours_std is None else f" ± {row.ours_std:.{digits}f}"
    counted = f" ({counted_runs(row.n)})" if row.claim.config else ""
    return f"{row.ours_mean:.{digits}f}{spread}{counted}"


def _run_cells(record: Record) -> dict[str, str]:
    fields = record.fields
    if record.kind == "train":
        row = fields["best"] or fields["last"]
        accuracy, epochs = (
            row["test_accuracy"],
            f"{fields['epochs_done']}/{fields['epochs_planned']}",
        )
        epochs += "" if record.status == "finished" else f", {record.status}"
        device = fields["device_name"]
    else:
        row, accuracy, epochs = fields, fields["accuracy"], "evaluation"
        device = fields.get("device_name", fields["device"])
    dirty = " + changes" if fields.get("dirty") else ""
    return {
        "record": f"`{record.id}`",
        "data, protocol": ", ".join(filter(None, [fields["data"]["name"], _protocol(record)])),
        "epochs": epochs,
        "test accuracy (%)": rounded(accuracy, 2),
        "spikes per sample": rounded(row["sop"], 1),
        "device": str(device),
        "backend": str(fields.get("backend") or ""),
        "s per epoch": rounded(fields.get("seconds_per_epoch"), 1),
        "commit": f"{str(fields['commit'])[:8]}{dirty}",
    }


def _protocol(record: Record) -> str:
    return str(record.fields.get("config", {}).get("protocol") or "")
