"""``claims.yaml``: what the sources say, by a second copy, and the configurations of its rows."""

from __future__ import annotations

from core.config import load_yaml
from core.records import load_claims
from core.testing.published import Published, assert_claims_are, cell, rows
from silif.config import PAPER, Config
from silif.evaluation import OF_MODEL

from . import published_values as source

CLAIMS = load_claims(PAPER / "claims.yaml")
NAMES = {"SiLIF": "SiLIF", "CSiLIF": "C-SiLIF", "CadLIF": "cAdLIF"}


def everything() -> dict[str, Published]:
    found: dict[str, Published] = {}
    for row in rows(source.README):
        for column in ("accuracy", "parameters"):
            value = cell(row[column])
            assert value is not None
            found[f"readme-{row['row']}-{column}"] = value
    for row in rows(source.FIGURE):
        for column in ("accuracy", "operations"):
            found[f"figure3-{row['point']}-{column}"] = (float(row[column]), None)
    for row in rows(source.OTHERS):
        found[row["claim"]] = (float(row["value"]), None)
    for row in rows(source.COUNTED):
        network = row.pop("network")
        for column, count in row.items():
            dataset, size = column.split("-")
            if (value := cell(count)) is not None:
                found[f"code-{dataset}-{network}-{size}-parameters"] = value
    return found


def test_every_claim_is_what_its_source_says() -> None:
    assert_claims_are(everything(), CLAIMS)


def test_configurations_are_those_of_the_row() -> None:
    checked = 0
    for claim in CLAIMS:
        if not claim.config:
            continue
        config = load_yaml(Config, PAPER / claim.config)
        assert f"{NAMES[config.model_type]} {config.nb_hiddens}" == claim.model, claim.id
        dataset, _, bins = claim.task.name.partition("-")
        assert (config.dataset_name, config.data) == (dataset, "original"), claim.id
        assert config.protocol == "published", claim.id
        assert claim.selection == "max_validation_accuracy", claim.id
        if config.dataset_name != "sc":
            assert config.nb_steps == claim.task.steps, claim.id
            width = 1000 * config.max_time / config.nb_steps
            assert width == (float(bins.removesuffix("ms")) if bins else 4.0), claim.id
        checked += 1
    assert checked == 7


def test_weights_are_those_of_the_row() -> None:
    checked = [claim for claim in CLAIMS if claim.checkpoint]
    assert len(checked) == 6
    for claim in checked:
        assert claim.checkpoint is not None
        kind = claim.checkpoint.removeprefix("ref_SSC_")
        assert kind in OF_MODEL.values()
        assert claim.model == f"{NAMES[kind]} 512"
        assert claim.reason == f"data not available here: python evaluate.py {kind} --record"


def test_tolerances_follow_the_rule() -> None:
    for claim in CLAIMS:
        if claim.metric == "test_accuracy":
            assert claim.tolerance == max(2 * (claim.spread or 0.0), 0.5), claim.id
        if claim.evidence == "computed" or claim.metric == "samples":
            assert claim.tolerance == 0, claim.id
