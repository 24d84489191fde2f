"""Single runs, weights and recipes laid out as Markdown tables.

What only some papers have (protocol of a run, an early value) has a column only there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.records.claims import Claim
from core.records.comparison import published
from core.records.grid import grid, rounded
from core.records.store import Record

_WEIGHT_COLUMNS = ("file", "what", "epoch", "test accuracy (%)", "spikes per sample", "sha256")
_RECIPE_COLUMNS = ("configuration", "row", "published, early", "published (%)")
_RUN_COLUMNS = (
    *("record", "data, protocol", "epochs", "test accuracy (%)", "spikes per sample", "device"),
    *("backend", "s per epoch", "commit"),
)


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
                "published (%)": published(claim),
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


def _run_cells(record: Record) -> dict[str, str]:
    fields = record.fields
    if record.kind == "train":
        row = fields["best"] or fields["last"]
        accuracy, epochs = (
            row["test_accuracy"],
            f"{fields['epochs_done']}/{fields['epochs_planned']}",
        )
        epochs += "" if record.status == "finished" else f", {record.status}"
        epochs += ", superseded" if record.superseded else ""
        for step in fields.get("resumed", ()):
            epochs += f", from {step['after_epoch']} on with other code or elsewhere"
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
