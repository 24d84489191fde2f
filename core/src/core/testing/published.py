"""A second copy of the published numbers, which a test of each paper holds ``claims.yaml`` to.

Verdicts and tables are made from ``claims.yaml``: a slip there, or a change by mistake, shows in no
other place. The second copy is typed from the sources in the shape of their tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.records import Claim

Published = tuple[float, float | None]
"""A value and its published standard deviation."""


def rows(table: str) -> list[dict[str, str]]:
    """The rows of a table by the names in its first line; columns are separated by spaces."""
    head, *lines = (line.split() for line in table.strip().splitlines())
    return [dict(zip(head, line, strict=True)) for line in lines]


def cell(text: str) -> Published | None:
    """What ``85.5+-0.7``, ``85.5`` or ``-`` says."""
    if text == "-":
        return None
    value, _, spread = text.partition("+-")
    return float(value), float(spread) if spread else None


def assert_claims_are(published: Mapping[str, Published], claims: Sequence[Claim]) -> None:
    """Every claim has the published value and deviation, and every published number is a claim.

    Args:
        published: By id of the claim.
        claims: Of the paper.
    """
    found = {claim.id: (claim.value, claim.spread) for claim in claims}
    different = {
        id_: (found.get(id_), published.get(id_))
        for id_ in found.keys() | published.keys()
        if found.get(id_) != published.get(id_)
    }
    assert different == {}, "claims.yaml, published_values.py"
