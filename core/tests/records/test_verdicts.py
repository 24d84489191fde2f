from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from core.records import Claim, Record, Row, Task, table
from core.records.claims import METRICS
from core.records.verdicts import VERDICTS

ECG = Task(name="ecg", title="ECG", data="qtdb", steps=100, samples=141)
CONFIG = "configs/ecg_brf.yaml"


def claim(**changes: Any) -> Claim:
    fields: dict[str, Any] = {
        **{"id": "a", "source": "Table 1", "task": ECG, "model": "BRF", "metric": "test_accuracy"},
        **{"value": 85.8, "spread": 0.7, "seeds": 5, "tolerance": 1.4, "config": CONFIG},
        **{"selection": "min_validation_loss"},
        **changes,
    }
    return Claim(**fields)


def metrics(epoch: int, accuracy: float, sop: float = 600.0) -> dict[str, float | None]:
    test = {"epoch": epoch, "test_accuracy": accuracy, "test_loss": 0.5, "sop": sop}
    more = {"test_balance_lowpass": 0.7}
    return {**test, **more, "val_accuracy": accuracy - 1, "val_loss": 0.6}


def run(accuracy: float = 85.8, *, status: str = "finished", **changes: Any) -> Record:
    """A run of 4 epochs whose best epoch by validation loss is 3."""
    curve = [metrics(0, 20.0), metrics(1, 81.6), metrics(2, 90.0), metrics(3, accuracy)]
    fields = {
        **{"id": "r", "kind": "train", "status": status, "config_file": CONFIG, "seed": 0},
        **{"data": {"name": "qtdb"}, "best": curve[3], "last": metrics(4, 80.0, 640.0)},
        **{"max_test": curve[2], "parameters": 1734, "seconds_per_epoch": 1800.0},
        **{"epochs_done": 4, "epochs_planned": 4, "device_name": "a CPU"},
        **changes,
    }
    return Record(fields, [*curve, metrics(4, 80.0)], fields.pop("changes", ()))


def evaluated(**changes: Any) -> Record:
    fields = {
        **{"id": "e", "kind": "evaluate", "status": "finished", "checkpoint": "orig_ecg_rf"},
        **{"data": {"name": "qtdb"}, "samples": 141, "accuracy": 85.1, "loss": 0.4, "sop": 900.0},
        **changes,
    }
    return Record(fields)


def row(of: Claim, *records: Record) -> Row:
    (result,) = table([of], records)
    return result


def runs(*accuracies: float, **changes: Any) -> list[Record]:
    """One run per seed, from seed 0 on."""
    return [run(value, **({"seed": n} | changes)) for n, value in enumerate(accuracies)]


def test_a_training_is_judged_by_the_rule() -> None:
    near = row(claim(note="remark"), *runs(85.1, 85.6, 85.9, 86.0, 86.2))
    assert (near.claim.kind, near.verdict, near.n) == ("training", "reproduced", 5)
    assert near.ours_mean == pytest.approx(85.76)
    assert near.ours_std == pytest.approx(0.4278, abs=1e-4)
    assert near.difference == pytest.approx(-0.04)
    assert near.interval == pytest.approx((-0.9177, 0.8377), abs=1e-4)
    assert (near.died, near.flags, near.reason) == ((), (), "remark")
    narrow = claim(tolerance=0.5)
    assert row(narrow, *runs(85.1, 85.6, 85.9, 86.0, 86.2)).verdict == "consistent"
    assert row(claim(), *runs(83.1, 83.2, 83.3)).verdict == "lower"
    assert row(claim(), *runs(88.1, 88.2, 88.3)).verdict == "higher"
    wide = row(claim(), *runs(80.1, 85.2, 90.3))
    assert (wide.verdict, wide.flags) == ("consistent", ("spread differs",))


def test_fewer_than_three_runs_are_shown_and_not_judged() -> None:
    one = row(claim(), run(85.8))
    assert (one.verdict, one.ours_mean, one.ours_std, one.n) == ("too few runs", 85.8, None, 1)
    two = row(claim(), *runs(85.7, 85.9))
    assert (two.verdict, two.ours_mean, two.n) == ("too few runs", pytest.approx(85.8), 2)


def test_only_declared_seeds_count_each_once() -> None:
    declared = claim(our_seeds=(1, 2, 3))
    all_runs = runs(10.0, 85.0, 86.0, 87.0, 10.0)
    assert row(declared, *all_runs).ours_mean == 86.0
    assert row(declared, *all_runs, run(10.0, seed=2)).n == 3
    other = row(declared, run(85.0, seed=7))
    assert (other.verdict, other.reason) == (
        "not run",
        "recorded runs have other seeds than declared (7)",
    )


def test_failed_runs_count_too_and_block_a_reproduction() -> None:
    good = runs(85.6, 85.9, 86.0, 86.2)
    assert row(claim(), *good).verdict == "reproduced"
    failed = run(85.1, status="failed", seed=4)
    result = row(claim(), *good, failed)
    assert (result.verdict, result.n) == ("consistent", 5)
    assert result.died == ("seed 4 failed at epoch 4",)
    lost = run(status="failed", seed=4, best=None)
    result = row(claim(), *good, lost)
    assert (result.verdict, result.n, len(result.died)) == ("consistent", 4, 1)


