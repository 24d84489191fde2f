"""Compares the claims of a paper with its records.

==========  ====================  ==================================================================
kind        about                 verdict
==========  ====================  ==================================================================
exact       parameters, sizes     reproduced within the claim's tolerance, else lower or higher
weights     published weights,    the same; a record counts when it evaluated the claim's
            evaluated             checkpoint on the whole of the claim's test set
training    runs of our own       :mod:`core.records.rule`, the margin being the claim's tolerance;
                                  which runs count says :mod:`core.records.measure`
order       two groups of runs    :mod:`core.records.orders`
==========  ====================  ==================================================================

The kinds are counted apart, and apart from numbers that were computed with the authors' code and
never published (``evidence: computed``). Where nothing is judged, the verdict says why:

==============  ===============================================================================
too few runs    fewer than three runs of ours
other data      run on the stand-in of the task's data set: shown, not judged
partial         only unfinished runs
not comparable  run, but the number depends on the machine (``hours``)
not run         no record counts; the reason says why
==============  ===============================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.records.claims import Claim
from core.records.measure import Group, Quantity, group, is_run_of, measure, runs_of
from core.records.rule import Published, judge
from core.records.store import Record

JUDGED = ("reproduced", "consistent", "lower", "higher")
VERDICTS = (*JUDGED, "too few runs", "other data", "partial", "not comparable", "not run")


@dataclass(frozen=True)
class Row:
    """One claim beside what our runs say about it."""

    claim: Claim
    verdict: str
    """One of :data:`VERDICTS`."""
    ours_mean: float | None = None
    """Mean over the runs that count."""
    ours_std: float | None = None
    """Standard deviation (n-1) over them; None for a single run."""
    n: int = 0
    """Number of runs that count."""
    difference: float | None = None
    """Ours minus published; None where the two are not compared."""
    interval: tuple[float, float] | None = None
    """95 % Welch interval of the difference."""
    died: tuple[str, ...] = ()
    """Each run that died, and how."""
    flags: tuple[str, ...] = ()
    """What limits the comparison: ``selected on test``, ``spread differs``, and single runs."""
    reason: str | None = None
    """Why the verdict is not a comparison, or what to know about it."""

    def as_dict(self) -> dict[str, Any]:
        """All fields in one flat mapping that JSON can hold."""
        claim = self.claim
        return {
            "claim": claim.id,
            "kind": claim.kind,
            "source": claim.source,
            "task": claim.task.name,
            "model": claim.model,
            "metric": claim.metric,
            "selection": claim.selection,
            "published": claim.value,
            "spread": claim.spread,
            "seeds": claim.seeds,
            "tolerance": claim.tolerance,
            "ours_mean": self.ours_mean,
            "ours_std": self.ours_std,
            "n": self.n,
            "difference": self.difference,
            "interval": self.interval,
            "verdict": self.verdict,
            "died": self.died,
            "flags": self.flags,
            "reason": self.reason,
            "evidence": claim.evidence,
            "config": claim.config,
            "checkpoint": claim.checkpoint,
            "network": claim.network,
        }


def table(claims: Sequence[Claim], records: Sequence[Record]) -> list[Row]:
    """Give every claim its row, in the order of the claims."""
    return [_row(claim, records) for claim in claims]


def _row(claim: Claim, records: Sequence[Record]) -> Row:
    if claim.network is not None:
        return _counted(claim, records)
    if claim.checkpoint is not None:
        return _evaluated(claim, records)
    if claim.config is None:
        return Row(claim, "not run", reason=_why(claim, []))
    if claim.kind == "exact":
        return _built(claim, claim.config, records)
    return _trained(claim, claim.config, records)


def _counted(claim: Claim, records: Sequence[Record]) -> Row:
    """The parameters of a network, of which there is one record for all claims."""
    counts = [record.fields["counts"] for record in records if record.kind == "count"]
    found = [float(by_claim[claim.id]) for by_claim in counts if claim.id in by_claim]
    if not found:
        return Row(claim, "not run", reason="not counted yet")
    return _exact(claim, found[:1])


def _built(claim: Claim, config: str, records: Sequence[Record]) -> Row:
    """The parameters that any run of a configuration shows, whatever became of it."""
    about = [r for r in records if is_run_of(config, claim.task.data, r)]
    values = [_measured(claim, record) for record in about if not record.changes]
    return _exact(claim, values) if values else Row(claim, "not run", reason=_why(claim, about))


def _evaluated(claim: Claim, records: Sequence[Record]) -> Row:
    """The row of published weights: tested on the claim's data, else on its stand-in."""
    tests = [
        record
        for record in records
        if record.kind == "evaluate"
        and record.fields["checkpoint"] == claim.checkpoint
        and record.fields.get("samples") == claim.task.samples
    ]

    def on(data: str | None) -> list[float | None]:
        return [_measured(claim, test) for test in tests if test.fields["data"]["name"] == data]

    if values := on(claim.task.data):
        return _exact(claim, values)
    if claim.task.stand_in and (values := on(claim.task.stand_in)):
        return _on_other_data(_exact(claim, values), [])
    return Row(claim, "not run", reason=_why(claim, []))


