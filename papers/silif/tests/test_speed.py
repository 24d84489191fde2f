"""The benchmark of state space models, at shapes of milliseconds."""

from __future__ import annotations

import pytest
import torch

from silif import sdn, speed
from silif.sdn import Predictor
from silif.ssm import SSMType

SMALL = speed.Shape(steps=9, batch=2, inputs=3, channels=4, layers=2, classes=3, states=6)


@pytest.fixture(autouse=True)
def _some_predictor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here depends on the published weights."""
    torch.manual_seed(4)
    weights = Predictor().state_dict()
    monkeypatch.setattr(sdn, "published_predictor", lambda: weights)


@pytest.mark.parametrize("model", ["S4D", "SS4D"])
def test_all_ways_compute_the_same(model: SSMType) -> None:
    x_TBI = torch.randn(9, 2, 3)
    ways = [speed.build(model, SMALL, recursive=recursive).eval() for recursive in (False, True)]
    torch.testing.assert_close(ways[0](x_TBI).y, ways[1](x_TBI).y, rtol=1e-4, atol=1e-5)


def test_rows_and_table() -> None:
    rows = [speed.measure(model, SMALL, 1) for model in ("S4D", "SS4D")]
    assert [set(row) for row in rows] == [
        {"model", "shape", "ours", "recursion", "limit"},
        {"model", "shape", "ours", "recursion", "limit", "own neurons"},
    ]
    text = speed.table(rows, "a machine")
    assert text.startswith("a machine\n")
    assert "T=9 B=2 3-2x4-3, N=6" in text


def test_the_limit_counts_by_hand() -> None:
    """72 values: per block 40 arrays, products to twice the channels and both gradients."""
    values = 9 * 2 * 4
    one_byte = speed.limit_seconds("S4D", SMALL, 1.0, float("inf"))
    assert one_byte == 2 * 4 * 40 * values
    flop = speed.limit_seconds("SS4D", SMALL, float("inf"), 1.0)
    transforms = 10 * 18 * 4.169925001442312 * 2 * 4
    assert flop == pytest.approx(2 * (6 * values * 8 + transforms + 272 * values) + 4 * values * 3)