def test_a_run_that_died_is_named_and_blocks_a_reproduction() -> None:
    good = runs(85.6, 85.9, 86.0, 86.2)
    silent = run(85.1, seed=4)
    curve = [*silent.curve[:4], {**silent.curve[4], "sop": 0.0}]
    result = row(claim(), *good, Record(silent.fields, curve))
    assert (result.verdict, result.died) == ("consistent", ("seed 4 silent from epoch 4",))
    task = Task(name="ecg", title="ECG", data="qtdb", samples=141, chance=80.0)
    result = row(claim(task=task), *good, run(85.1, seed=4))
    assert result.died[-1] == "seed 4 at chance from epoch 4"
    assert row(claim(task=task, diverges=True), *good).died == ()


def test_what_limits_a_comparison_is_flagged() -> None:
    by_test = claim(selection="max_test", value=90.0)
    assert row(by_test, *runs(85.0, 85.0, 85.0)).flags == ("selected on test", "spread differs")
    on_test = [
        Record(
            r.fields, [{**m, "val_accuracy": m["test_accuracy"], "val_loss": 0.5} for m in r.curve]
        )
        for r in runs(85.6, 85.9, 86.0)
    ]
    assert row(claim(), *on_test).flags == ("selected on test",)
    assert row(claim(selection="last", value=80.0), *on_test).flags == ("spread differs",)
    old = runs(85.6, 85.9, 86.0, superseded="dropout draws other masks")
    assert row(claim(), *old).flags == ("3 of 3 runs superseded: dropout draws other masks",)
    again = row(claim(), run(86.5), *old)
    assert (again.n, again.flags) == (3, ("2 of 3 runs superseded: dropout draws other masks",))


@pytest.mark.parametrize(
    ("counted", "verdict"),
    [(1734, "reproduced"), (1735, "higher"), (1733, "lower")],
)
def test_an_exact_number_needs_one_run(counted: int, verdict: str) -> None:
    of = claim(metric="parameters", value=1734, spread=None, tolerance=0)
    result = row(of, run(parameters=counted, status="partial"))
    assert (of.kind, result.verdict, result.interval) == ("exact", verdict, None)
    assert result.difference == counted - 1734


@pytest.mark.parametrize(
    ("measured", "verdict"),
    [(85.15, "reproduced"), (85.05, "reproduced"), (85.16, "higher"), (85.04, "lower")],
)
def test_published_weights_are_judged_within_the_tolerance(measured: float, verdict: str) -> None:
    of = claim(value=85.1, tolerance=0.05, config=None, checkpoint="orig_ecg_rf", selection=None)
    result = row(of, evaluated(accuracy=measured))
    assert (of.kind, result.verdict) == ("weights", verdict)
    assert result.difference == pytest.approx(measured - 85.1)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"selection": "min_validation_loss"}, 85.5),
        ({"selection": "last"}, 80.0),
        ({"selection": "max_test"}, 90.0),
        ({"metric": "test_loss"}, 0.5),
        ({"metric": "sop"}, 600.0),
        ({"metric": "sop", "selection": "last"}, 640.0),
        ({"metric": "sop_per_step"}, 6.0),
        ({"metric": "parameters"}, 1734.0),
        ({"metric": "epochs_to_95"}, 1.0),  # 0.95 * 85.5 = 81.2
        ({"metric": "epochs_to_98"}, 2.0),
        ({"metric": "epochs_to_100"}, 2.0),
        ({"metric": "hours"}, 2.0),
    ],
)
def test_what_is_measured_in_a_run(changes: dict[str, Any], expected: float) -> None:
    assert row(claim(**changes), run(85.5)).ours_mean == expected


@pytest.mark.parametrize(("share", "expected"), [(95, 1.0), (98, 4.0), (100, 6.0)])
def test_epochs_to_a_share_of_the_final_accuracy(share: int, expected: float) -> None:
    """An epoch stands on either side of every share, half a point away."""
    accuracies = [94.5, 95.5, 97.0, 97.5, 98.5, 99.5, 100.0, 99.0]
    curve = [metrics(epoch, accuracy) for epoch, accuracy in enumerate(accuracies)]
    record = run(best=curve[6])
    assert (
        row(claim(metric=f"epochs_to_{share}"), replace(record, curve=curve)).ours_mean == expected
    )


def test_every_metric_can_be_measured() -> None:
    # samples are those of the published files; operations are counted by evaluations alone (below)
    measured = set(METRICS) - {"samples", "synaptic_operations"}
    assert all(row(claim(metric=metric), run()).ours_mean is not None for metric in measured)


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("test_accuracy", 85.1),
        ("test_loss", 0.4),
        ("sop", 900.0),
        ("sop_per_step", 9.0),
        ("synaptic_operations", 8.2e6),
    ],
)
def test_what_is_measured_in_an_evaluation(metric: str, expected: float) -> None:
    of = claim(metric=metric, config=None, checkpoint="orig_ecg_rf", selection=None)
    assert row(of, evaluated(synaptic_operations=8.2e6)).ours_mean == expected


