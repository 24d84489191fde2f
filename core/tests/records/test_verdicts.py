from __future__ import annotations

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
        **{"value": 85.8, "spread": 0.7, "tolerance": 1.4, "config": CONFIG},
        **{"selection": "min_validation_loss"},
        **changes,
    }
    return Claim(**fields)


def metrics(epoch: int, accuracy: float, sop: float = 600.0) -> dict[str, float | None]:
    return {"epoch": epoch, "test_accuracy": accuracy, "test_loss": 0.5, "sop": sop}


def run(accuracy: float = 85.8, *, status: str = "finished", **changes: Any) -> Record:
    """A run of 4 epochs whose best epoch by validation loss is 3."""
    curve = [metrics(0, 20.0), metrics(1, 81.6), metrics(2, 90.0), metrics(3, accuracy)]
    fields = {
        **{"id": "r", "kind": "train", "status": status, "config_file": CONFIG},
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


@pytest.mark.parametrize(
    ("ours", "spread", "verdict"),
    [
        (85.1, 0.7, "reproduced"),  # exactly one deviation, in spite of binary rounding
        (86.5, 0.7, "reproduced"),
        (85.09, 0.7, "within tolerance"),
        (84.4, 0.7, "within tolerance"),
        (87.2, 0.7, "within tolerance"),
        (84.39, 0.7, "not reproduced"),
        (87.21, 0.7, "not reproduced"),
        (84.4, None, "reproduced"),
        (84.39, None, "not reproduced"),
        (83.0, 5.0, "reproduced"),
    ],
)
def test_rule(ours: float, spread: float | None, verdict: str) -> None:
    assert row(claim(spread=spread), run(ours)).verdict == verdict


def test_mean_and_deviation_over_runs() -> None:
    result = row(claim(note="remark"), run(85.0), run(86.0), run(87.0))
    assert (result.ours_mean, result.ours_std, result.n) == (86.0, 1.0, 3)
    assert (result.verdict, result.reason) == ("reproduced", "remark")
    assert row(claim(), run(85.0)).ours_std is None


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


def test_every_metric_can_be_measured() -> None:
    measured = set(METRICS) - {"samples"}  # of the published files, whatever a run is on
    assert all(row(claim(metric=metric), run()).ours_mean is not None for metric in measured)


@pytest.mark.parametrize(
    ("metric", "expected"),
    [("test_accuracy", 85.1), ("test_loss", 0.4), ("sop", 900.0), ("sop_per_step", 9.0)],
)
def test_what_is_measured_in_an_evaluation(metric: str, expected: float) -> None:
    of = claim(metric=metric, config=None, checkpoint="orig_ecg_rf", selection=None)
    assert row(of, evaluated()).ours_mean == expected


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
    assert row(claim(reason="too long"), run()).verdict == "reproduced"


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


def test_parameters_are_known_before_the_end() -> None:
    of = claim(metric="parameters", value=1734, spread=None, tolerance=0)
    assert row(of, partial()).verdict == "reproduced"
    assert row(of, partial(parameters=1735)).verdict == "not reproduced"


def test_failed_runs_count_where_the_published_ones_failed() -> None:
    failed = run(status="failed", best=None, last=metrics(0, 9.8), epochs_planned=300)
    of = claim(value=9.9, spread=0.8, selection="last")
    result = row(of, failed)
    assert (result.verdict, result.reason) == ("partial", "failed at epoch 0 of 300: 9.80 %")
    as_published = claim(value=9.9, spread=0.8, selection="last", diverges=True)
    assert row(as_published, failed).verdict == "reproduced"


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
    fields = row(claim(), run(85.0), run(86.0)).as_dict()
    assert fields["verdict"] in VERDICTS
    assert {k: fields[k] for k in ("claim", "task", "published", "ours_mean", "n", "config")} == {
        **{"claim": "a", "task": "ecg", "published": 85.8, "ours_mean": 85.5, "n": 2},
        "config": CONFIG,
    }
