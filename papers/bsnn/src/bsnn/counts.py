"""How many parameters the networks of the claims have: the sizes of the paper need no training."""

from __future__ import annotations

from collections.abc import Sequence

from bsnn.config import Config
from bsnn.models import Sizes, build
from core.config import from_dict
from core.data.cue_accumulation import CHANNELS, CLASSES
from core.paper import count_parameters
from core.records import Claim


def count_networks(claims: Sequence[Claim]) -> dict[str, int]:
    """Trainable values by claim, for the claims that name a network of the cue task.

    Raises:
        UserError: A setting of a network is unknown or wrong.
    """
    return {
        claim.id: count_parameters(
            build(from_dict(Config, claim.network, f"claim {claim.id!r}"), Sizes(CHANNELS, CLASSES))
        )
        for claim in claims
        if claim.network is not None
    }
