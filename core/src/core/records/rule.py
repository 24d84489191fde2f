"""The rule that judges our runs against published ones: a few tests of statistics, and no more.

With the published mean ``m1`` and standard deviation ``s1`` of ``n1`` runs, ours ``m2``, ``s2`` of
``n2`` runs, and ``d = m2 - m1``:

===============  ==============================================================================
verdict          when
===============  ==============================================================================
too few runs     fewer than three runs of ours
consistent       ``|d| <= t(0.975, n1 - 1) s1 sqrt(1/n1 + 1/n2)``: the published runs could have
                 given our mean. With ``s2`` and ``n2 - 1`` where ``s1`` is unknown or ``n1`` is 1
reproduced       consistent, no run of ours died, and two one-sided Welch tests at 5 % show that
                 the means differ by less than the margin
lower, higher    everything else
===============  ==============================================================================

An unknown number of published runs counts as one. Where ``s1`` is not known, Welch's formulas take
the published runs to spread as ours do, with ``n2 - 1`` degrees of freedom. Beside a verdict stand
the 95 % Welch interval of ``d`` and whether the two spreads differ (two-sided F test at 5 %).

Chance, if the published runs and ours are draws of one and the same distribution: a claim that is
true ends outside of "consistent" in one case of twenty. A claim whose true difference is the margin
or more is called reproduced in at most one case of twenty.

Claims of order ("A needs fewer epochs than B") compare two groups of our own runs with a one-sided
Welch test in either direction, corrected after Holm over the claims that are judged together.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from scipy import special

LEVEL = 0.05
"""Error rate of every test."""
ENOUGH = 3
"""Runs that a group of our own needs before it is judged."""

TrainingVerdict = Literal["too few runs", "reproduced", "consistent", "lower", "higher"]
OrderVerdict = Literal["too few runs", "holds", "does not hold", "undecided"]


@dataclass(frozen=True)
class Published:
    """What is published about a number.

    Attributes:
        mean: ``m1``.
        std: ``s1``, standard deviation (n - 1) over runs; None where it is not known.
        runs: ``n1``; None where it is not known.
    """

    mean: float
    std: float | None = None
    runs: int | None = None


@dataclass(frozen=True)
class Judgement:
    """Our runs beside a published number.

    Attributes:
        verdict: See the table of this module.
        difference: ``d``, in the unit of the metric.
        interval: 95 % Welch interval of ``d``; None for fewer than two runs of ours.
        spread_differs: The two standard deviations differ; None where one is not known.
    """

    verdict: TrainingVerdict
    difference: float
    interval: tuple[float, float] | None
    spread_differs: bool | None


@dataclass(frozen=True)
class Order:
    """Two groups of our own runs, of which the first is claimed to have the lower values.

    Attributes:
        p_holds: One-sided Welch test, small where the first group is lower.
        p_reverse: The same, small where it is higher.
        pairs: Share of pairs of runs in which the first is lower; a tie counts half.
    """

    p_holds: float
    p_reverse: float
    pairs: float


def judge(
    published: Published, ours: Sequence[float], *, margin: float, died: bool = False
) -> Judgement:
    """Compare our runs with a published number.

    Args:
        published: The number.
        ours: One finite value per run, every declared seed that ran, bad ones too.
        margin: Largest difference that does not matter, declared before the first run; > 0.
        died: At least one of our runs fell silent or to chance for good.

    Raises:
        ValueError: There is no run, or the margin is not above 0.
    """
    if not ours or not margin > 0:
        raise ValueError(f"{len(ours)} runs and a margin of {margin}: both must be above 0")
    difference = statistics.fmean(ours) - published.mean
    if len(ours) < 2:
        return Judgement("too few runs", difference, None, None)
    error, freedom = _welch(published, ours)
    half = _quantile(1 - LEVEL / 2, freedom) * error
    interval = (difference - half, difference + half)
    differs = _spread_differs(published, ours)
    verdict: TrainingVerdict
    if len(ours) < ENOUGH:
        verdict = "too few runs"
    # Published values are decimal fractions: their binary rounding must not decide.
    elif abs(difference) - 1e-9 * max(1.0, abs(published.mean)) > _reach(published, ours):
        verdict = "lower" if difference < 0 else "higher"
    elif not died and _equal_within(margin, difference, error, freedom):
        verdict = "reproduced"
    else:
        verdict = "consistent"
    return Judgement(verdict, difference, interval, differs)


def compare(lower: Sequence[float], higher: Sequence[float]) -> Order | None:
    """Test whether the first group has the lower values; None where a group has fewer than three.

    Two groups without any spread are told apart by their values alone.
    """
    if min(len(lower), len(higher)) < ENOUGH:
        return None
    pairs = statistics.fmean((a < b) + (a == b) / 2 for a in lower for b in higher)
    difference = statistics.fmean(lower) - statistics.fmean(higher)
    error, freedom = _welch_of(
        (statistics.variance(lower), len(lower)), (statistics.variance(higher), len(higher))
    )
    if error == 0.0:
        p_holds = 0.5 if difference == 0 else float(difference > 0)
    else:
        p_holds = float(special.stdtr(freedom, difference / error))
    return Order(p_holds, 1.0 - p_holds, pairs)


def judge_orders(orders: Sequence[Order | None]) -> list[OrderVerdict]:
    """Verdicts on claims of order that belong together, corrected for their number (Holm 1979)."""
    known = [order for order in orders if order is not None]
    holds = iter(holm([order.p_holds for order in known]))
    reverse = iter(holm([order.p_reverse for order in known]))
    verdicts: list[OrderVerdict] = []
    for order in orders:
        if order is None:
            verdicts.append("too few runs")
            continue
        shown, refuted = next(holds), next(reverse)
        verdicts.append("holds" if shown else "does not hold" if refuted else "undecided")
    return verdicts


def holm(p_values: Sequence[float], level: float = LEVEL) -> list[bool]:
    """Which hypotheses are rejected at a family-wise error rate, step by step from the smallest."""
    rejected = [False] * len(p_values)
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        if p_values[index] > level / (len(p_values) - rank):
            break
        rejected[index] = True
    return rejected


def _known(published: Published) -> tuple[float, int] | None:
    """``s1`` and ``n1`` where both say something about the spread of the published runs."""
    if published.std is None or published.runs is None or published.runs < 2:
        return None
    return published.std, published.runs


def _reach(published: Published, ours: Sequence[float]) -> float:
    """Largest ``|d|`` that is consistent with the published number."""
    known = _known(published)
    std, runs = known or (statistics.stdev(ours), len(ours))
    return _quantile(1 - LEVEL / 2, runs - 1) * std * _per_run(published, ours)


def _per_run(published: Published, ours: Sequence[float]) -> float:
    return math.sqrt(1 / (published.runs or 1) + 1 / len(ours))


def _welch(published: Published, ours: Sequence[float]) -> tuple[float, float]:
    """Standard error of ``d`` and its degrees of freedom."""
    known = _known(published)
    if known is None:
        return statistics.stdev(ours) * _per_run(published, ours), len(ours) - 1
    return _welch_of((known[0] ** 2, known[1]), (statistics.variance(ours), len(ours)))


def _welch_of(*groups: tuple[float, int]) -> tuple[float, float]:
    """From variance and number of runs of two groups: Welch (1947), Satterthwaite (1946)."""
    parts = [variance / runs for variance, runs in groups]
    total = sum(parts)
    if total == 0.0:
        return 0.0, min(runs for _, runs in groups) - 1
    below = sum(part**2 / (runs - 1) for part, (_, runs) in zip(parts, groups, strict=True))
    return math.sqrt(total), total**2 / below


def _equal_within(margin: float, difference: float, error: float, freedom: float) -> bool:
    """Two one-sided tests (Schuirmann 1987)."""
    return abs(difference) + _quantile(1 - LEVEL, freedom) * error <= margin


def _spread_differs(published: Published, ours: Sequence[float]) -> bool | None:
    known = _known(published)
    if known is None:
        return None
    variance, other = statistics.variance(ours), known[0] ** 2
    if variance == 0.0 or other == 0.0:
        return variance != other
    below = float(special.fdtr(len(ours) - 1, known[1] - 1, variance / other))
    return 2 * min(below, 1 - below) <= LEVEL


def _quantile(probability: float, freedom: float) -> float:
    """Of Student's t."""
    return float(special.stdtrit(freedom, probability))
