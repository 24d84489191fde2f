"""Tables for READMEs, generated from records and written between markers.

A README holds a block as::

    <!-- core table brf -->
    ... generated text ...
    <!-- end -->

The blocks of paper ``brf`` are ``table brf`` (all claims), ``table brf compact`` (main claims with
a result), ``runs brf`` (what was run, where, how long), ``weights brf`` (kept checkpoints) and
``recipes brf`` (what a run of each configuration should reach). Other names are free for other
generated text (a figure, the output of a quick run) through :func:`update_between_markers`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.files import write_text_atomically
from core.records.claims import Claim, load_claims
from core.records.store import Record, load_records
from core.records.verdicts import VERDICTS, Row, table
from core.records.weights import load_manifest

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
}
_EPOCH = {"last": ", last epoch", "max_test": ", best test epoch"}
_COLUMNS = ("task", "model", "metric", "published", "ours", "verdict", "run of", "remark")
_WEIGHT_COLUMNS = ("file", "what", "epoch", "test accuracy (%)", "spikes per sample", "sha256")
_RECIPE_COLUMNS = ("configuration", "row", "published, early", "published (%)")
_RUN_COLUMNS = (
    *("record", "epochs", "test accuracy (%)", "spikes per sample", "device", "backend"),
    *("s per epoch", "commit"),
)


def markdown(rows: Sequence[Row], *, compact: bool = False) -> str:
    """Lay out rows as Markdown.

    Main claims come first, one table per source; the others, and those of tasks the package does
    not have, are folded away. ``compact`` keeps accuracies and spikes of main claims that have
    been run at least in part.
    """
    if compact:
        shown = [row for row in rows if row.claim.main and row.n + (row.verdict == "partial")]
        shown = [row for row in shown if row.claim.metric in ("test_accuracy", "sop")]
        if not shown:
            return "Nothing has been run yet."
        *columns, _, remark = _COLUMNS
        lines = [
            (row.claim.source, *cells[:6], cells[7]) for row in shown for cells in [_cells(row)]
        ]
        return _grid(("source", *columns, remark), lines)
    present = [row for row in rows if not row.claim.task.absent]
    parts = [_summary(rows)]
    for source, group in _by_source(row for row in present if row.claim.main):
        parts += [f"**{source}**", _grid(_COLUMNS, map(_cells, group))]
    for source, group in _by_source(row for row in present if not row.claim.main):
        parts.append(_folded(source, group))
    if absent := [row for row in rows if row.claim.task.absent]:
        parts.append(_folded("Tasks that are not in this package", absent))
    return "\n\n".join(parts)


def runs_markdown(records: Sequence[Record]) -> str:
    """Lay out what was recorded: each run and evaluation with its device and its cost."""
    return _grid(_RUN_COLUMNS, map(_run_cells, records)) if records else "Nothing has been run yet."


def recipes_markdown(claims: Sequence[Claim]) -> str:
    """Lay out what a run of each configuration should reach, and early on (epoch 5) on its way."""
    lines = []
    for claim in claims:
        if not (claim.main and claim.config and claim.metric == "test_accuracy"):
            continue
        early = claim.published_curve.get(5)
        lines.append(
            (
                f"`{claim.config}`",
                f"{claim.source}, {claim.task.title} {claim.model}",
                "" if early is None else f"{early} % after 5 epochs",
                _published(claim),
            )
        )
    return _grid(_RECIPE_COLUMNS, lines)


def weights_markdown(manifest: Sequence[Mapping[str, Any]]) -> str:
    """Lay out the weights a paper keeps."""
    lines = (
        (
            f"`checkpoints/{entry['file']}`",
            f"{entry['model']} on {entry['data']['name']} ({entry['task']}), seed {entry['seed']}, "
            f"`{entry['config']}`",
            f"{entry['epoch']} of {entry['of_epochs']}",
            _rounded(entry["test_accuracy"], 2),
            _rounded(entry["sop"], 1),
            f"`{str(entry['sha256'])[:12]}`",
        )
        for entry in manifest
    )
    return _grid(_WEIGHT_COLUMNS, lines) if manifest else "None are kept yet."


def update_between_markers(readme: Path, name: str, text: str, *, write: bool = True) -> bool:
    """Put ``text`` into the block ``name`` of a README; return whether that changes the file.

    Args:
        readme: file that holds ``<!-- core NAME -->`` and, below, ``<!-- end -->``.
        name: what stands in the opening marker.
        text: the new content, without markers.
        write: False leaves the file alone and only tells whether it differs.

    Raises:
        UserError: the file or its block is missing, or the block is there twice.
    """
    if not readme.is_file():
        raise UserError(f"{readme} does not exist")
    old = readme.read_text(encoding="utf-8")
    opening = f"<!-- core {name} -->"
    block = re.compile(rf"({re.escape(opening)}\n)((?:(?!<!-- core ).)*?)(<!-- end -->)", re.DOTALL)
    found = block.findall(old)
    if len(found) != 1 or old.count(opening) != 1:
        raise UserError(
            f"{readme} must hold the lines {opening} and <!-- end --> once, with only the "
            f"generated text between them; found {old.count(opening)} opening, {len(found)} closed"
        )
    new = block.sub(lambda match: f"{match[1]}{text.strip()}\n{match[3]}", old)
    if write and new != old:
        write_text_atomically(readme, new)
    return new != old


def refresh(paper_folder: Path, *, write: bool) -> list[str]:
    """Compare the blocks of a paper in its README and the project's with claims and records.

    Args:
        paper_folder: ``papers/<paper>``.
        write: bring the blocks up to date; False only looks.

    Returns:
        The stale blocks (with ``write``: those that were), as ``file (block)``.

    Raises:
        UserError: the paper's README lacks its table, or claims or records cannot be read.
    """
    paper = paper_folder.name
    records = load_records(paper_folder)
    claims = load_claims(paper_folder / "claims.yaml")
    rows = table(claims, records)
    blocks = {
        f"recipes {paper}": recipes_markdown(claims),
        f"table {paper}": markdown(rows),
        f"table {paper} compact": markdown(rows, compact=True),
        f"runs {paper}": runs_markdown(records),
        f"weights {paper}": weights_markdown(load_manifest(paper_folder)),
    }
    stale = []
    own, project = paper_folder / "README.md", paper_folder.parent.parent / "README.md"
    for readme in (own, project):
        text = readme.read_text(encoding="utf-8") if readme.is_file() else ""
        for name, content in blocks.items():
            needed = readme == own and name == f"table {paper}"
            if not needed and f"<!-- core {name} -->" not in text:
                continue
            if update_between_markers(readme, name, content, write=write):
                stale.append(f"{readme} ({name})")
    return stale


def _summary(rows: Sequence[Row]) -> str:
    count = Counter(row.verdict for row in rows)
    parts = [f"{count[verdict]} {verdict}" for verdict in VERDICTS if count[verdict]]
    numbers = "number" if len(rows) == 1 else "numbers"
    return f"{len(rows)} published {numbers}: {', '.join(parts)}."


def _by_source(rows: Iterable[Row]) -> list[tuple[str, list[Row]]]:
    ordered = list(rows)
    sources = dict.fromkeys(row.claim.source for row in ordered)
    return [(name, [row for row in ordered if row.claim.source == name]) for name in sources]


def _folded(title: str, rows: Sequence[Row]) -> str:
    grid = _grid(_COLUMNS, map(_cells, rows))
    summary = f"{title}, {_summary(rows)}"
    return f"<details><summary>{summary}</summary>\n\n{grid}\n\n</details>"


def _grid(columns: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A Markdown table; ``zip`` cuts a line to the columns given."""
    body = [
        [cell.replace("|", r"\|") for cell, _ in zip(line, columns, strict=False)] for line in lines
    ]
    return "\n".join(
        "| " + " | ".join(line) + " |" for line in [columns, ["---"] * len(columns), *body]
    )


