"""Compares the claims of a paper with its records.

A record counts for a training claim when it is a run of the claim's configuration, unchanged but
for the seed, on the claim's data set; for an evaluation claim when it evaluated the claim's
checkpoint on the whole of the claim's test set; for a claim about a network when it counted the
parameters of that claim. Then

==================  ===========================================================================
verdict             when
==================  ===========================================================================
reproduced          mean of our finished runs within one published standard deviation of the
                    published value; within the tolerance where no deviation is published
within tolerance    further than one deviation, but within the tolerance of the claim
not reproduced      further than the tolerance, in either direction
other data          run on the stand-in of the task's data set: shown, not judged
partial             only unfinished runs, or failed ones where the published runs did not fail
not comparable      run, but the number depends on the machine (``hours``)
not run             no record counts; the reason says why
==================  ===========================================================================

What is measured in a run, at the epoch its claim selects (``min_validation_loss``,
``max_validation_accuracy``, ``last`` or ``max_test``; epoch 0 is the untrained network):

- ``test_accuracy`` (%), ``test_loss``, ``sop`` (spikes per test sample), ``sop_per_step``
  (``sop`` divided by all time steps of a sample), ``parameters`` (any run shows these);
- ``epochs_to_95/98/100``: the first epoch whose test accuracy is at least that percentage of the
  test accuracy at the epoch of least validation loss;
- ``hours``: seconds per epoch times epochs done.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.records.claims import Claim
from core.records.runs import selected
from core.records.store import Record
from core.training.selection import Selects

VERDICTS = (
    "reproduced",
    "within tolerance",
    "not reproduced",
    "other data",
    "partial",
    "not comparable",
    "not run",
)
_SELECTS: dict[str, Selects] = {
    "min_validation_loss": "val_loss",
    "max_validation_accuracy": "val_accuracy",
}


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
    reason: str | None = None
    """Why the verdict is not a comparison, or what to know about it."""

    def as_dict(self) -> dict[str, Any]:
        """All fields in one flat mapping that JSON can hold."""
        claim = self.claim
        return {
            "claim": claim.id,
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
            "verdict": self.verdict,
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
    on_its_data = [record for record in records if _is_about(claim, record, claim.task.data)]
    if not on_its_data and claim.task.stand_in:
        on_stand_in = [r for r in records if _is_about(claim, r, claim.task.stand_in)]
        if on_stand_in:
            return _on_other_data(_compared(claim, on_stand_in), on_stand_in)
    return _compared(claim, on_its_data)


def _counted(claim: Claim, records: Sequence[Record]) -> Row:
    """The parameters of a network, of which there is one record for all claims."""
    counts = [record.fields["counts"] for record in records if record.kind == "count"]
    found = [float(by_claim[claim.id]) for by_claim in counts if claim.id in by_claim]
    if not found:
        return Row(claim, "not run", reason="not counted yet")
    return Row(claim, _verdict(claim, found[0]), found[0], n=1, reason=claim.note)


def _on_other_data(row: Row, about: Sequence[Record]) -> Row:
    """A row of runs on the stand-in: what they gave, without a verdict on the published number."""
    where = f"on {row.claim.task.stand_in}"
    if not row.n:
        return replace(row, reason=f"{where}: {row.reason}")
    settings = [record.fields.get("config", {}) for record in about if not record.changes]
    protocols = sorted({str(s["protocol"]) for s in settings if "protocol" in s})
    where += f", protocol {', '.join(protocols)}" if protocols else ""
    reason = "; ".join(filter(None, [f"ours {where}", row.claim.note]))
    return replace(row, verdict="other data", reason=reason)


def _compared(claim: Claim, about: Sequence[Record]) -> Row:
    """The row that records about a claim give."""
    counting = [record for record in about if not record.changes]
    if not counting:
        return Row(claim, "not run", reason=_why_not_run(claim, about))
    ended = ("finished", "failed") if claim.diverges else ("finished",)
    done = [r for r in counting if r.status in ended or claim.metric == "parameters"]
    if not done:
        longest = max(counting, key=lambda record: int(record.fields["epochs_done"]))
        return Row(claim, "partial", reason=_progress(claim, longest))
    values = [value for record in done if (value := _measure(claim, record)) is not None]
    if not values:
        return Row(claim, "not run", reason=f"the records do not hold {claim.metric}")
    mean = statistics.fmean(values)
    std = statistics.stdev(values) if len(values) > 1 else None
    verdict, reason = _verdict(claim, mean), claim.note
    if verdict == "not comparable":
        machines = sorted({str(record.fields["device_name"]) for record in done})
        reason = "; ".join(filter(None, [f"ours on {', '.join(machines)}", claim.note]))
    return Row(claim, verdict, mean, std, len(values), reason)


def _is_about(claim: Claim, record: Record, data: str | None) -> bool:
    fields = record.fields
    if record.kind == "count" or fields["data"]["name"] != data:
        return False
    if claim.checkpoint:
        whole = fields.get("samples") == claim.task.samples
        return record.kind == "evaluate" and fields["checkpoint"] == claim.checkpoint and whole
    return record.kind == "train" and claim.config == fields["config_file"] is not None


def _why_not_run(claim: Claim, changed: Sequence[Record]) -> str:
    if claim.task.absent:
        return claim.task.absent
    if changed:
        others = sorted({setting for record in changed for setting in record.changes})
        return f"recorded runs differ from {claim.config} in {', '.join(others)}"
    if claim.reason:
        return claim.reason
    what = "run" if claim.config else "evaluation"
    return "; ".join(filter(None, [f"no recorded {what} yet", claim.note]))


def _verdict(claim: Claim, mean: float) -> str:
    if claim.metric == "hours":
        return "not comparable"
    # Published values are decimal fractions: do not let their binary rounding decide.
    difference = abs(mean - claim.value) - 1e-9 * max(1.0, abs(claim.value))
    if claim.spread is not None and difference > claim.spread:
        return "within tolerance" if difference <= claim.tolerance else "not reproduced"
    if claim.spread is None and difference > claim.tolerance:
        return "not reproduced"
    return "reproduced"


def _measure(claim: Claim, record: Record) -> float | None:
    """The claim's metric in a record; None when the record does not hold it."""
    fields = record.fields
    if claim.metric == "parameters":
        return _number(fields.get("parameters"))
    if claim.metric == "hours":
        seconds = _number(fields["seconds_per_epoch"])
        return None if seconds is None else seconds * fields["epochs_done"] / 3600
    if claim.metric.startswith("epochs_to_"):
        return _epochs_to(int(claim.metric.removeprefix("epochs_to_")) / 100, record)
    if record.kind == "evaluate":
        row = {"test_accuracy": fields["accuracy"], "test_loss": fields["loss"], **fields}
    else:
        row = dict(_selected(str(claim.selection), record) or {})
    if claim.metric == "sop_per_step":
        sop = _number(row.get("sop"))
        return None if sop is None or not claim.task.steps else sop / claim.task.steps
    return _number(row.get(claim.metric))


