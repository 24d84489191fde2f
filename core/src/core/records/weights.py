"""``checkpoints/`` of a paper: weights worth keeping, each with a line in ``manifest.yaml``."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import yaml

from core.errors import UserError
from core.files import write_atomically, write_text_atomically
from core.outside.shape import CONFIG_FILE, NAME, check, inside
from core.outside.text import read_yaml
from core.records.defaults import default_settings
from core.records.store import Record

_HEADER = """\
# Weights of recorded runs, written by `core record RUN --keep-weights`. `record` is the line of
# results/runs.jsonl that says how they came about; metrics are those of the kept epoch.
"""

_ENTRY: dict[str, Any] = {
    "file": NAME,
    "record": NAME,
    "sha256": str,
    "task": NAME,
    "model": NAME,
    "config": (CONFIG_FILE, None),
    "changed?": {str: object},
    "seed": int,
    "data": {"name": NAME, "digest": str},
    "epoch": int,
    "of_epochs": int,
    "test_accuracy": (float, None),
    "sop": (float, None),
}


def load_manifest(paper_folder: Path) -> list[dict[str, Any]]:
    """Read ``checkpoints/manifest.yaml``; empty where a paper keeps no weights.

    Raises:
        UserError: it is not a YAML list of such entries.
    """
    path = _manifest(paper_folder)
    if not path.is_file():
        return []
    entries: list[dict[str, Any]] = check(read_yaml(path) or [], [_ENTRY], str(path), "restore it")
    return entries


def keep_weights(run_folder: Path, paper_folder: Path, record: Record) -> Path:
    """Copy the best weights of a recorded run to ``checkpoints/`` and list them.

    The file is ``<config>-seed<seed>.safetensors``; that of a run with other settings than its
    configuration file has the whole id of the record. Weights of the same run recorded earlier
    are replaced.

    Raises:
        UserError: the run has no best weights yet, or they are not those of the record.
    """
    from core import checkpoints  # imports torch

    source = run_folder / "best.safetensors"
    fields = record.fields
    best = fields["best"]
    if not (best and source.is_file() and checkpoints.sha256(source) == fields["sha256"]):
        raise UserError(f"{source} does not hold the weights of {record.id}; record the run again")
    stem = record.id if record.changes else record.id.rpartition("-")[0]
    target = inside(paper_folder / "checkpoints", f"{stem}.safetensors")
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open("rb") as stream:
        write_atomically(target, lambda file: shutil.copyfileobj(stream, file))
    entry = {
        "file": target.name,
        "record": record.id,
        "sha256": fields["sha256"],
        "bytes": target.stat().st_size,
        "parameters": fields["parameters"],
        "task": fields["task"],
        "model": fields["model"],
        "config": fields["config_file"],
        **_changed(record, paper_folder),
        "seed": fields["seed"],
        "data": fields["data"],
        "epoch": int(best["epoch"]),
        "of_epochs": fields["epochs_planned"],
        "test_accuracy": best["test_accuracy"],
        "test_loss": best["test_loss"],
        "sop": best["sop"],
        "command": fields["command"],
        "commit": fields["commit"],
        "torch": fields["versions"]["torch"],
    }
    others = [e for e in load_manifest(paper_folder) if e["file"] != target.name]
    entries = sorted([*others, entry], key=lambda e: str(e["file"]))
    text = yaml.safe_dump(entries, sort_keys=False, allow_unicode=True, width=1000)
    write_text_atomically(_manifest(paper_folder), _HEADER + text)
    return target


def _changed(record: Record, paper_folder: Path) -> dict[str, Any]:
    """Settings in which the run differs from its configuration file, if there are any.

    A setting that came after the run was its default then.
    """
    used = {**default_settings(paper_folder, record.fields["task"]), **record.fields["config"]}
    changed = {key: used[key] for key in record.changes if key in used}
    if record.changes and not changed:  # its file is not there any more
        changed = {"file": "gone"}
    return {"changed": changed} if changed else {}


def _manifest(paper_folder: Path) -> Path:
    return paper_folder / "checkpoints" / "manifest.yaml"