def _exact(claim: Claim, found: Sequence[float | None]) -> Row:
    """A number without chance in it, so that one value says all."""
    values = [value for value in found if value is not None]
    if not values:
        return Row(claim, "not run", reason=f"the records do not hold {claim.metric}")
    furthest = max(values, key=lambda value: abs(value - claim.value))
    difference = furthest - claim.value
    # Published values are decimal fractions: their binary rounding must not decide.
    if abs(difference) - 1e-9 * max(1.0, abs(claim.value)) <= claim.tolerance:
        verdict = "reproduced"
    else:
        verdict = "lower" if difference < 0 else "higher"
    return Row(claim, verdict, furthest, None, len(values), difference, reason=claim.note)


def _trained(claim: Claim, config: str, records: Sequence[Record]) -> Row:
    """The row of a training: of runs on the claim's data, else on its stand-in."""
    on_its_data = [r for r in records if is_run_of(config, claim.task.data, r)]
    if on_its_data or not claim.task.stand_in:
        return _compared(claim, config, claim.task.data, on_its_data)
    on_stand_in = [r for r in records if is_run_of(config, claim.task.stand_in, r)]
    if not on_stand_in:
        return _compared(claim, config, claim.task.data, [])
    row = _compared(claim, config, claim.task.stand_in, on_stand_in)
    return _on_other_data(row, on_stand_in)


def _on_other_data(row: Row, about: Sequence[Record]) -> Row:
    """A row of runs on the stand-in: what they gave, without a verdict on the published number."""
    where = f"on {row.claim.task.stand_in}"
    if not row.n:
        return replace(row, reason=f"{where}: {row.reason}")
    settings = [record.fields.get("config", {}) for record in about if not record.changes]
    protocols = sorted({str(s["protocol"]) for s in settings if "protocol" in s})
    where += f", protocol {', '.join(protocols)}" if protocols else ""
    flags = tuple(flag for flag in row.flags if flag != "spread differs")
    return replace(
        row,
        verdict="other data",
        difference=None,
        interval=None,
        flags=flags,
        reason="; ".join(filter(None, [f"ours {where}", row.claim.note])),
    )


def _compared(claim: Claim, config: str, data: str | None, about: Sequence[Record]) -> Row:
    """The row that runs of the claim's configuration give."""
    runs = runs_of(config, data, claim.our_seeds, about)
    if not runs:
        return Row(claim, "not run", reason=_why(claim, about))
    ours = group(runs, _quantity(claim), may_die=claim.diverges)
    if not ours.ended:
        longest = max(runs, key=lambda record: int(record.fields["epochs_done"]))
        return Row(claim, "partial", reason=_progress(claim, longest))
    if not ours.values:
        reason = "; ".join([f"the records do not hold {claim.metric}", *ours.died])
        return Row(claim, "not run", reason=reason)
    if claim.metric == "hours":
        machines = sorted({str(record.fields["device_name"]) for record in ours.ended})
        reason = "; ".join(filter(None, [f"ours on {', '.join(machines)}", claim.note]))
        return Row(claim, "not comparable", ours.mean, ours.std, len(ours.values), reason=reason)
    return _judged(claim, ours)


def _judged(claim: Claim, ours: Group) -> Row:
    published = Published(claim.value, claim.spread, claim.seeds)
    judgement = judge(published, ours.values, margin=claim.tolerance, died=bool(ours.died))
    flags = [
        *(["selected on test"] if ours.selected_on_test else []),
        *(["spread differs"] if judgement.spread_differs else []),
        *ours.notes,
    ]
    return Row(
        claim,
        judgement.verdict,
        ours.mean,
        ours.std,
        len(ours.values),
        judgement.difference,
        judgement.interval,
        tuple(ours.died),
        tuple(flags),
        claim.note,
    )


def _quantity(claim: Claim) -> Quantity:
    return Quantity(claim.metric, claim.selection, claim.task.steps, claim.task.chance)


def _measured(claim: Claim, record: Record) -> float | None:
    return measure(record, _quantity(claim))


def _why(claim: Claim, about: Sequence[Record]) -> str:
    """Why nothing counts, of the runs that are about a claim."""
    if claim.task.absent:
        return claim.task.absent
    if changed := sorted({setting for record in about for setting in record.changes}):
        return f"recorded runs differ from {claim.config} in {', '.join(changed)}"
    if others := sorted({int(record.fields["seed"]) for record in about}):
        return f"recorded runs have other seeds than declared ({', '.join(map(str, others))})"
    if claim.reason:
        return claim.reason
    what = "run" if claim.config else "evaluation"
    return "; ".join(filter(None, [f"no recorded {what} yet", claim.note]))


def _progress(claim: Claim, record: Record) -> str:
    """How far an unfinished run got, beside the published curve where one is known."""
    fields = record.fields
    done, value = int(fields["last"]["epoch"]), fields["last"].get(claim.metric)
    text = f"epoch {done} of {fields['epochs_planned']}"
    if value is None or claim.metric not in ("test_accuracy", "sop"):
        return text
    text += f": {value:.2f} %" if claim.metric == "test_accuracy" else f": {value:.0f}"
    known = [epoch for epoch in claim.published_curve if epoch <= done]
    if not known:
        return text
    epoch = max(known)
    ours = next((row["test_accuracy"] for row in record.curve if row["epoch"] == epoch), None)
    here = "" if ours is None or epoch == done else f", ours {ours:.2f} %"
    return f"{text}; published at epoch {epoch}: {claim.published_curve[epoch]:.2f} %{here}"
