"""Claims of order ("A needs fewer epochs than B"), judged between two groups of our own runs.

They stand in ``claims.yaml`` beside the numbers::

    orders:
    - {id: order-ecg-spikes, source: Table 1, sentence: BRF spikes less than RF, task: ecg,
       metric: sop, selection: min_validation_loss, lower: configs/ecg_brf.yaml,
       higher: configs/ecg_rf.yaml, main: true}

The fields are those of :class:`OrderClaim`. Which runs count and what is measured in them says
:mod:`core.records.measure`, the test is :func:`core.records.rule.compare`; its error rate holds for
the main claims of a paper together, and for its other claims together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.outside.shape import CONFIG_FILE, NAME
from core.outside.text import shown
from core.records.claims import (
    METRICS,
    OUR_SEEDS,
    SELECTIONS,
    Task,
    check_metric,
    read_claims_file,
    read_seeds,
    read_tasks,
    require_fields,
)
from core.records.measure import Group, Quantity, group, runs_of
from core.records.rule import Order, compare, judge_orders
from core.records.store import Record

_ORDER: dict[str, Any] = {
    "id": NAME,
    **dict.fromkeys(("source", "sentence", "task"), str),
    "metric": {*METRICS},
    "selection?": ({*SELECTIONS}, None),
    **dict.fromkeys(("lower?", "higher?"), (CONFIG_FILE, None)),
    "our_seeds?": object,
    "main?": bool,
    "reason?": (str, None),
}
ORDER_VERDICTS = ("holds", "does not hold", "undecided", "too few runs", "not run")


@dataclass(frozen=True, kw_only=True)
class OrderClaim:
    """A published conclusion: one network has lower values than another."""

    id: str
    source: str
    sentence: str
    """The conclusion, as short as it can be said."""
    task: Task
    metric: str
    lower: str | None = None
    """Configuration of the network with the lower values; None where there is a ``reason``."""
    higher: str | None = None
    """Configuration of the other network."""
    selection: str | None = None
    """Epoch of a run that counts."""
    our_seeds: tuple[int, ...] = OUR_SEEDS
    main: bool = False
    """A conclusion of the abstract or of the first table."""
    reason: str | None = None
    """Why there are no runs."""


@dataclass(frozen=True)
class OrderRow:
    """One claim of order beside what our runs say about it.

    Attributes:
        claim: The claim.
        verdict: One of :data:`ORDER_VERDICTS`.
        lower: Our runs of the network that is claimed to have the lower values.
        higher: Those of the other.
        order: The test; None where a group is too small.
        reason: Why there is no test.
    """

    claim: OrderClaim
    verdict: str
    lower: Group | None = None
    higher: Group | None = None
    order: Order | None = None
    reason: str | None = None

    @property
    def remarks(self) -> list[str]:
        """What limits the comparison."""
        found = []
        for config, ours in ((self.claim.lower, self.lower), (self.claim.higher, self.higher)):
            if ours is not None:
                name = Path(str(config)).stem
                found += [f"{name} {remark}" for remark in (*ours.died, *ours.notes)]
        if any(ours is not None and ours.selected_on_test for ours in (self.lower, self.higher)):
            found.insert(0, "selected on test")
        return [*found, *([self.reason] if self.reason else [])]

    def as_dict(self) -> dict[str, Any]:
        """All fields in one flat mapping that JSON can hold."""
        claim, order = self.claim, self.order
        values = [list(g.values) if g else [] for g in (self.lower, self.higher)]
        return {
            **{"claim": claim.id, "kind": "order", "source": claim.source},
            **{"sentence": claim.sentence, "task": claim.task.name, "metric": claim.metric},
            **{"selection": claim.selection, "lower": claim.lower, "higher": claim.higher},
            **{"lower_values": values[0], "higher_values": values[1]},
            "p": None if order is None else order.p_holds,
            "pairs": None if order is None else order.pairs,
            **{"verdict": self.verdict, "main": claim.main, "remarks": self.remarks},
        }


def load_orders(path: Path) -> list[OrderClaim]:
    """Read the claims of order of a ``claims.yaml``.

    Raises:
        UserError: the file is missing or wrong; names the entry and the field.
    """
    content = read_claims_file(path)
    tasks = read_tasks(content, path)
    seeds = content.get("our_seeds", list(OUR_SEEDS))
    claims: dict[str, OrderClaim] = {}
    for number, entry in enumerate(content.get("orders") or [], start=1):
        require_fields(entry, _ORDER, f"{path}: entry {number} of orders")
        where = f"{path}: order {entry['id']!r}"
        if entry["task"] not in tasks:
            raise UserError(
                f"{where}: field 'task' is {shown(entry['task'])}, not in {', '.join(tasks)}"
            )
        task = tasks[entry["task"]]
        own = read_seeds(entry.get("our_seeds", seeds), where)
        claim = OrderClaim(**{**entry, "task": task, "our_seeds": own})
        check_metric(claim.metric, claim.selection, where)
        if not ((claim.lower and claim.higher) or claim.reason or task.absent):
            raise UserError(f"{where}: needs lower and higher, or a reason why there are no runs")
        if claim.id in claims:
            raise UserError(f"{path}: two orders have the id {claim.id!r}; rename one")
        claims[claim.id] = claim
    return list(claims.values())


def order_table(claims: Sequence[OrderClaim], records: Sequence[Record]) -> list[OrderRow]:
    """Give every claim of order its row, in the order of the claims."""
    rows = {claim.id: _untested(claim, records) for claim in claims}
    for main in (True, False):
        family = [r for r in rows.values() if r.claim.main == main and r.order is not None]
        verdicts = judge_orders([row.order for row in family])
        for row, verdict in zip(family, verdicts, strict=True):
            rows[row.claim.id] = OrderRow(row.claim, verdict, row.lower, row.higher, row.order)
    return list(rows.values())


def _untested(claim: OrderClaim, records: Sequence[Record]) -> OrderRow:
    """The row before its claim is judged together with the others of its family."""
    if claim.task.absent or not (claim.lower and claim.higher):
        return OrderRow(claim, "not run", reason=claim.task.absent or claim.reason)
    quantity = Quantity(claim.metric, claim.selection, claim.task.steps, claim.task.chance)
    groups, missing = [], []
    for config in (claim.lower, claim.higher):
        runs = runs_of(config, claim.task.data, claim.our_seeds, records)
        ours = group(runs, quantity)
        groups.append(ours if ours.values else None)
        missing += [] if ours.values else [Path(config).stem]
    lower, higher = groups
    if lower is None or higher is None:
        reason = claim.reason or f"no finished run of {', '.join(missing)} yet"
        return OrderRow(claim, "not run", lower, higher, reason=reason)
    return OrderRow(
        claim, "too few runs", lower, higher, order=compare(lower.values, higher.values)
    )
