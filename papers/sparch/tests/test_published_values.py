"""``claims.yaml`` says what the sources say, by a second copy that was typed from them."""

from __future__ import annotations

from core.records import load_claims
from core.testing.published import Published, assert_claims_are, cell, rows
from sparch.config import PAPER

from . import published_values as source


def everything() -> dict[str, Published]:
    found: dict[str, Published] = {}
    for row in rows(source.QUOTED):
        found[row["claim"]] = (float(row["value"]), None)
    for row in rows(source.SIZES):
        model = row.pop("model")
        for column, count in row.items():
            dataset, size = column.split("-")
            found[f"code-{dataset}-{model}-{size}-parameters"] = (float(count), None)
    for row in rows(source.VARIANTS):
        model = row.pop("model")
        for variant, count in row.items():
            if (value := cell(count)) is not None:
                found[f"code-shd-{model}-128-{variant}-parameters"] = value
    return found


def test_every_claim_is_what_its_source_says() -> None:
    claims = load_claims(PAPER / "claims.yaml")
    assert_claims_are(everything(), claims)
    assert [claim.id for claim in claims if claim.seeds is not None] == []
