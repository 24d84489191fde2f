from __future__ import annotations

import hashlib
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from core import checkpoints
from core.errors import UserError
from core.records import load_records, record_evaluation, record_run, runs_markdown

from .conftest import evaluation, make_run


def lines(paper: Path) -> list[dict[str, Any]]:
    return [json.loads(x) for x in (paper / "results" / "runs.jsonl").read_text().splitlines()]


def test_a_run_becomes_a_line_and_a_curve(paper: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", [20.0, 85.5, 86.0, 85.0], val_losses=[2.0, 0.5, 0.6, 0.7])
    record = record_run(run, paper)
    assert record.id == "ecg_brf-seed0-01234567"
    assert (record.kind, record.status) == ("train", "finished")
    (line,) = lines(paper)
    assert line == record.fields
    stored = json.loads((run / "run.json").read_text())
    cut = {"status", "command"}
    assert {k: v for k, v in line.items() if k in stored and k not in cut} == {
        k: v for k, v in stored.items() if k not in cut
    }
    assert [line[k]["epoch"] for k in ("best", "last", "max_test")] == [1, 3, 2]
    digest = hashlib.sha256((run / "best.safetensors").read_bytes()).hexdigest()
    assert line["sha256"] == digest
    best = checkpoints.load(run / "best.safetensors")
    assert line["weights"] == checkpoints.weights_digest(best.weights)
    curve = paper / "results" / "curves" / "ecg_brf-seed0-01234567.csv"
    head, *body = curve.read_text().splitlines()
    assert head.startswith("epoch,train_loss,train_accuracy,val_loss")
    assert body[1] == "1,,,0.5,85.5,0.5,85.5,100,0.1,2"
    assert load_records(paper) == [record]
    assert record.curve[1]["test_accuracy"] == 85.5
    assert record.curve[1]["train_loss"] is None


def test_no_folder_of_this_machine_is_recorded(paper: Path, tmp_path: Path) -> None:
    command = "python train.py --out /mnt/big/runs/1 --data_folder=/data/qtdb --lr 0.1"
    record = record_run(make_run(tmp_path / "run", [20.0], command=command), paper)
    assert record.fields["command"] == "python train.py --out 1 --data_folder=qtdb --lr 0.1"
    assert set(record.fields["config"]) >= {"neuron", "lr", "device"}
    assert not {"out", "data_folder"} & set(record.fields["config"])
    assert "/mnt" not in (paper / "results" / "runs.jsonl").read_text()


def test_warnings_of_training_are_recorded(paper: Path, tmp_path: Path) -> None:
    warnings = [{"epoch": 1, "what": "hidden layer 1 is silent"}]
    record = record_run(make_run(tmp_path / "run", [20.0, 80.0], warnings=warnings), paper)
    assert record.fields["warnings"] == warnings
    quiet = record_run(make_run(tmp_path / "quiet", [20.0, 80.0], seed=1, warnings=[]), paper)
    assert "warnings" not in quiet.fields


def test_that_a_run_went_on_elsewhere_is_recorded(paper: Path, tmp_path: Path) -> None:
    steps = [{"after_epoch": 1, "commit": "beef", "versions": {"torch": "2"}, "device": "cpu"}]
    record = record_run(make_run(tmp_path / "run", [20.0, 80.0], resumed=steps), paper)
    assert record.fields["resumed"] == steps
    assert "from 1 on with other code or elsewhere" in runs_markdown([record])


def test_recording_again_replaces_the_line_in_place(paper: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    make_run(run, [20.0, 80.0], planned=3, status="interrupted")
    assert record_run(run, paper).status == "partial"
    record_evaluation(paper, evaluation())
    make_run(run, [20.0, 80.0, 84.0, 85.0])
    record_run(run, paper)
    record_run(run, paper)
    first, second = load_records(paper)
    assert (first.status, first.fields["epochs_done"], len(first.curve)) == ("finished", 3, 4)
    assert second.kind == "evaluate"


def test_seeds_are_separate_records(paper: Path, tmp_path: Path) -> None:
    for seed in (0, 1):
        record_run(make_run(tmp_path / f"run{seed}", [20.0, 80.0], seed=seed), paper)
    assert [line["seed"] for line in lines(paper)] == [0, 1]


@pytest.mark.parametrize(
    ("earlier", "later", "message"),
    [
        (
            {"accuracies": [20.0, 80.0]},
            {"accuracies": [20.0, 81.0], "weights": 1},
            r"a finished run with other weights \(started today, commit c0ffee00\)",
        ),
        (
            {"accuracies": [20.0, 80.0, 85.0], "planned": 9, "status": "interrupted"},
            {"accuracies": [20.0, 80.0], "planned": 9, "status": "interrupted"},
            r"a run of 2 epochs, this one has 1",
        ),
    ],
)
def test_a_result_is_not_displaced_silently(
    paper: Path, tmp_path: Path, earlier: dict[str, Any], later: dict[str, Any], message: str
) -> None:
    record_run(make_run(tmp_path / "earlier", **earlier), paper)
    before = (paper / "results" / "runs.jsonl").read_text()
    other = make_run(tmp_path / "later", **later)
    with pytest.raises(UserError, match=rf"already recorded: {message}.*add --replace"):
        record_run(other, paper)
    assert (paper / "results" / "runs.jsonl").read_text() == before
    record_run(other, paper, replace=True)
    assert [line["last"]["test_accuracy"] for line in lines(paper)] == [later["accuracies"][-1]]


def test_a_rerun_that_is_equal_to_the_last_bit_is_the_same_run(paper: Path, tmp_path: Path) -> None:
    """Its file is another one: it holds another date and commit."""
    record_run(make_run(tmp_path / "earlier", [20.0, 80.0]), paper)
    again = make_run(tmp_path / "again", [20.0, 80.0])
    path = again / "best.safetensors"
    before = path.read_bytes()
    torch.manual_seed(0)
    checkpoints.save(path, torch.nn.Linear(2, 2), {"epoch": 1, "commit": "elsewhere"})
    assert path.read_bytes() != before
    assert record_run(again, paper).fields["sha256"] == checkpoints.sha256(path)


def test_old_lines_without_a_digest_of_tensors_are_compared_by_file(
    paper: Path, tmp_path: Path
) -> None:
    run = make_run(tmp_path / "earlier", [20.0, 80.0])
    record_run(run, paper)
    (line,) = lines(paper)
    del line["weights"]
    (paper / "results" / "runs.jsonl").write_text(json.dumps(line) + "\n")
    record_run(run, paper)
    (paper / "results" / "runs.jsonl").write_text(json.dumps(line) + "\n")
    with pytest.raises(UserError, match="a finished run with other weights"):
        record_run(make_run(tmp_path / "later", [20.0, 80.0], weights=1), paper)


def test_a_run_without_a_config_file_is_named_by_task_and_model(
    paper: Path, tmp_path: Path
) -> None:
    record = record_run(make_run(tmp_path / "run", [20.0], config_file=None), paper, trial=True)
    assert record.id == "ecg_brf-seed0-01234567"
    assert record.changes == []


def test_the_kept_epoch_of_a_tie_is_that_of_the_weights(paper: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", [20.0, 80.0, 85.0], val_losses=[2.0, 0.5, 0.5])
    other = make_run(tmp_path / "other", [20.0, 80.0, 85.0], val_losses=[2.0, 0.9, 0.5])
    os.replace(other / "best.safetensors", run / "best.safetensors")
    assert record_run(run, paper).fields["best"]["epoch"] == 2


def test_a_failed_run_keeps_what_it_has(paper: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", [10.0], val_losses=[2.3], planned=5, status="failed")
    rows = (run / "metrics.jsonl").read_text()
    (run / "metrics.jsonl").write_text(rows.replace("2.3", "NaN"))
    (run / "best.safetensors").unlink()
    record = record_run(run, paper)
    assert (record.status, record.fields["best"], record.fields["sha256"]) == ("failed", None, None)
    assert record.fields["last"]["test_accuracy"] == 10.0
    assert "NaN" not in (paper / "results" / "runs.jsonl").read_text()


def test_a_torn_line_and_a_repeated_epoch_of_a_killed_run(paper: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", [20.0, 80.0, 84.0], planned=9, status="running")
    text = (run / "metrics.jsonl").read_text().splitlines()
    again = text[2].replace("84.0", "84.5")
    (run / "metrics.jsonl").write_text("\n".join([*text, again, '{"epoch": 3, "tra']))
    record = record_run(run, paper)
    assert [row["test_accuracy"] for row in record.curve] == [20.0, 80.0, 84.5]


def edit(run: Path, **facts: Any) -> None:
    path = run / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | facts))


def swap_weights(run: Path) -> None:
    other = make_run(run / "other", [20.0, 80.0], val_losses=[1.0, 2.0])
    (other / "best.safetensors").replace(run / "best.safetensors")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda run: (run / "run.json").unlink(), r"is not a run folder \(it has no run.json\)"),
        (lambda run: (run / "run.json").write_text("{"), r"run.json: cannot be read as JSON"),
        (lambda run: (run / "run.json").write_text('{"paper": "toy"}'), r"lacks task, model"),
        (lambda run: edit(run, paper="silif"), r"run of paper 'silif', not of 'toy'"),
        (lambda run: edit(run, status="done"), r"status must be one of .*, found 'done'"),
        (lambda run: edit(run, epochs_planned=9), r"says finished, but has 1 of 9 epochs"),
        (lambda run: (run / "metrics.jsonl").unlink(), r"metrics.jsonl does not exist"),
        (lambda run: (run / "metrics.jsonl").write_text(""), r"metrics.jsonl is empty"),
        (
            lambda run: (run / "metrics.jsonl").write_text("{}\n"),
            r"metrics.jsonl, line 1 lacks epoch, train_loss",
        ),
        (lambda run: (run / "config.yaml").unlink(), r"config.yaml does not exist"),
        (lambda run: (run / "best.safetensors").unlink(), r"no checkpoint at .*best"),
        (
            swap_weights,
            r"is of epoch 0, but metrics.jsonl has the best validation loss at epoch 1",
        ),
    ],
)
def test_a_broken_run_is_refused(paper: Path, tmp_path: Path, damage: Any, message: str) -> None:
    run = make_run(tmp_path / "run", [20.0, 80.0])
    damage(run)
    with pytest.raises(UserError, match=message):
        record_run(run, paper)
    assert not (paper / "results" / "runs.jsonl").exists()


