"""The published numbers of a paper, read from its ``claims.yaml``.

The file has these parts, and claims of order in another (:mod:`core.records.orders`)::

    tasks:                        # what a number is about
      ecg: {title: ECG, data: qtdb, steps: 1300, samples: 141, chance: 30.5}
      shd: {title: SHD, absent: the task is not part of this package yet}
    curves:                       # optional: published learning curves, by configuration
    - {config: configs/ecg_brf.yaml, source: authors' logs, test_accuracy: {0: 23.6, 1: 50.7}}
    titles:                       # optional: what figures call a network without a claim
      configs/ecg_brf_linear.yaml: BRF, linear decay
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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.outside.shape import CONFIG_FILE, NAME, check
from core.outside.text import read_yaml, shown

OUR_SEEDS = (0, 1, 2, 3, 4)
"""Which of our runs count where a file does not declare it."""
EXACT_METRICS = ("parameters", "samples")
KINDS = ("exact", "weights", "training")
"""What a number is about; see :mod:`core.records.verdicts`."""
EVALUATION_METRICS = (
    *("test_accuracy", "test_loss", "sop", "sop_per_step", "synaptic_operations"),
    "test_balance_lowpass",
)
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
EVIDENCE = ("good", "second-hand", "unnamed source", "from memory", "read off", "computed")
"""How well a number is known that was not read in the paper itself."""


_CURVE = {"config": CONFIG_FILE, "source": str, "test_accuracy": {int: float}}
_FILE: dict[str, Any] = {
    "tasks": {str: object},
    "curves?": ([_CURVE], None),
    "titles?": ({str: str}, None),
    "our_seeds?": object,
    "orders?": ([object], None),
    "claims": [{"rows": [{"id": NAME}]}],
}
_TASK: dict[str, Any] = {
    "title": str,
    **dict.fromkeys(("data?", "stand_in?", "absent?"), (str, None)),
    **dict.fromkeys(("steps?", "samples?"), (int, None)),
    "chance?": (float, None),
}
_CLAIM: dict[str, Any] = {
    **dict.fromkeys(("id", "source", "task", "model"), str),
    "metric": {*METRICS},
    "value": float,
    "tolerance?": (float, str, None),
    "kind?": {*KINDS},
    "our_seeds?": object,
    "spread?": (float, None),
    "seeds?": (int, None),
    "config?": (CONFIG_FILE, None),
    "checkpoint?": (NAME, None),
    "network?": ({str: object}, None),
    "selection?": ({*SELECTIONS}, None),
    **dict.fromkeys(("diverges?", "main?"), bool),
    "evidence?": ({*EVIDENCE}, None),
    **dict.fromkeys(("reason?", "note?"), (str, None)),
}


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
    curves = {curve["config"]: curve["test_accuracy"] for curve in content.get("curves") or []}
    claims: dict[str, Claim] = {}
    for group in content["claims"]:
        common = {key: value for key, value in group.items() if key != "rows"}
        for row in group["rows"]:
            claim = _claim({"our_seeds": seeds, **common, **row}, tasks, curves, path)
            if claim.id in claims:
                raise UserError(f"{path}: two claims have the id {claim.id!r}; rename one")
            claims[claim.id] = claim
    return list(claims.values())


def read_claims_file(path: Path) -> dict[str, Any]:
    """The parts of a ``claims.yaml``.

    Raises:
        UserError: the file is missing, no YAML, or has other parts.
    """
    content: dict[str, Any] = require_fields(
        read_yaml(path, missing="a paper lists its published numbers there"), _FILE, str(path)
    )
    return content


def load_titles(path: Path) -> dict[str, str]:
    """What figures call the networks of configurations without a claim, by configuration.

    Raises:
        UserError: as :func:`load_claims`, or a configuration is not there.
    """
    titles: dict[str, str] = read_claims_file(path).get("titles") or {}
    for config in titles:
        if not CONFIG_FILE.fullmatch(config) or not (path.parent / config).is_file():
            raise UserError(
                f"{path}: field 'titles': no file {shown(config)} beside it; correct it"
            )
    return titles


def read_tasks(content: Mapping[str, Any], path: Path) -> dict[str, Task]:
    """The tasks by name. Raises UserError like :func:`load_claims`."""
    return {name: _task(name, entry, path) for name, entry in content["tasks"].items()}


def read_seeds(given: Any, where: str) -> tuple[int, ...]:
    """Seeds as ``0-4`` or ``[0, 1, 2]``.

    Raises:
        UserError: it is neither, or names no seed.
    """
    if isinstance(given, str) and (match := re.fullmatch(r"(\d{1,4})-(\d{1,4})", given)):
        given = list(range(int(match[1]), int(match[2]) + 1))
    good = isinstance(given, list | tuple) and all(type(seed) is int for seed in given)
    if not good or not given:
        raise UserError(
            f"{where}: field 'our_seeds' must be like 0-4 or [0, 1], found {shown(given)}"
        )
    return tuple(given)


def _task(name: str, entry: Any, path: Path) -> Task:
    where = f"{path}: task {shown(name)}"
    require_fields(entry, _TASK, where)
    task = Task(name=name, **entry)
    for key in ("data", "samples"):
        if (getattr(task, key) is None) != (task.absent is not None):
            raise UserError(f"{where}: give data and samples, or only absent: why")
    if task.absent and (task.steps or task.stand_in):
        raise UserError(f"{where}: is absent, so it has no steps and no stand_in")
    return task


def _claim(
    row: dict[str, Any],
    tasks: Mapping[str, Task],
    curves: Mapping[str, Mapping[int, float]],
    path: Path,
) -> Claim:
    where = f"{path}: claim {row['id']!r}"
    require_fields(row, _CLAIM, where)
    if row["task"] not in tasks:
        raise UserError(f"{where}: field 'task' is {shown(row['task'])}; tasks are {_list(tasks)}")
    row["our_seeds"] = read_seeds(row["our_seeds"], where)
    row["tolerance"] = _tolerance(row, row["value"], where)
    row["task"] = tasks[row["task"]]
    if row["metric"] == "test_accuracy":
        row["published_curve"] = curves.get(str(row.get("config")), {})
    claim = Claim(**row)
    _check(claim, where)
    return claim


def _check(claim: Claim, where: str) -> None:
    """Refuse what the shape of each field alone cannot."""
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
    """Refuse a metric of some epoch of a run without a selection that says which.

    Args:
        metric: one of :data:`METRICS`.
        selection: one of :data:`SELECTIONS`.
        where: entry of a file, for the message.
        selected: the number is of some epoch of a run.

    Raises:
        UserError: the selection is missing.
    """
    if selected and metric in EVALUATION_METRICS and not selection:
        raise UserError(f"{where}: field 'selection' must say which epoch counts")


def require_fields(entry: Any, shape: Mapping[str, Any], where: str) -> Any:
    """``entry`` of a shape of :mod:`core.outside.shape`, without other fields.

    Raises:
        UserError: it lacks a field, has a wrong one, or one that nobody reads (a misspelt name).
    """
    check(entry, shape, where, "correct it")
    known = {key.removesuffix("?") for key in shape}
    if unknown := sorted(map(str, set(entry) - known)):
        raise UserError(
            f"{where}: unknown field {shown(unknown[0])}; known: {_list(sorted(known))}"
        )
    return entry


def _tolerance(row: Mapping[str, Any], value: float, where: str) -> float:
    given = row.get("tolerance")
    if given is None and row["metric"] == "test_accuracy" and row.get("spread") is not None:
        return max(2 * float(row["spread"]), 0.5)
    if given is None and row["metric"] in EXACT_METRICS:
        return 0.0
    if isinstance(given, int | float):
        return float(given)
    share = re.fullmatch(r"(\d{1,3}(?:\.\d{1,9})?) ?%", given or "")
    if share is None:
        raise UserError(
            f"{where}: field 'tolerance' must be a number or like '5 %', found {shown(given)}"
        )
    return float(share[1]) / 100 * abs(value)


def _list(names: Any) -> str:
    return ", ".join(names)
