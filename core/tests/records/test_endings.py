"""How runs end: on made-up curves, and on those of the runs that were recorded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from core.records import load_records
from core.records.endings import Ending, MetricRow, ending

BRF = Path(__file__).parents[3] / "papers" / "brf"


def curve(
    spikes: Sequence[float | None], accuracy: float | None = 80.0, rate: float = 0.1
) -> list[MetricRow]:
    return [
        {"epoch": epoch, "sop": sop, "test_accuracy": accuracy, "learning_rate": rate}
        for epoch, sop in enumerate(spikes)
    ]


def test_silent_to_the_end() -> None:
    assert ending(curve([0, 50, 0, 0])) == Ending("silent", 2)
    assert str(Ending("silent", 2)) == "silent from epoch 2"
    assert ending(curve([0, 0, 0])) == Ending("silent", 0)
    assert ending(curve([50, 0, 1])) is None
    assert ending(curve([0])) is None, "untrained networks are often silent"
    assert ending([]) is None


def test_at_chance_to_the_end() -> None:
    good, bad = curve([5, 6, 7], 80.0), curve([5, 6, 7, 8, 9], 20.4)
    assert ending([*good, *bad[3:]], chance=20.0) == Ending("at chance", 3)
    assert ending([*good, *bad[3:]], chance=19.8) is None
    assert ending([*good, *bad[3:]]) is None
    assert ending(curve([5, 6], None), chance=20.0) is None


def test_frozen_for_twenty_epochs_of_training() -> None:
    moving = [10.0, 500.0, 1000.2]
    assert ending(curve([*moving, *[1000.0] * 21])) == Ending("frozen", 3)
    assert ending(curve([*moving, *[1000.0, 1000.05] * 10])) is None
    assert ending(curve([*moving, *[1000.0, 1000.05] * 11])) == Ending("frozen", 3)
    assert ending(curve([*moving, *[1000.0] * 40], rate=0.0)) is None, "nothing was trained"
    assert ending(curve([None] * 40)) is None
    assert not Ending("frozen", 3).died
    assert Ending("silent", 3).died


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ecg_alif-seed0", "silent from epoch 38"),
        ("ecg_alif-seed2", "frozen from epoch 31"),
        ("ecg_alif-seed1", "None"),
        ("ecg_brf-seed0", "None"),
        ("ecg_rf-seed3", "None"),
    ],
)
def test_recorded_runs(name: str, expected: str) -> None:
    (record,) = [r for r in load_records(BRF) if r.id.startswith(f"{name}-")]
    assert str(ending(record.curve, chance=30.47)) == expected
