"""The rule that judges runs: worked examples, and its error rates by simulation."""

import math

import numpy as np
import pytest
from scipy import stats

from core.records.rule import Judgement, Order, Published, compare, holm, judge, judge_orders

ALIF = [76.0, 38.1, 45.2, 66.3, 68.0]


def test_consistency_is_a_t_interval_of_the_published_spread() -> None:
    # t(0.975, 4) = 2.776; reach = 2.776 * 0.7 * sqrt(1/5 + 1/3) = 1.4193
    published = Published(85.8, 0.7, 5)
    assert judge(published, [84.4, 84.3, 84.5], margin=1.4).verdict == "consistent"
    assert judge(published, [84.3, 84.2, 84.4], margin=9.0).verdict == "lower"
    assert judge(published, [87.3, 87.2, 87.4], margin=9.0).verdict == "higher"


def test_our_spread_serves_where_none_is_published() -> None:
    # s2 = 1, n2 = 4, n1 unknown counts as one: reach = 3.182 * sqrt(1 + 1/4) = 3.558
    ours = [-1.0, -1.0, 1.0, 1.0]
    scaled = [value * math.sqrt(3) / 2 for value in ours]
    for published in (Published(3.5), Published(3.5, None, 1), Published(3.5, 0.1, 1)):
        assert judge(published, scaled, margin=1.0).verdict == "consistent"
    assert judge(Published(3.6), scaled, margin=1.0).verdict == "lower"
    assert judge(Published(3.5, None, 4), scaled, margin=1.0).verdict == "lower"


def test_reproduced_takes_a_proof_that_the_means_are_equal_within_the_margin() -> None:
    published = Published(85.8, 0.7, 5)
    near = [85.1, 85.6, 85.9, 86.0, 86.2]
    assert judge(published, near, margin=1.4).verdict == "reproduced"
    assert judge(published, near, margin=0.5).verdict == "consistent"  # not shown with five runs
    assert judge(published, near, margin=1.4, died=True).verdict == "consistent"
    judged = judge(Published(65.8, 4.0, 5), ALIF, margin=8.0)
    assert judged.verdict != "reproduced"
    assert judged.spread_differs


def test_interval_is_the_one_of_welch() -> None:
    generator = np.random.default_rng(0)
    theirs, ours = generator.normal(3, 1, 6), generator.normal(4, 2, 4)
    published = Published(theirs.mean(), theirs.std(ddof=1), 6)
    judged = judge(published, ours.tolist(), margin=1.0)
    expected = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.95)
    assert judged.interval == pytest.approx((expected.low, expected.high))
    assert judged.difference == pytest.approx(ours.mean() - theirs.mean())


def test_few_runs_are_shown_and_not_judged() -> None:
    published = Published(85.8, 0.7, 5)
    one = judge(published, [85.8], margin=1.0)
    assert (one.verdict, one.interval, one.spread_differs) == ("too few runs", None, None)
    two = judge(published, [85.7, 85.9], margin=1.0)
    assert two.verdict == "too few runs"
    assert two.interval is not None
    with pytest.raises(ValueError, match="0 runs"):
        judge(published, [], margin=1.0)
    with pytest.raises(ValueError, match="margin of 0"):
        judge(published, [1.0], margin=0.0)


def test_runs_without_any_spread() -> None:
    same = judge(Published(9.8, 0.0, 3), [9.8, 9.8, 9.8], margin=0.5)
    assert (same.verdict, same.interval) == ("reproduced", (0.0, 0.0))
    assert judge(Published(9.8), [9.7, 9.7, 9.7], margin=0.5).verdict == "lower"
    # the binary rounding of 0.1 + 0.2 is no difference
    assert judge(Published(0.3), [0.1 + 0.2] * 3, margin=0.5).verdict == "reproduced"


def test_true_claims_are_inconsistent_once_in_twenty() -> None:
    generator = np.random.default_rng(1)
    outside = sum(
        _judged(generator, n1, n2, difference=0.0).verdict in ("lower", "higher")
        for n1, n2 in ((5, 5), (5, 3), (3, 10))
        for _ in range(1000)
    )
    assert 0.04 < outside / 3000 < 0.06


