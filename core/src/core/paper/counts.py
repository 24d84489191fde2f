"""How many parameters the networks of claims have: sizes need no training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import nn

from core.config import from_dict
from core.paper.facts import count_parameters
from core.records import Claim, record_counts
from core.settings import SettingsT
from core.training.environment import describe
from core.training.run_folder import now


def count_networks(
    claims: Sequence[Claim], config: type[SettingsT], build: Callable[[SettingsT], nn.Module]
) -> dict[str, int]:
    """Trainable values by claim, for the claims that name a network.

    Args:
        claims: Of the paper.
        config: What the settings that a claim names belong to.
        build: Settings to the network; called where tensors have no memory for their values.

    Raises:
        UserError: A setting of a network is unknown or wrong.
    """
    counts = {}
    for claim in claims:
        if claim.network is not None:
            settings = from_dict(config, claim.network, f"claim {claim.id!r}")
            with torch.device("meta"):
                counts[claim.id] = count_parameters(build(settings))
    return counts


def record_networks(paper: Path, counts: Mapping[str, int]) -> None:
    """Write counts as one line of ``results/runs.jsonl``, and say so.

    Args:
        paper: Folder of the paper.
        counts: Of :func:`count_networks`.
    """
    facts = describe(torch.device("cpu"), "none")
    kept = {key: facts[key] for key in ("command", "commit", "dirty", "versions")}
    record_counts(paper, counts, {"date": now(), **kept})
    print(
        f"counted {len(counts)} networks; update the tables with: core table {paper.name} --write"
    )
