"""The published numbers: complete, consistent with each other, with the configurations, and with
the published files where those are at hand (SNN_DATA)."""

from __future__ import annotations

import csv
import itertools
import os
import re
import statistics
from collections import Counter
from pathlib import Path

import pytest
import yaml

from core.records import Claim, load_claims, load_orders, refresh

PAPER = Path(__file__).resolve().parents[1]
CLAIMS = load_claims(PAPER / "claims.yaml")
BY_ID = {claim.id: claim for claim in CLAIMS}
SHAPES = {"ecg": (4, 6), "smnist": (1, 10), "psmnist": (1, 10), "shd": (700, 20)}  # inputs, classes
SHARES = (95, 98, 100)


@pytest.fixture(scope="module")
def published() -> Path:
    folder = Path(os.environ.get("SNN_DATA", "/nonexistent")) / "published" / "brf"
    if not folder.is_dir():
        pytest.skip("needs the published files in $SNN_DATA/published/brf")
    return folder


def logs(published: Path, task: str, model: str) -> tuple[list[list[float]], list[list[float]]]:
    """Test accuracy and validation loss, [run][epoch]."""
    with (published / "convergence" / f"orig_{task}_{model}.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    accuracy, loss = (
        [[float(row[f"{name}_run{run}"]) for row in rows] for run in range(5)]
        for name in ("test_acc", "val_loss")
    )
    return accuracy, loss


def expected_tolerance(claim: Claim) -> float:
    """The rule at the top of claims.yaml."""
    sop = claim.metric in ("sop", "sop_per_step")
    if claim.metric in ("parameters", "hours"):
        return 0.0
    if claim.source.startswith("Table 2"):
        return 0.6 * claim.value
    if claim.metric.startswith("epochs_to"):
        assert claim.spread is not None
        return max(2 * claim.spread, 2.0)
    if claim.source == "seed repository, plots":
        return 1.5
    trained = claim.checkpoint is None and not claim.id.startswith(("script", "noise", "notebook"))
    if trained or (claim.spread is not None and claim.config):
        if sop:
            return 0.15 * claim.value if claim.spread is None else 2 * claim.spread
        return 1.0 if claim.spread is None else max(2 * claim.spread, 0.5)
    if claim.checkpoint:
        if claim.task.name.startswith("shd"):
            return 0.01 * claim.value if sop else 0.2
        share, points = (0.0005, 0.05) if claim.task.name == "ecg" else (0.005, 0.2)
        return share * claim.value if sop else points
    return claim.tolerance  # not run, so never applied


def test_every_table_and_file_is_there() -> None:
    sources = {claim.source for claim in CLAIMS}
    assert {"Table 1", "Table 2", "Table 4", "authors' logs", "seed repository"} <= sources
    cells = [claim for claim in CLAIMS if claim.source == "Table 1"]
    by_metric = {metric: sum(c.metric == metric for c in cells) for metric in ("sop", "hours")}
    assert by_metric == {"sop": 16, "hours": 0}
    assert sum(claim.metric == "test_accuracy" for claim in cells) == 18
    tasks = {"ecg", "smnist", "psmnist", "shd", "shd-regenerated", "gsc"}
    assert {claim.task.name for claim in CLAIMS} == tasks


def test_what_was_measured_with_the_authors_code_is_not_called_published() -> None:
    computed = [claim for claim in CLAIMS if claim.evidence == "computed"]
    kinds = Counter(claim.kind for claim in computed)
    assert kinds == {"weights": 50, "training": 14}
    assert {claim.id for claim in computed if claim.kind == "weights"} == {
        claim.id for claim in CLAIMS if claim.id.startswith("measured-")
    }
    published = Counter(claim.kind for claim in CLAIMS if claim.evidence != "computed")
    assert published == {"training": 196, "weights": 19, "exact": 18}


def test_orders_are_between_configurations_of_the_same_task() -> None:
    orders = load_orders(PAPER / "claims.yaml")
    for order in orders:
        for config in filter(None, (order.lower, order.higher)):
            assert (PAPER / config).is_file(), order.id
            assert config.startswith(f"configs/{order.task.name.partition('-')[0]}_"), order.id
    tested = {order.id for order in orders if order.lower and order.task.name == "ecg"}
    assert {"order-ecg-epochs-alif", "order-ecg-spikes-rf", "order-ecg-accuracy-alif"} <= tested