def test_true_claims_without_a_spread_are_inconsistent_once_in_twenty() -> None:
    generator = np.random.default_rng(2)
    outside = 0
    for _ in range(2000):
        published = Published(generator.normal(), None, 1)
        verdict = judge(published, generator.normal(size=5).tolist(), margin=1.0).verdict
        outside += verdict in ("lower", "higher")
    assert 0.04 < outside / 2000 < 0.06


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_difference_of_the_margin_is_called_reproduced_at_most_once_in_twenty(sign: float) -> None:
    generator = np.random.default_rng(3)
    found = sum(
        _judged(generator, 5, 5, difference=sign * 4.0, margin=4.0).verdict == "reproduced"
        for _ in range(2000)
    )
    assert found / 2000 < 0.06


def test_equal_runs_are_mostly_called_reproduced_where_the_margin_allows_it() -> None:
    generator = np.random.default_rng(4)
    found = sum(
        _judged(generator, 5, 5, difference=0.0, margin=2.0).verdict == "reproduced"
        for _ in range(1000)
    )
    assert found / 1000 > 0.7


@pytest.mark.parametrize(("runs", "share"), [(5, 0.75), (1, 0.135)])
def test_how_often_true_claims_are_called_reproduced(runs: int, share: float) -> None:
    """With five runs of ours and a margin of two deviations."""
    generator = np.random.default_rng(5)
    found = 0
    for _ in range(2000):
        theirs, ours = generator.normal(size=runs), generator.normal(size=5)
        published = Published(theirs.mean(), theirs.std(ddof=1) if runs > 1 else None, runs)
        found += judge(published, ours.tolist(), margin=2.0).verdict == "reproduced"
    assert found / 2000 == pytest.approx(share, abs=0.03)


def test_equal_spreads_are_told_apart_once_in_twenty() -> None:
    generator = np.random.default_rng(5)
    told = [_judged(generator, 5, 4, difference=0.0).spread_differs for _ in range(2000)]
    assert 0.04 < np.mean(np.array(told, dtype=float)) < 0.06


def test_order_of_two_groups() -> None:
    fast, slow = [10.0, 12.0, 11.0], [20.0, 24.0, 22.0, 10.5]
    order = compare(fast, slow)
    assert order is not None
    expected = stats.ttest_ind(fast, slow, equal_var=False, alternative="less")
    assert order.p_holds == pytest.approx(expected.pvalue)
    assert order.p_reverse == pytest.approx(1 - expected.pvalue)
    assert order.pairs == pytest.approx(10 / 12)
    assert compare([1.0, 2.0], slow) is None
    assert compare([1.0] * 3, [2.0] * 3) == Order(0.0, 1.0, 1.0)
    assert compare([1.0] * 3, [1.0] * 3) == Order(0.5, 0.5, 0.5)
    assert compare([2.0] * 3, [1.0] * 3) == Order(1.0, 0.0, 0.0)


def test_verdicts_on_orders_are_corrected_for_their_number() -> None:
    def order(p: float) -> Order:
        return Order(p, 1 - p, 0.5)

    assert judge_orders([order(0.03)]) == ["holds"]
    # 0.03 > 0.05 / 2
    assert judge_orders([order(0.03), order(0.6), None]) == ["undecided"] * 2 + ["too few runs"]
    assert judge_orders([order(0.99)]) == ["does not hold"]


def test_holm() -> None:
    # 0.01 <= 0.05 / 4, 0.02 > 0.05 / 3: the rest is kept although 0.04 <= 0.05
    assert holm([0.04, 0.01, 0.02, 0.5]) == [False, True, False, False]
    assert holm([0.01, 0.02, 0.04]) == [True, True, True]
    assert holm([]) == []


def test_no_order_is_invented_in_more_than_one_family_of_twenty() -> None:
    generator = np.random.default_rng(6)
    wrong = 0
    for _ in range(500):
        orders = [compare(*generator.normal(size=(2, 5)).tolist()) for _ in range(4)]
        wrong += "holds" in judge_orders(orders)
    assert wrong / 500 < 0.07


def _judged(
    generator: np.random.Generator, n1: int, n2: int, *, difference: float, margin: float = 2.0
) -> Judgement:
    theirs = generator.normal(size=n1)
    published = Published(float(theirs.mean()), float(theirs.std(ddof=1)), n1)
    return judge(published, generator.normal(difference, 1.0, n2).tolist(), margin=margin)
