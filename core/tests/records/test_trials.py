"""What no configuration stands for stays out of results/ unless it is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.cli import main
from core.data.digests import digest
from core.data.registry import SOURCES, is_embedded
from core.data.speech import SPLITS, find_speech
from core.errors import UserError
from core.records import load_records, record_evaluation, record_run
from core.testing import contents

from .conftest import evaluation, make_run

TRIALS: list[tuple[dict[str, Any], str]] = [
    ({"data": {"name": "digits", "digest": "d"}}, r"is on embedded data \(digits\)"),
    ({"config": {"data": "embedded"}}, r"is on embedded data \(qtdb\)"),
    ({"config_file": None}, r"started from no file in configs/"),
    ({"config": {"lr": 0.2, "neuron": "rf"}}, r"differs from configs/ecg_brf.yaml in lr, neuron"),
    ({"config_file": "configs/gone.yaml"}, r"in configs/gone.yaml \(gone\)"),
]


@pytest.mark.parametrize(("facts", "why"), TRIALS)
def test_a_trial_is_recorded_only_when_asked_for(
    paper: Path, tmp_path: Path, facts: dict[str, Any], why: str
) -> None:
    run, before = make_run(tmp_path / "run", [20.0, 80.0], **facts), contents(paper)
    with pytest.raises(UserError, match=rf"{why}, so it is a trial .*add --trial"):
        record_run(run, paper)
    assert contents(paper) == before
    record_run(run, paper, trial=True)
    assert len(load_records(paper)) == 1


def test_seed_place_threads_and_protocol_make_no_trial(paper: Path, tmp_path: Path) -> None:
    config = {"threads": 2, "device": "cpu", "data_folder": "elsewhere", "protocol": "held-out"}
    record_run(make_run(tmp_path / "run", [20.0, 80.0], seed=7, config=config), paper)
    (record,) = load_records(paper)
    assert record.changes == ["protocol"], "and no claim counts it"


def test_evaluations_on_embedded_data_are_trials(paper: Path) -> None:
    embedded = evaluation(data={"name": "synthetic_ecg", "digest": "d"})
    with pytest.raises(UserError, match=r"on embedded data \(synthetic_ecg\).*add --trial"):
        record_evaluation(paper, embedded)
    record_evaluation(paper, embedded, trial=True)


def test_the_command_has_the_flag(
    paper: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(paper)
    run = str(make_run(tmp_path / "run", [20.0, 80.0], config={"lr": 0.2}))
    with pytest.raises(SystemExit) as leaving:
        main(["record", run])
    assert leaving.value.code == 2
    assert "add --trial" in capsys.readouterr().err
    main(["record", run, "--trial"])
    assert "recorded ecg_brf-seed0-01234567" in capsys.readouterr().out


def test_every_embedded_set_is_known_as_one() -> None:
    names = ["digits", "synthetic_ecg", *(find_speech(name, "embedded").name for name in SPLITS)]
    assert all(map(is_embedded, names))
    assert not any(map(is_embedded, SOURCES))
    assert all(digest(name) for name in names[:2])
