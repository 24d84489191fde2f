"""How many parameters the networks of the claims have: sizes need no training."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from core.config import from_dict
from core.paper import count_parameters
from core.records import Claim
from plif.config import Config
from plif.paper import network
from plif.sets import empty_task


def count_networks(claims: Sequence[Claim]) -> dict[str, int]:
    """Trainable values by claim, for the claims that name a network; no memory is taken for them.

    Raises:
        UserError: A setting of a network is unknown or wrong.
    """
    counts = {}
    for claim in claims:
        if claim.network is not None:
            config = from_dict(Config, claim.network, f"claim {claim.id!r}")
            with torch.device("meta"):
                model = network(config, empty_task(config.dataset_name))
            counts[claim.id] = count_parameters(model)
    return counts