@pytest.mark.parametrize(
    "records",
    [
        [run(config_file="configs/ecg_rf.yaml")],
        [run(config_file=None)],
        [run(data={"name": "synthetic_ecg"})],
        [evaluated()],
        [],
    ],
)
def test_other_runs_do_not_count(records: list[Record]) -> None:
    result = row(claim(), *records)
    assert (result.verdict, result.n, result.ours_mean) == ("not run", 0, None)
    assert result.reason == "no recorded run yet"


@pytest.mark.parametrize(
    "record",
    [
        evaluated(checkpoint="repro_ecg_rf"),
        evaluated(samples=10),
        evaluated(data={"name": "synthetic_ecg"}),
        run(config_file=None),
    ],
)
def test_other_evaluations_do_not_count(record: Record) -> None:
    of = claim(config=None, checkpoint="orig_ecg_rf", selection=None, note="remark")
    result = row(of, record)
    assert (result.verdict, result.reason) == ("not run", "no recorded evaluation yet; remark")


def test_a_run_with_other_settings_does_not_count() -> None:
    result = row(claim(), run(changes=["epochs", "lr"]))
    assert result.verdict == "not run"
    assert result.reason == f"recorded runs differ from {CONFIG} in epochs, lr"
    assert row(claim(), run(changes=["lr"]), run()).n == 1


def test_reasons_for_not_running() -> None:
    assert row(claim(reason="too long")).reason == "too long"
    absent = Task(name="shd", title="SHD", absent="no SHD here")
    assert row(claim(task=absent, reason="too long"), run()).reason == "no SHD here"
    assert row(claim(reason="too long"), run()).verdict == "too few runs"


def partial(**changes: Any) -> Record:
    fields: dict[str, Any] = {"status": "partial", "epochs_done": 3, "epochs_planned": 400}
    return run(83.9, **(fields | changes))


def test_partial_runs_are_shown_but_not_judged() -> None:
    last = metrics(3, 83.9)
    short = partial(epochs_done=1, last=metrics(1, 81.6))
    result = row(claim(published_curve={0: 20.0, 2: 84.0, 10: 85.0}), short, partial(last=last))
    assert (result.verdict, result.ours_mean, result.n) == ("partial", None, 0)
    assert result.reason == "epoch 3 of 400: 83.90 %; published at epoch 2: 84.00 %, ours 90.00 %"
    assert row(claim(), partial(last=last)).reason == "epoch 3 of 400: 83.90 %"
    assert row(claim(metric="sop"), partial(last=last)).reason == "epoch 3 of 400: 600"
    assert row(claim(metric="hours"), partial(last=last)).reason == "epoch 3 of 400"
    same = claim(published_curve={3: 84.0})
    assert row(same, partial(last=last)).reason == (
        "epoch 3 of 400: 83.90 %; published at epoch 3: 84.00 %"
    )


def test_a_finished_run_counts_alone() -> None:
    assert row(claim(), partial(), run(85.0)).n == 1


def test_failed_runs_are_no_surprise_where_the_published_ones_failed() -> None:
    failed = [
        run(status="failed", best=None, last=metrics(0, value), seed=seed)
        for seed, value in enumerate((9.8, 9.9, 10.1))
    ]
    of = claim(value=9.9, spread=0.8, selection="last")
    result = row(of, *failed)
    assert (result.verdict, len(result.died)) == ("consistent", 3)
    as_published = claim(value=9.9, spread=0.8, selection="last", diverges=True)
    result = row(as_published, *failed)
    assert (result.verdict, result.died) == ("reproduced", ())


def test_hours_are_shown_but_not_compared() -> None:
    result = row(claim(metric="hours", value=3.5, note="on an unnamed machine"), run())
    assert (result.verdict, result.ours_mean) == ("not comparable", 2.0)
    assert result.reason == "ours on a CPU; on an unnamed machine"


@pytest.mark.parametrize(
    "record",
    [
        run(best=None),
        run(best=metrics(3, 85.0) | {"test_accuracy": None}),
    ],
)
def test_a_record_that_does_not_hold_the_metric(record: Record) -> None:
    result = row(claim(), record)
    assert (result.verdict, result.reason) == (
        "not run",
        "the records do not hold test_accuracy",
    )
    assert row(claim(metric="epochs_to_95"), record).verdict == "not run"


def test_a_row_as_json() -> None:
    fields = row(claim(), *runs(85.0, 86.0)).as_dict()
    assert fields["verdict"] in VERDICTS
    assert (fields["kind"], fields["difference"]) == ("training", pytest.approx(-0.3))
    assert {k: fields[k] for k in ("claim", "task", "published", "ours_mean", "n", "config")} == {
        **{"claim": "a", "task": "ecg", "published": 85.8, "ours_mean": 85.5, "n": 2},
        "config": CONFIG,
    }