def _selected(selection: str, record: Record) -> Mapping[str, Any] | None:
    """The metrics of the epoch that a claim selects, whatever the run itself selected."""
    if selection not in _SELECTS:
        row: Mapping[str, Any] | None = record.fields[selection]
        return row
    if record.fields.get("selects", "val_loss") == _SELECTS[selection]:
        best: Mapping[str, Any] | None = record.fields["best"]
        return best
    return selected(record.curve, _SELECTS[selection])


def _epochs_to(share: float, record: Record) -> float | None:
    best = record.fields["best"]
    if not best or best["test_accuracy"] is None:
        return None
    goal = share * best["test_accuracy"]
    # The curve keeps seven digits; 1e-4 of a percent point is far below one test sample.
    reached = (
        row["epoch"]
        for row in record.curve
        if row["test_accuracy"] is not None and row["test_accuracy"] >= goal - 1e-4
    )
    return next(reached, None)


def _progress(claim: Claim, record: Record) -> str:
    """How far an unfinished run got, beside the published curve where one is known."""
    fields = record.fields
    done, value = int(fields["last"]["epoch"]), fields["last"].get(claim.metric)
    text = f"{'failed at ' if record.status == 'failed' else ''}epoch {done}"
    text += f" of {fields['epochs_planned']}"
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


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None
