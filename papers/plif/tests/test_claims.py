"""The claims stand in ``claims.yaml`` with their configurations, and sizes were counted."""

from __future__ import annotations

from core.config import load_yaml
from core.records import load_claims, load_records
from plif.config import PAPER, Config
from plif.counts import count_networks

CLAIMS = load_claims(PAPER / "claims.yaml")


def test_every_kind_of_claim_is_there() -> None:
    kinds = [claim.id.partition("-")[0] for claim in CLAIMS]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        **{"a": 30, "b": 6, "thesis": 4},
        **{"parameters": 12, "gesture": 2},
    }
    assert all(claim.seeds is None and claim.spread is None for claim in CLAIMS)


def test_configurations_are_those_of_the_rows() -> None:
    for claim in CLAIMS:
        if claim.config is None:
            continue
        config = load_yaml(Config, PAPER / claim.config)
        assert config.task == claim.task.name
        assert (config.val_ratio > 0) == claim.id.startswith(("b-", "thesis"))
        assert config.protocol == "published"
        if claim.id.startswith("a-"):
            *_, neuron, tau, pool = claim.id.split("-")
            assert config.use_plif == (neuron == "plif")
            assert config.init_tau == float(tau)
            assert config.use_max_pool == (pool == "max")


def test_counts_are_those_recorded_and_published() -> None:
    counts = count_networks(CLAIMS)
    assert counts == {claim.id: claim.value for claim in CLAIMS if claim.network}
    recorded = [record.fields["counts"] for record in load_records(PAPER) if record.kind == "count"]
    assert recorded == [counts]
