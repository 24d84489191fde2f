"""The whole command that gives a row of a table, from the record of a run that is in it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

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
        of = [record for record in records if _about(claim, record)]
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


def _whole(paper: str, claim: Claim, fields: Mapping[str, object]) -> str:
    words = shlex.split(str(fields["command"]))
    if claim.config is None or len(words) < 2:
        return f"uv run --package {paper} {shlex.join(words)}"
    rest, flags = iter(words[2:]), []
    for word in rest:
        if word in _OF_ONE_RUN:
            next(rest, None)
        elif not word.startswith(tuple(f"{flag}=" for flag in _OF_ONE_RUN)):
            flags.append(word)
    seeds = claim.our_seeds
    whole = seeds == tuple(range(seeds[0], seeds[-1] + 1))
    span = f"{seeds[0]}-{seeds[-1]}" if whole else ",".join(map(str, seeds))
    after = f" -- {shlex.join(flags)}" if flags else ""
    return (
        f"uv run --package {paper} core sweep {paper} {Path(words[1]).stem} "
        f"--config {claim.config} --seeds {span} --record{after}"
    )