def _cells(row: Row) -> tuple[str, ...]:
    claim = row.claim
    name, digits = _METRIC[claim.metric]
    basis = f"`{claim.config or claim.checkpoint}`" if claim.config or claim.checkpoint else ""
    return (
        claim.task.title,
        claim.model,
        name + _EPOCH.get(claim.selection or "", ""),
        _published(claim),
        _ours(row, digits),
        f"**{row.verdict}**" if row.n else row.verdict,
        basis,
        row.reason if row.reason and row.verdict != "partial" else "",
    )


def _published(claim: Claim) -> str:
    spread = "" if claim.spread is None else f" ± {claim.spread}"
    return f"{claim.value}{spread}" + (f" ({_runs(claim.seeds)})" if claim.seeds else "")


def _ours(row: Row, digits: int) -> str:
    if row.ours_mean is None:
        return row.reason or "" if row.verdict == "partial" else ""
    spread = "" if row.ours_std is None else f" ± {row.ours_std:.{digits}f}"
    counted = "" if row.claim.checkpoint else f" ({_runs(row.n)})"
    return f"{row.ours_mean:.{digits}f}{spread}{counted}"


def _runs(number: int) -> str:
    return f"{number} run" if number == 1 else f"{number} runs"


def _run_cells(record: Record) -> tuple[str, ...]:
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
    return (
        f"`{record.id}`",
        epochs,
        _rounded(accuracy, 2),
        _rounded(row["sop"], 1),
        str(device),
        str(fields.get("backend") or ""),
        _rounded(fields.get("seconds_per_epoch"), 1),
        f"{str(fields['commit'])[:8]}{dirty}",
    )


def _rounded(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
