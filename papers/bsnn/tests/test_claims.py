"""The published numbers: complete, and equal to what was measured with the authors' code."""

from __future__ import annotations

from collections import Counter

import pytest

from bsnn.config import PAPER, Config
from bsnn.counts import count_networks
from core.config import load_yaml
from core.records import load_claims

from .parity import EXPERIMENTS, golden

CLAIMS = load_claims(PAPER / "claims.yaml")
BY_ID = {claim.id: claim for claim in CLAIMS}
KEYS = {
    "test-accuracy": "valid_acc",
    "sop": "valid_fr_raw",
    "test-balance-lowpass": "valid_bal_low",
}
PLACES = {"code-r1": (1, "published"), "code-r4": (4, "published")}
PLACES |= {"code-r1-intended": (1, "corrected"), "code-r4-intended": (4, "corrected")}


def test_counts_are_those_of_the_authors() -> None:
    counts = count_networks(CLAIMS)
    assert {name: BY_ID[name].value for name in counts} == counts
    assert Counter(counts.values()) == {14302: 3, 200: 1, 302: 1, 962: 1}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("metric", KEYS)
def test_measured_with_the_authors_code(place: str, metric: str) -> None:
    repeat, kind = PLACES[place]
    data = golden("scaled_readme_runs")
    found = 0
    for experiment in EXPERIMENTS:
        claim = BY_ID.get(f"{place}-{metric}-{experiment.replace('_', '-')}")
        values = data.get(f"R{repeat}__{experiment}__{kind}__{KEYS[metric]}")
        assert (claim is None) == (values is None)
        if claim is None or values is None:
            continue
        found += 1
        scale = {"test-accuracy": 100.0, "sop": 6 / 7 * 100 * 2250 * repeat}.get(metric, 1.0)
        assert claim.value == pytest.approx(float(values[-1]) * scale, rel=2e-4, abs=1e-4)
        if claim.config is None:  # a network of NaN
            assert (repeat, experiment) == (1, "train_all")
            continue
        config = load_yaml(Config, PAPER / claim.config)
        assert (config.repeat, config.n_epochs) == (repeat, len(values))
        assert claim.our_seeds == (0,)
        assert claim.evidence == "computed"
    assert found in (1, 2, 5)


def test_seeds_are_those_of_three_trials() -> None:
    published = [claim for claim in CLAIMS if claim.source == "abstract"]
    assert len(published) == 6
    assert {claim.our_seeds for claim in published} == {(0, 1, 3)}
    assert {claim.value for claim in published} == {97.6}
