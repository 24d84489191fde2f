from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import UserError
from core.records import load_claims

from .conftest import CLAIMS


def test_rows_inherit_from_their_group(paper: Path) -> None:
    accuracy, sop, weights, other = load_claims(paper / "claims.yaml")
    assert (accuracy.value, accuracy.spread, accuracy.seeds, accuracy.tolerance) == (
        85.8,
        0.7,
        5,
        1.4,
    )
    assert accuracy.task.steps == 100
    assert accuracy.main
    assert accuracy.published_curve == {0: 20.0, 1: 70.0, 10: 84.0}
    assert sop.config == accuracy.config == "configs/ecg_brf.yaml"
    assert sop.tolerance == pytest.approx(600)
    assert sop.published_curve == {}
    assert (weights.checkpoint, weights.main, weights.note) == ("orig_ecg_rf", False, "rounded")
    assert weights.tolerance == 0.05  # the row's own, not that of the group
    assert other.task.absent == "not part of this package yet"
    assert [claim.kind for claim in (accuracy, weights)] == ["training", "weights"]
    assert accuracy.our_seeds == (0, 1, 2, 3, 4)


def test_what_is_left_out(paper: Path) -> None:
    path = paper / "claims.yaml"
    text = CLAIMS.replace("seeds: 5, tolerance: 1.4", "our_seeds: [7, 8]")
    path.write_text(text.replace("tasks:", "our_seeds: 1-3\ntasks:"))
    accuracy, sop, *_ = load_claims(path)
    assert (accuracy.tolerance, accuracy.our_seeds, sop.our_seeds) == (1.4, (7, 8), (1, 2, 3))
    path.write_text(CLAIMS.replace("0.7, seeds: 5, tolerance: 1.4", "0.1"))
    assert load_claims(path)[0].tolerance == 0.5


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("id: sop", "id: accuracy", r"two claims have the id 'accuracy'"),
        ("value: 6000, ", "", r"claim 'sop' lacks value; correct it"),
        ("value: 6000", "value: about 6000", r"claim 'sop': value must be a number"),
        ("value: 6000", "value: true", r"claim 'sop': value must be a number"),
        ("spread: 0.7", "spread: x", r"claim 'accuracy': spread must be a number"),
        ("metric: sop", "metric: spikes", r"claim 'sop': metric must be one of .*, found 'spikes'"),
        ("10 %", "10 percent", r"claim 'sop': field 'tolerance' must be a number or like '5 %'"),
        ("seeds: 5", "sedes: 5", r"claim 'accuracy': unknown field 'sedes'"),
        ("min_val", "best_val", r"'accuracy': selection must be one of .* found 'best_val"),
        ("  selection: min_validation_loss\n", "", r"'accuracy': field 'selection' must say"),
        ("task: shd", "task: gsc", r"claim 'other': field 'task' is 'gsc'; tasks are ecg, shd"),
        ("orig_ecg_rf,", "x, config: configs/y,", r" 'weights': has a config and a checkpoint"),
        ("     checkpoint: orig_ecg_rf, ", "     ", r"claim 'weights': needs a config"),
        ("test_accuracy, value: 85.1", "hours, value: 85.1", r"'weights': .* hours is not seen"),
        ("id: sop, ", "", r"claims: entry 1: rows: entry 2 lacks id"),
        ("samples: 141", "absent: gone", r"task 'ecg': give data and samples, or only"),
        ("absent: not", "stand_in: x, absent: not", r"task 'shd': is absent, so it has no steps"),
        ("seeds: 5", "evidence: rumour", r"'accuracy': evidence must be one of .* found 'rum"),
        ("orig_ecg_rf,", "x, network: {n: 3},", r"'weights': has a checkpoint and a network;"),
        ("checkpoint: orig_ecg_rf", "network: {n: 3}", r"'metric': only parameters are counted"),
        ("metric: sop", "metric: samples", r"'metric': samples are not seen from a config"),
        (
            "tolerance: 1.4",
            "kind: guess, tolerance: 1",
            r"'accuracy': kind must be one of",
        ),
        ("tolerance: 1.4", "tolerance: 0", r"'accuracy': field 'tolerance' is the margin of a"),
        ("tolerance: 10 %", "main: true", r"'sop': field 'tolerance' must be a number or like"),
        ("seeds: 5", "our_seeds: []", r"'accuracy': field 'our_seeds' must be like 0-4 or"),
        ("source: logs, ", "", r"curves: entry 1 lacks source"),
        ("tasks:", "taskz:", r"claims.yaml lacks tasks; correct it"),
        ("claims:\n- source", "claims:\n- {source", r"claims.yaml: cannot be read as YAML"),
    ],
)
def test_a_wrong_file_is_refused(paper: Path, old: str, new: str, message: str) -> None:
    path = paper / "claims.yaml"
    assert old in CLAIMS
    path.write_text(CLAIMS.replace(old, new, 1))
    with pytest.raises(UserError, match=message) as error:
        load_claims(path)
    assert str(path) in str(error.value)


def test_a_group_without_rows_is_refused(paper: Path) -> None:
    path = paper / "claims.yaml"
    path.write_text("tasks: {}\nclaims:\n- {source: Table 1}\n")
    with pytest.raises(UserError, match="claims: entry 1 lacks rows"):
        load_claims(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"claims.yaml does not exist"):
        load_claims(tmp_path / "claims.yaml")
