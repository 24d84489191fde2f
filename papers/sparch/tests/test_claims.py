"""The published numbers: complete, consistent with the configurations, the golden counts of the
authors' code, and each other; and what the README shows of them."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import yaml

from core.config import from_dict
from core.data.speech import EVENT_SAMPLES
from core.records import Claim, load_claims, load_records, refresh
from sparch.config import PAPER, Config
from sparch.counts import count_networks
from sparch.task import SHAPES

CLAIMS = load_claims(PAPER / "claims.yaml")
BY_ID = {claim.id: claim for claim in CLAIMS}
GOLDEN = Path(__file__).parent / "golden" / "param_counts.npz"
#: Known at second hand: every accuracy that anybody was found to quote.
ACCURACIES = {
    ("shd", "RadLIF 3x1024", 94.6, "good"),
    ("shd", "RadLIF 3x1024", 94.62, "second-hand"),
    ("shd", "adLIF 3x128", 93.06, "second-hand"),
    ("shd", "LIF 3x128", 87.04, "second-hand"),
    ("shd", "GRU 3x128", 90.4, "unnamed source"),
    ("shd", "liBRU 3x128", 89.61, "unnamed source"),
    ("ssc", "RadLIF 3x1024", 77.4, "good"),
    ("ssc", "GRU 3x512", 79.05, "unnamed source"),
    ("ssc", "liBRU 3x512", 78.7, "unnamed source"),
    ("sc", "adLIF 3x128", 90.46, "good"),
    ("sc", "adLIF 3x512", 93.12, "good"),
    ("sc", "RadLIF", 94.51, "from memory"),
}


def config_of(claim: Claim) -> Config:
    assert claim.config
    text = (PAPER / claim.config).read_text(encoding="utf-8")
    return from_dict(Config, yaml.safe_load(text), claim.config)


def test_every_number_is_there_with_its_evidence() -> None:
    found = {
        (claim.task.name, claim.model, claim.value, claim.evidence)
        for claim in CLAIMS
        if claim.metric == "test_accuracy"
    }
    assert found == ACCURACIES
    counts = Counter(claim.metric for claim in CLAIMS)
    assert counts == {"test_accuracy": 12, "parameters": 6 + 96 + 31, "samples": 5}
    unread = [claim.id for claim in CLAIMS if not claim.evidence and claim.metric != "samples"]
    assert unread == [], "only the README of the authors was read itself"


def test_ids_are_kebab_case() -> None:
    assert [c.id for c in CLAIMS if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", c.id)] == []


def test_configurations_are_those_of_the_row() -> None:
    checked = 0
    for claim in CLAIMS:
        if claim.config:
            config = config_of(claim)
            kind, size = claim.model.split(" ")
            layers, hiddens = map(int, size.split("x"))
            assert (config.model_type, config.nb_layers, config.nb_hiddens) == (
                *(kind, layers, hiddens),
            ), claim.id
            assert (config.dataset_name, config.data) == (claim.task.name, "original"), claim.id
            assert config.protocol == "published", claim.id
            assert claim.selection == "max_validation_accuracy", claim.id
            checked += 1
    assert checked == 9


def test_tolerances_follow_the_rule() -> None:
    digit = {3.9e6: 1e5, 1.2e6: 1e5, 27630: 10, 306800: 10}  # the last one printed
    for claim in CLAIMS:
        exact = digit.get(claim.value, 0) / 2 if claim.evidence != "computed" else 0
        assert claim.tolerance == (1.0 if claim.metric == "test_accuracy" else exact), claim.id


def test_an_independent_paper_counted_one_of_the_networks() -> None:
    """Table 1 of the BRF paper: a number that nobody of this project had a hand in."""
    claim = BY_ID["brf-shd-radlif-parameters"]
    assert count_networks([claim]) == {claim.id: 3893288}
    assert (claim.kind, claim.value, claim.tolerance) == ("exact", 3893288, 0)


def test_counts_are_those_of_the_authors_code() -> None:
    with np.load(GOLDEN, allow_pickle=False) as golden:
        counted = {
            tuple(sorted(json.loads(text).items())): int(number)
            for text, number in zip(golden["config_json"], golden["n_params"], strict=True)
        }
    checked = 0
    for claim in CLAIMS:
        if claim.evidence == "computed":
            config = from_dict(Config, claim.network or {}, claim.id)
            inputs, classes = SHAPES[config.dataset_name]
            assert config.dataset_name == claim.task.name
            keys = ("model_type", "nb_layers", "nb_hiddens", "normalization")
            settings = {key: getattr(config, key) for key in keys}
            settings |= {"nb_inputs": inputs, "nb_outputs": classes}
            settings |= {key: getattr(config, key) for key in ("use_bias", "bidirectional")}
            assert counted[tuple(sorted(settings.items()))] == claim.value, claim.id
            checked += 1
    assert checked == 96 + 31


def test_the_recorded_counts_are_those_of_today() -> None:
    """On failure: ``python count_parameters.py``, and commit the result."""
    (record,) = [record for record in load_records(PAPER) if record.kind == "count"]
    assert record.fields["counts"] == count_networks(CLAIMS)


def test_sizes_of_today_differ_from_the_readme_where_it_says_so() -> None:
    for dataset, sizes in EVENT_SAMPLES.items():
        for split, today in sizes.items():
            part = {"train": "train", "valid": "validation", "test": "test"}[split]
            claim = BY_ID[f"readme-{dataset}-{part}-samples"]
            assert (claim.value == today) == (dataset == "ssc")
            if dataset == "shd":
                assert claim.reason is not None
                assert str(today) in claim.reason
    old = sum(BY_ID[f"readme-shd-{part}-samples"].value for part in ("train", "test"))
    assert old == sum(EVENT_SAMPLES["shd"].values())


def test_readmes_show_what_the_records_hold() -> None:
    """On failure: ``core table sparch --write`` and commit the result."""
    assert refresh(PAPER, write=False) == []
