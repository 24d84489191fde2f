"""The whole command that gives a row of a table, from the record of a run that is in it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core.records.changes import on_embedded_data
from core.records.claims import Claim
from core.records.store import Record

_OF_ONE_RUN = ("--config", "--seed", "--threads", "--out", "--device", "--resume", "--neuron")
"""Flags that a sweep sets itself, that name one machine, or that the configuration says."""


def commands(paper: str, claims: Sequence[Claim], records: Sequence[Record]) -> dict[str, str]:
    """Claim -> command, for claims that records say something about.

    A training is a sweep over its seeds, which records what it ran; an evaluation is the one that
    was recorded, from the folder of the paper.
    """
    found = {}
    for claim in claims:
        of = [record for record in records if _about(claim, record) and not record.changes]
        if of and "command" in of[-1].fields:
            found[claim.id] = _whole(paper, claim, of[-1].fields)
    return found


def _about(claim: Claim, record: Record) -> bool:
    if claim.checkpoint is not None:
        return record.kind == "evaluate" and record.fields["checkpoint"] == claim.checkpoint
    if record.kind != "train" or claim.config is None:
        return False
    known = (claim.task.data, claim.task.stand_in)
    return record.fields["config_file"] == claim.config and record.fields["data"]["name"] in known


def _whole(paper: str, claim: Claim, fields: Mapping[str, Any]) -> str:
    words = shlex.split(str(fields["command"]))
    if claim.config is None or len(words) < 2:
        return f"uv run --package {paper} {shlex.join(words)}"
    settings = _settings(words[2:])
    seeds = claim.our_seeds
    whole = seeds == tuple(range(seeds[0], seeds[-1] + 1))
    span = f"{seeds[0]}-{seeds[-1]}" if whole else ",".join(map(str, seeds))
    after = " --trial" if on_embedded_data(fields) else ""
    after += f" --set {shlex.join(settings)}" if settings else ""
    return (
        f"uv run --package {paper} core sweep {paper} {Path(words[1]).stem} "
        f"--config {claim.config} --seeds {span} --record{after}"
    )


def _settings(words: Sequence[str]) -> list[str]:
    """Flags of a run as ``KEY=VALUE``, but for those that a sweep sets itself."""
    values: dict[str, list[str]] = {}
    key = ""
    for word in words:
        if word.startswith("--"):
            key, equals, value = word.partition("=")
            values[key] = [value] if equals else []
        elif key:
            values[key].append(word)
    return [
        f"{key.lstrip('-')}={' '.join(given) or 'true'}"
        for key, given in values.items()
        if key not in _OF_ONE_RUN
    ]
