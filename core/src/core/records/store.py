"""``results/`` of a paper: one line per recorded run or evaluation, one CSV per learning curve.

Only this module writes there. A line is added or replaced under a lock, by renaming a complete
new file over the old one: two processes may record at once and a crash leaves the old results.
"""

from __future__ import annotations

import csv
import fnmatch
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.files import write_text_atomically
from core.outside.shape import check, inside
from core.outside.text import finite, read_text, reason
from core.records.changes import changes, refuse_trial, refuse_trial_data
from core.records.lines import EVALUATION, dump_lines, read_lines
from core.records.runs import build_line, read_metrics
from core.training.run_facts import METRICS


@dataclass(frozen=True)
class Record:
    """A recorded run, evaluation of a checkpoint, or count of parameters."""

    fields: Mapping[str, Any]
    """The line of ``runs.jsonl``."""
    curve: Sequence[Mapping[str, float | None]] = ()
    """Metric rows of a training run, in epoch order."""
    changes: Sequence[str] = ()
    """Settings in which the run differs from its configuration file as it is today."""

    @property
    def id(self) -> str:
        """Name of the record, unique within its paper."""
        return str(self.fields["id"])

    @property
    def kind(self) -> str:
        """``train``, ``evaluate`` or ``count``."""
        return str(self.fields["kind"])

    @property
    def status(self) -> str:
        """``finished``, ``partial`` (it can go on) or ``failed`` (it cannot)."""
        return str(self.fields["status"])

    @property
    def superseded(self) -> str | None:
        """The later change of the code that made the same command give other numbers."""
        reason = self.fields.get("superseded")
        return None if reason is None else str(reason)


def load_records(paper_folder: Path) -> list[Record]:
    """Read all records of a paper, in the order they were first recorded.

    Raises:
        UserError: a line or a curve cannot be read; names it.
    """
    return [_record(line, paper_folder) for line in read_lines(_runs_file(paper_folder))]


def record_run(
    run_folder: Path, paper_folder: Path, *, replace: bool = False, trial: bool = False
) -> Record:
    """Record what a run wrote: a line of ``runs.jsonl`` and ``curves/<record id>.csv``.

    The id is ``<config>-seed<seed>-<hash>``. Recording a run again replaces its line, so a partial
    run that went on is there once. A result that would get lost by that is refused.

    Args:
        run_folder: folder of the run; nothing in it is changed.
        paper_folder: folder of the paper, ``papers/<paper>``.
        replace: give up the earlier result of the same id even if it was another run or longer.
        trial: record it even if it is a trial, see :func:`core.records.changes.refuse_trial`.

    Raises:
        UserError: the run cannot be recorded, or would silently displace another result.
    """
    line = build_line(run_folder, paper_folder.name)
    if not trial:
        refuse_trial(line, paper_folder)
    rows = read_metrics(run_folder, line["status"])
    with _locked(paper_folder):
        lines = read_lines(_runs_file(paper_folder))
        earlier = next((old for old in lines if old["id"] == line["id"]), None)
        if earlier and not replace:
            _refuse_loss(earlier, line)
        # The curve first: a crash in between leaves a line that a second attempt completes.
        _write(_curve_file(paper_folder, line["id"]), _as_csv(rows))
        _write_lines(_runs_file(paper_folder), _put(lines, line))
    return _record(line, paper_folder)


def record_evaluation(
    paper_folder: Path, evaluation: Mapping[str, Any], *, trial: bool = False
) -> Record:
    """Record the evaluation of a checkpoint on a test set; evaluating it again replaces the line.

    Args:
        paper_folder: folder of the paper, ``papers/<paper>``.
        evaluation: the fields of :data:`~core.records.lines.EVALUATION` and more where useful:
            ``checkpoint`` (name of the weights) and their ``sha256``, ``accuracy`` in percent,
            ``loss``, ``sop`` in spikes per sample, ``data`` with ``name`` and ``digest``.
        trial: record it even if it was done on embedded data.

    Raises:
        UserError: a field is missing, or the data are embedded.
    """
    given = {key: finite(value) for key, value in evaluation.items()}
    check(given, EVALUATION, "an evaluation to record", "record one that says all of it")
    if not trial:
        refuse_trial_data(evaluation)
    name = f"{evaluation['checkpoint']}-{evaluation['data']['name']}-{evaluation['sha256'][:8]}"
    line = {"id": name, "kind": "evaluate", "status": "finished", **given}
    with _locked(paper_folder):
        runs = _runs_file(paper_folder)
        _write_lines(runs, _put(read_lines(runs), line))
    return _record(line, paper_folder)


