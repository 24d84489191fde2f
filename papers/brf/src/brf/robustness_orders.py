"""Which neuron stands a perturbation better, judged between networks of our own trainings."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from brf.perturbations import LEVELS
from brf.robustness_figure import TITLES
from brf.scoring import Row
from core.records.rule import compare, judge_orders

CLAIMED = ("brf", "rf")
"""The paper says that the first loses less than the second."""


def points_lost(rows: Sequence[Row], study: str) -> float:
    """Mean accuracy that one network loses over the levels of a study, in points.

    Measured from the level that changes nothing (or least, of rounding), draws of a level averaged.
    """
    by_level: dict[float, list[float]] = {}
    for row in rows:
        if row["study"] == study:
            by_level.setdefault(row["level"], []).append(row["accuracy"])
    means = {level: statistics.fmean(found) for level, found in by_level.items()}
    rest = LEVELS[study][-1 if study == "bit_precision" else 0]
    return means.pop(rest) - statistics.fmean(means.values())


def orders(networks: Mapping[str, Sequence[Sequence[Row]]]) -> list[str]:
    """A sentence for each study: points lost by either kind of network, and the verdict.

    The test is that of all claims of order (:func:`core.records.rule.compare`), corrected for the
    number of studies; nothing is said with fewer than three networks of a kind.

    Args:
        networks: By neuron, the rows of each network.
    """
    if any(len(networks.get(neuron, ())) < 3 for neuron in CLAIMED):
        return []
    found = {
        study: [[points_lost(rows, study) for rows in networks[neuron]] for neuron in CLAIMED]
        for study in LEVELS
    }
    tests = [compare(lower, higher) for lower, higher in found.values()]
    sentences = []
    verdicts = judge_orders(tests)
    for (study, groups), test, verdict in zip(found.items(), tests, verdicts, strict=True):
        first, second = (
            f"{neuron.upper()} {statistics.fmean(group):.1f} ± {statistics.stdev(group):.1f}"
            for neuron, group in zip(CLAIMED, groups, strict=True)
        )
        p = "" if test is None else f" (p {test.p_holds:.2g})"
        sentences.append(
            f"{TITLES[study][0]}: {first} points lost, {second}; that {CLAIMED[0].upper()} loses "
            f"less: {verdict}{p}"
        )
    return sentences