def test_a_crash_before_the_rename_leaves_the_old_results(
    paper: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_run(make_run(tmp_path / "a", [20.0, 80.0]), paper)
    before = (paper / "results" / "runs.jsonl").read_bytes()
    replace = os.replace

    def crash(source: Path, target: Path) -> None:
        if Path(target).name == "runs.jsonl":
            raise KeyboardInterrupt
        replace(source, target)

    second = make_run(tmp_path / "b", [20.0, 80.0], seed=1)
    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        record_run(second, paper)
    monkeypatch.undo()
    assert (paper / "results" / "runs.jsonl").read_bytes() == before
    assert len(load_records(paper)) == 1
    record_run(second, paper)
    assert len(load_records(paper)) == 2
    left = {path.name for path in (paper / "results").iterdir()}
    assert left == {".lock", "runs.jsonl", "curves"}


RECORD_TEN = """
import json, sys
from pathlib import Path
from core.records import record_evaluation
for number in range(10):
    fields = json.loads(sys.argv[2]) | {"checkpoint": f"weights{sys.argv[3]}{number}"}
    record_evaluation(Path(sys.argv[1]), fields)
"""


def test_two_processes_lose_nothing(paper: Path) -> None:
    command = [sys.executable, "-c", RECORD_TEN, str(paper), json.dumps(evaluation())]
    workers = [subprocess.Popen([*command, number]) for number in "01"]
    assert [worker.wait() for worker in workers] == [0, 0]
    recorded = {line["checkpoint"] for line in lines(paper)}
    assert recorded == {f"weights{number:02}" for number in range(20)}


def test_evaluations(paper: Path) -> None:
    record_evaluation(paper, evaluation())
    record_evaluation(paper, evaluation(accuracy=85.2, loss=math.nan))
    record_evaluation(paper, evaluation(data={"name": "synthetic_ecg", "digest": "e"}), trial=True)
    first, second = load_records(paper)
    assert first.id == "orig_ecg_rf-qtdb-abababab"
    assert (first.kind, first.fields["accuracy"], first.fields["loss"]) == ("evaluate", 85.2, None)
    assert second.id == "orig_ecg_rf-synthetic_ecg-abababab"
    incomplete = evaluation()
    del incomplete["sop"], incomplete["commit"]
    with pytest.raises(UserError, match="lacks sop, commit; record one"):
        record_evaluation(paper, incomplete)


def test_broken_results_are_named(paper: Path, tmp_path: Path) -> None:
    record_run(make_run(tmp_path / "run", [20.0, 80.0]), paper)
    (paper / "results" / "curves" / "ecg_brf-seed0-01234567.csv").unlink()
    with pytest.raises(
        UserError, match=r"ecg_brf-seed0-01234567.csv does not exist: record its run again"
    ):
        load_records(paper)
    with (paper / "results" / "runs.jsonl").open("a") as stream:
        stream.write("{\n")
    with pytest.raises(UserError, match=r"runs.jsonl, line 2: cannot be read as JSON"):
        load_records(paper)


def test_counts_of_a_run_are_recorded(paper: Path, tmp_path: Path) -> None:
    counts = {"samples": 3, "layers": {"0": {"membrane_updates": 9}}}
    run = make_run(tmp_path / "run", [10.0, 20.0], counts=counts)
    assert record_run(run, paper).fields["counts"] == counts
    assert load_records(paper)[0].fields["counts"] == counts
    old = make_run(tmp_path / "old", [10.0, 20.0], seed=1)
    assert "counts" not in record_run(old, paper).fields