def record_counts(
    paper_folder: Path, counts: Mapping[str, int], about: Mapping[str, Any]
) -> Record:
    """Record how many parameters the networks of claims have; counting again replaces the line.

    Args:
        paper_folder: folder of the paper, ``papers/<paper>``.
        counts: number of trainable values by the id of the claim.
        about: how it was counted: ``command``, ``commit``, ``versions`` and more where useful.
    """
    line = {"id": "parameters", "kind": "count", "status": "finished", **about, "counts": counts}
    with _locked(paper_folder):
        runs = _runs_file(paper_folder)
        _write_lines(runs, _put(read_lines(runs), line))
    return Record(line)


def supersede(paper_folder: Path, pattern: str, reason: str) -> list[str]:
    """Mark recorded runs whose command gives other numbers since a change of the code.

    The mark stands in every table that shows them, and goes when the run is recorded anew.

    Args:
        paper_folder: folder of the paper, ``papers/<paper>``.
        pattern: ids of the runs, with ``*`` for any characters.
        reason: what was changed.

    Returns:
        The ids of the marked runs.

    Raises:
        UserError: no run has such an id.
    """
    marked = []
    with _locked(paper_folder):
        lines = read_lines(_runs_file(paper_folder))
        for line in lines:
            if line["kind"] == "train" and fnmatch.fnmatchcase(line["id"], pattern):
                line["superseded"] = reason
                marked.append(str(line["id"]))
        if not marked:
            raise UserError(f"no run in {_runs_file(paper_folder)} has an id like {pattern!r}")
        _write_lines(_runs_file(paper_folder), lines)
    return marked


def _refuse_loss(earlier: Mapping[str, Any], line: Mapping[str, Any]) -> None:
    """Allow a line to be replaced only by the same run, as far or further on."""
    what = None
    # Two files of the same weights differ in the date and the commit that they hold, too.
    key = "weights" if earlier.get("weights") else "sha256"
    differs = earlier[key] != line[key] and not earlier.get("superseded")
    if earlier["status"] == "finished" and differs:
        what = "a finished run with other weights"
    elif line["epochs_done"] < earlier["epochs_done"]:
        what = f"a run of {earlier['epochs_done']} epochs, this one has {line['epochs_done']}"
    if what:
        raise UserError(
            f"{line['id']} is already recorded: {what} (started {earlier['started']}, "
            f"commit {earlier['commit']}). To give that result up, add --replace."
        )


def _record(line: Mapping[str, Any], paper_folder: Path) -> Record:
    if line["kind"] != "train":
        return Record(line)
    curve = _read_curve(_curve_file(paper_folder, line["id"]))
    return Record(line, curve, changes(line, paper_folder))


def _runs_file(paper_folder: Path) -> Path:
    return paper_folder / "results" / "runs.jsonl"


def _curve_file(paper_folder: Path, record_id: str) -> Path:
    return inside(paper_folder / "results" / "curves", f"{record_id}.csv")


def _put(lines: Sequence[dict[str, Any]], line: dict[str, Any]) -> list[dict[str, Any]]:
    """Replace the line with the same id where it stands, or append."""
    if any(old["id"] == line["id"] for old in lines):
        return [line if old["id"] == line["id"] else old for old in lines]
    return [*lines, line]


def _write_lines(path: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    _write(path, dump_lines(lines))


def _as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    names = (key.removesuffix("?") for key in METRICS)
    keys = [key for key in names if any(key in row for row in rows)]
    keys += dict.fromkeys(key for row in rows for key in row if key not in keys)
    writer.writerow(keys)
    for row in rows:
        values = [row.get(key) for key in keys]
        # Seven digits are all a float32 metric has.
        writer.writerow(["" if v is None else f"{v:.7g}" for v in values])
    return buffer.getvalue()


def _read_curve(path: Path) -> list[dict[str, float | None]]:
    text = read_text(path, missing="record its run again")
    try:
        rows = [
            {key: finite(float(value)) if value else None for key, value in row.items()}
            for row in csv.DictReader(io.StringIO(text, newline=""))
        ]
    except (csv.Error, ValueError, TypeError) as error:
        raise UserError(f"{path} cannot be read ({reason(error)}); record its run again") from None
    curve: list[dict[str, float | None]] = check(
        rows, [{**METRICS, "epoch": float}], str(path), "record its run again"
    )
    return curve


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomically(path, text)


@contextmanager
def _locked(paper_folder: Path) -> Iterator[None]:
    from filelock import FileLock

    results = paper_folder / "results"
    results.mkdir(parents=True, exist_ok=True)
    with FileLock(results / ".lock"):
        yield
