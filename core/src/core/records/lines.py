"""``results/runs.jsonl``: what each of its lines must say, by kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from core.outside.shape import NAME, check
from core.outside.text import from_json, read_json_lines, to_json
from core.training.run_facts import FACTS, METRICS

_TRAIN: dict[str, Any] = {
    **FACTS,
    "id": NAME,
    "status": {"finished", "partial", "failed"},
    "config": {str: object},
    "best": (METRICS, None),
    "last": METRICS,
    "max_test": (METRICS, None),
    "sha256": (str, None),
    "weights?": (str, None),
    "superseded?": str,
}

EVALUATION: dict[str, Any] = {
    "checkpoint": str,
    "sha256": str,
    "task": str,
    "model": str,
    "samples": int,
    "accuracy": (float, None),
    "loss": (float, None),
    "sop": (float, None),
    "command": str,
    "commit": (str, None),
    "versions": {str: str},
    "device": str,
    "data": {"name": str, "digest": str},
    "device_name?": str,
    "backend?": (str, None),
    "dirty?": (bool, None),
}
"""What the record of an evaluation must say."""

_KINDS: dict[str, dict[str, Any]] = {
    "train": _TRAIN,
    "evaluate": {"id": str, "status": {"finished"}, **EVALUATION},
    "count": {"id": str, "status": {"finished"}, "counts": {str: int}},
}


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of ``runs.jsonl``; none where nothing was recorded yet.

    Raises:
        UserError: a line cannot be read or lacks a field; names it.
    """
    if not path.exists():
        return []
    return [_line(from_json(line, where), where) for line, where in read_json_lines(path)]


def dump_lines(lines: Iterable[Mapping[str, Any]]) -> str:
    """The text of a ``runs.jsonl``."""
    return "".join(f"{to_json(line, ensure_ascii=False)}\n" for line in lines)


def _line(value: Any, where: str) -> dict[str, Any]:
    kind = check(value, {"kind": set(_KINDS)}, where, "restore it")["kind"]
    line: dict[str, Any] = check(value, _KINDS[kind], where, "restore it")
    return line
