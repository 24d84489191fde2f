"""How many parameters the networks of the claims have."""

from __future__ import annotations

from collections.abc import Sequence

from core.paper import counts
from core.records import Claim
from sparch.config import Config
from sparch.models import build
from sparch.task import SHAPES


def count_networks(claims: Sequence[Claim]) -> dict[str, int]:
    """See :func:`core.paper.counts.count_networks`."""
    return counts.count_networks(
        claims, Config, lambda config: build(config, *SHAPES[config.dataset_name])
    )