def test_ids_are_kebab_case() -> None:
    assert [c.id for c in CLAIMS if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", c.id)] == []


def test_configurations_exist_and_are_for_the_task() -> None:
    for claim in CLAIMS:
        if claim.config:
            config = yaml.safe_load((PAPER / claim.config).read_text())
            permuted = claim.task.name == "psmnist"
            assert config.get("permuted", False) == permuted, claim.id
            assert ("permuted" in config) == (claim.task.name in ("smnist", "psmnist")), claim.id


def test_parameters_follow_from_the_configurations() -> None:
    checked = 0
    for claim in CLAIMS:
        if claim.metric == "parameters" and claim.config:
            config = yaml.safe_load((PAPER / claim.config).read_text())
            (inputs, classes), hidden = SHAPES[claim.task.name], config["hidden"]
            count = hidden * (inputs + hidden) + 2 * hidden + hidden * classes + classes
            assert claim.value == count + config["bias"] * (hidden + classes), claim.id
            checked += 1
    assert checked == 12


def test_tolerances_follow_the_rule() -> None:
    for claim in CLAIMS:
        assert claim.tolerance == pytest.approx(expected_tolerance(claim), abs=0.05), claim.id


def test_spikes_per_step_are_spikes_over_steps() -> None:
    checked = 0
    for claim in CLAIMS:
        whole = BY_ID.get(claim.id.removesuffix("-per-step"))
        if claim.metric == "sop_per_step" and whole and claim.task.steps:
            assert claim.value == pytest.approx(whole.value / claim.task.steps, abs=0.011), claim.id
            checked += 1
    assert checked == 17


def test_checkpoints_are_published(published: Path) -> None:
    files = {path.stem for path in (published / "checkpoints").glob("*.pt")}
    assert {claim.checkpoint for claim in CLAIMS if claim.checkpoint} <= files


@pytest.mark.parametrize("task", ["ecg", "shd"])
@pytest.mark.parametrize("model", ["brf", "rf", "alif"])
def test_the_logs_say_so(published: Path, task: str, model: str) -> None:
    accuracy, loss = logs(published, task, model)
    best = [run[value.index(min(value))] for run, value in zip(accuracy, loss, strict=True)]
    for name, values in {
        "best": best,
        "last": [run[-1] for run in accuracy],
        "max-test": [max(run) for run in accuracy],
    }.items():
        claim = BY_ID[f"logs-{task}-{model}-{name}"]
        assert claim.value == pytest.approx(statistics.fmean(values), abs=6e-4)
        assert claim.spread == pytest.approx(statistics.stdev(values), abs=1.1e-3)
    for share in SHARES:
        claim = BY_ID[f"logs-{task}-{model}-epochs-{share}"]
        epochs = [
            next(e for e, value in enumerate(run) if value >= share / 100 * goal)
            for run, goal in zip(accuracy, best, strict=True)
        ]
        assert claim.value == pytest.approx(statistics.fmean(epochs))
        assert claim.spread == pytest.approx(statistics.stdev(epochs), abs=0.051)


def test_curves_are_those_of_the_logs(published: Path) -> None:
    for task, model in itertools.product(("ecg", "shd"), ("brf", "rf", "alif")):
        accuracy, _ = logs(published, task, model)
        curve = BY_ID[f"logs-{task}-{model}-best"].published_curve
        assert max(curve) == {"ecg": 400, "shd": 20}[task]
        for epoch, value in curve.items():
            mean = statistics.fmean(run[epoch] for run in accuracy)
            assert value == pytest.approx(mean, abs=6e-3), (task, model, epoch)
    for claim in CLAIMS:
        if claim.published_curve and "mnist" in claim.task.name and claim.selection == "last":
            assert claim.published_curve[max(claim.published_curve)] == claim.value, claim.id


def test_readmes_show_what_the_records_hold() -> None:
    """On failure: ``core table brf --write`` and commit the result."""
    assert refresh(PAPER, write=False) == []
