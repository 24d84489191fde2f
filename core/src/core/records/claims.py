"""The published numbers of a paper, read from its ``claims.yaml``.

The file has four parts, and claims of order in a fifth (:mod:`core.records.orders`)::

    tasks:                        # what a number is about
      ecg: {title: ECG, data: qtdb, steps: 1300, samples: 141, chance: 30.5}
      shd: {title: SHD, absent: the task is not part of this package yet}
    curves:                       # optional: published learning curves, by configuration
    - {config: configs/ecg_brf.yaml, source: authors' logs, test_accuracy: {0: 23.6, 1: 50.7}}
    our_seeds: 0-4                # which of our runs count, all of them, failed ones too
    claims:                       # groups; a row inherits every field of its group
    - source: Table 1
      metric: test_accuracy
      selection: min_validation_loss
      rows:
      - {id: ecg-brf, task: ecg, model: BRF, value: 85.8, spread: 0.7, seeds: 5, tolerance: 1.4,
         config: configs/ecg_brf.yaml}

The fields of a row are those of :class:`Claim`. A ``tolerance`` is a number in the metric's unit
or a share of the value such as ``5 %``, declared before the first run; left out, it is two
published standard deviations, at least 0.5 points, for an accuracy, and zero for an exact number.
A claim about the size of a network may name the network
itself, in settings of the paper, instead of a run::

    - {id: parameters-lif, task: shd, model: LIF, metric: parameters, value: 109372, tolerance: 0,
       network: {model_type: LIF, nb_hiddens: 128}}
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from core.errors import UserError

OUR_SEEDS = (0, 1, 2, 3, 4)
"""Which of our runs count where a file does not declare it."""
EXACT_METRICS = ("parameters", "samples")
KINDS = ("exact", "weights", "training")
"""What a number is about; see :mod:`core.records.verdicts`."""
EVALUATION_METRICS = ("test_accuracy", "test_loss", "sop", "sop_per_step")
METRICS = (
    *EVALUATION_METRICS,
    "parameters",
    "epochs_to_95",
    "epochs_to_98",
    "epochs_to_100",
    "hours",
    "samples",
)
SELECTIONS = ("min_validation_loss", "max_validation_accuracy", "last", "max_test")
EVIDENCE = ("good", "second-hand", "unnamed source", "from memory", "computed")
"""How well a number is known that was not read in the paper itself."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a claim is about: the test set that counts and its length in time."""

    name: str
    title: str
    data: str | None = None
    """Name of the data set, as a record gives it; a run on other data never counts."""
    stand_in: str | None = None
    """A data set to show runs on where ``data`` itself has none; they are never judged."""
    steps: int | None = None
    """Time steps per sample; None where they differ."""
    samples: int | None = None
    """Samples of the test set."""
    chance: float | None = None
    """Test accuracy of naming the most frequent class, in percent."""
    absent: str | None = None
    """Why the package does not have the task; set instead of all above."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One published number and what it takes to check it."""

    id: str
    source: str
    """Table, figure or file the number comes from."""
    task: Task
    model: str
    metric: str
    """One of :data:`METRICS`; accuracies in percent, ``sop`` in spikes per test sample.

    ``samples`` is the size of a part of the data set, which ``model`` then names.
    """
    value: float
    tolerance: float
    """Largest difference that does not matter."""
    kind: str = ""
    """One of :data:`KINDS`; left out, it follows from the metric and the checkpoint."""
    our_seeds: tuple[int, ...] = OUR_SEEDS
    """Seeds of our runs that count."""
    spread: float | None = None
    """Published standard deviation."""
    seeds: int | None = None
    """Number of runs behind the value."""
    config: str | None = None
    """For a training claim: the configuration, relative to the paper's folder."""
    checkpoint: str | None = None
    """For an evaluation claim: the name of the published weights."""
    network: Mapping[str, Any] | None = None
    """For a claim about ``parameters``: settings of the network that is built and counted."""
    selection: str | None = None
    """Epoch of a run that counts, one of :data:`SELECTIONS`."""
    diverges: bool = False
    """The published runs themselves ended in NaN, so that a failed run of ours counts."""
    main: bool = False
    """Shown at once; other claims are folded away."""
    evidence: str | None = None
    """One of :data:`EVIDENCE`; None for a number read where ``source`` says."""
    reason: str | None = None
    """Why there is no run."""
    note: str | None = None
    """What to know when reading the comparison."""
    published_curve: Mapping[int, float] = field(default_factory=dict)
    """Published test accuracy by epoch, for accuracies of a training claim."""

    def __post_init__(self) -> None:
        if not self.kind:
            exact = "exact" if self.metric in EXACT_METRICS else "training"
            kind = "weights" if self.checkpoint and exact == "training" else exact
            object.__setattr__(self, "kind", kind)


def load_claims(path: Path) -> list[Claim]:
    """Read and check a ``claims.yaml``.

    Raises:
        UserError: the file is missing or wrong; names the entry and the field.
    """
    content = read_claims_file(path)
    tasks = read_tasks(content, path)
    seeds = read_seeds(content.get("our_seeds", list(OUR_SEEDS)), f"{path}")
    curves = _curves(content.get("curves") or [], path)
    claims: dict[str, Claim] = {}
    for number, group in enumerate(content["claims"], start=1):
        for row in _rows(group, f"{path}: group {number} of claims"):
            claim = _claim({"our_seeds": seeds, **row}, tasks, curves, path)
            if claim.id in claims:
                raise UserError(f"{path}: two claims have the id {claim.id!r}; rename one")
            claims[claim.id] = claim
    return list(claims.values())


def read_claims_file(path: Path) -> dict[str, Any]:
    """The parts of a ``claims.yaml``.

    Raises:
        UserError: the file is missing, no YAML, or has other parts.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"{path} does not exist: a paper lists its published numbers there"
        ) from None
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not valid YAML: {error}") from None
    require_keys(
        content,
        {"tasks", "curves", "our_seeds", "orders", "claims"},
        {"tasks", "claims"},
        f"{path}",
    )
    return dict(content)


def read_tasks(content: Mapping[str, Any], path: Path) -> dict[str, Task]:
    """The tasks by name. Raises UserError like :func:`load_claims`."""
    return {name: _task(name, entry, path) for name, entry in content["tasks"].items()}


def read_seeds(given: Any, where: str) -> tuple[int, ...]:
    """Seeds as ``0-4`` or ``[0, 1, 2]``.

    Raises:
        UserError: it is neither, or names no seed.
    """
    if isinstance(given, str) and (match := re.fullmatch(r"(\d+)-(\d+)", given)):
        given = list(range(int(match[1]), int(match[2]) + 1))
    good = isinstance(given, list | tuple) and all(type(seed) is int for seed in given)
    if not good or not given:
        raise UserError(f"{where}: field 'our_seeds' must be like 0-4 or [0, 1], found {given!r}")
    return tuple(given)


def _task(name: str, entry: Any, path: Path) -> Task:
    where = f"{path}: task {name!r}"
    require_keys(entry, {f.name for f in fields(Task)} - {"name"}, {"title"}, where)
    task = Task(name=name, **entry)
    for key in ("data", "samples"):
        if (getattr(task, key) is None) != (task.absent is not None):
            raise UserError(f"{where}: give data and samples, or only absent: why")
    if task.absent and (task.steps or task.stand_in):
        raise UserError(f"{where}: is absent, so it has no steps and no stand_in")
    return task


def _curves(entries: list[Any], path: Path) -> dict[str, dict[int, float]]:
    curves = {}
    for number, entry in enumerate(entries, start=1):
        keys = {"config", "source", "test_accuracy"}
        require_keys(entry, keys, keys, f"{path}: entry {number} of curves")
        curves[entry["config"]] = {int(e): float(v) for e, v in entry["test_accuracy"].items()}
    return curves


def _rows(group: Any, where: str) -> list[dict[str, Any]]:
    if not isinstance(group, dict) or not isinstance(group.get("rows"), list):
        raise UserError(f"{where}: field 'rows' must be a list of claims")
    common = {key: value for key, value in group.items() if key != "rows"}
    for row in group["rows"]:
        if not isinstance(row, dict) or not isinstance(row.get("id"), str):
            raise UserError(f"{where}: field 'id' is missing in {row!r}")
    return [{**common, **row} for row in group["rows"]]


def _claim(
    row: dict[str, Any],
    tasks: Mapping[str, Task],
    curves: Mapping[str, Mapping[int, float]],
    path: Path,
) -> Claim:
    where = f"{path}: claim {row['id']!r}"
    allowed = {f.name for f in fields(Claim)} - {"published_curve"}
    require_keys(row, allowed, {"source", "task", "model", "metric", "value"}, where)
    if row["task"] not in tasks:
        raise UserError(f"{where}: field 'task' is {row['task']!r}; tasks are {_list(tasks)}")
    value = _number(row, "value", where)
    row = {**row, "task": tasks[row["task"]], "value": value}
    row["our_seeds"] = read_seeds(row["our_seeds"], where)
    if row.get("spread") is not None:
        row["spread"] = _number(row, "spread", where)
    row["tolerance"] = _tolerance(row, value, where)
    if row["metric"] == "test_accuracy":
        row["published_curve"] = curves.get(str(row.get("config")), {})
    claim = Claim(**row)
    _check(claim, where)
    return claim


def _check(claim: Claim, where: str) -> None:
    """Refuse what the type of each field alone cannot."""
    if claim.evidence is not None and claim.evidence not in EVIDENCE:
        raise UserError(
            f"{where}: field 'evidence' is {claim.evidence!r}, not in {_list(EVIDENCE)}"
        )
    if claim.kind not in KINDS:
        raise UserError(f"{where}: field 'kind' is {claim.kind!r}, not in {_list(KINDS)}")
    trained = claim.kind == "training" and claim.config and claim.metric != "hours"
    if trained and not claim.tolerance > 0:
        raise UserError(f"{where}: field 'tolerance' is the margin of a training, above 0")
    bases = [f for f in ("config", "checkpoint", "network") if getattr(claim, f)]
    if len(bases) > 1:
        raise UserError(f"{where}: has a {' and a '.join(bases)}; a claim is about one of them")
    check_metric(claim.metric, claim.selection, where, selected=bool(claim.config))
    if not (bases or claim.reason or claim.task.absent):
        raise UserError(
            f"{where}: needs a config, a checkpoint, a network, or a reason why there is none"
        )
    if claim.network and claim.metric != "parameters":
        raise UserError(f"{where}: field 'metric': only parameters are counted in a network")
    if claim.metric == "samples" and bases:
        raise UserError(f"{where}: field 'metric': samples are not seen from a {bases[0]}")
    if claim.checkpoint and claim.metric not in (*EVALUATION_METRICS, "parameters"):
        raise UserError(f"{where}: field 'metric': {claim.metric} is not seen from a checkpoint")


def check_metric(metric: str, selection: str | None, where: str, *, selected: bool = True) -> None:
    """Refuse an unknown metric or selection.

    Args:
        metric: to be one of :data:`METRICS`.
        selection: to be one of :data:`SELECTIONS`.
        where: entry of a file, for the message.
        selected: the number is of some epoch of a run, which ``selection`` must say.

    Raises:
        UserError: something is wrong.
    """
    if metric not in METRICS:
        raise UserError(f"{where}: field 'metric' is {metric!r}, not in {_list(METRICS)}")
    if selection is not None and selection not in SELECTIONS:
        raise UserError(f"{where}: field 'selection' is {selection!r}, not in {_list(SELECTIONS)}")
    if selected and metric in EVALUATION_METRICS and not selection:
        raise UserError(f"{where}: field 'selection' must say which epoch counts")


def require_keys(entry: Any, allowed: set[str], required: set[str], where: str) -> None:
    """Refuse anything but a mapping with these fields. Raises UserError."""
    if not isinstance(entry, dict):
        raise UserError(f"{where}: expected fields with values, found {entry!r}")
    if unknown := sorted(map(str, set(entry) - allowed)):
        raise UserError(f"{where}: unknown field {unknown[0]!r}; known: {_list(sorted(allowed))}")
    if missing := sorted(required - set(entry)):
        raise UserError(f"{where}: field {missing[0]!r} is missing")


def _number(row: Mapping[str, Any], key: str, where: str) -> float:
    if isinstance(row[key], bool) or not isinstance(row[key], int | float):
        raise UserError(f"{where}: field {key!r} must be a number, found {row[key]!r}")
    return row[key]


def _tolerance(row: Mapping[str, Any], value: float, where: str) -> float:
    given = row.get("tolerance")
    if given is None and row["metric"] == "test_accuracy" and row.get("spread") is not None:
        return max(2 * float(row["spread"]), 0.5)
    if given is None and row["metric"] in EXACT_METRICS:
        return 0.0
    if isinstance(given, int | float) and not isinstance(given, bool):
        return float(given)
    try:
        share, _, rest = str(given).partition("%")
        if rest.strip() or share == str(given):
            raise ValueError
        return float(share) / 100 * abs(value)
    except ValueError:
        raise UserError(
            f"{where}: field 'tolerance' must be a number or like '5 %', found {given!r}"
        ) from None


def _list(names: Any) -> str:
    return ", ".join(names)
