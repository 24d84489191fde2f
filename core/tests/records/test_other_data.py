"""Runs on a stand-in of the data set, runs that select by accuracy, and counted networks."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.errors import UserError
from core.records import (
    Claim,
    Record,
    Row,
    Task,
    keep_weights,
    load_claims,
    load_manifest,
    load_records,
    markdown,
    record_counts,
    record_evaluation,
    record_run,
    runs_markdown,
    summary_markdown,
    table,
)
from core.records.layout import weights_markdown

from .conftest import CLAIMS, CONFIG, evaluation, make_run

HERE = {"name": "shd-regenerated", "digest": "d"}


@pytest.fixture
def spoken(paper: Path) -> Path:
    """The toy paper, its data set with a stand-in, one configuration with a protocol."""
    text = CLAIMS.replace("data: qtdb,", "data: shd, stand_in: shd-regenerated,")
    text = text.replace("min_validation_loss", "max_validation_accuracy")
    (paper / "claims.yaml").write_text(text.replace("seeds: 5,", "evidence: second-hand,"))
    config = {**CONFIG, "protocol": "published"}
    (paper / "configs" / "ecg_brf.yaml").write_text(yaml.safe_dump(config))
    return paper


def recorded(paper: Path, run: Path, accuracies: list[float], **facts: Any) -> Record:
    settings = {"protocol": "published", **facts.pop("config", {})}
    facts = {"data": HERE, "selects": "val_accuracy", "config": settings, **facts}
    return record_run(make_run(run, accuracies, **facts), paper, trial=True)


def rows(paper: Path) -> list[Row]:
    return table(load_claims(paper / "claims.yaml"), load_records(paper))


def test_a_stand_in_is_shown_but_never_judged(spoken: Path, tmp_path: Path) -> None:
    recorded(spoken, tmp_path / "a", [20.0, 85.0])
    recorded(spoken, tmp_path / "b", [20.0, 86.6], seed=1)
    accuracy, sop, *_ = rows(spoken)
    assert (accuracy.verdict, accuracy.ours_mean, accuracy.n) == ("other data", 85.8, 2)
    assert accuracy.ours_mean == accuracy.claim.value, "equal, and still not reproduced"
    assert accuracy.reason == "ours on shd-regenerated, protocol published"
    assert (sop.verdict, sop.ours_mean) == ("other data", 100.0)
    text = markdown(rows(spoken))
    assert "| training | 3 | 2 | 1 |" in text
    assert "| metric | published | evidence | ours |" in text
    assert (
        "| 85.8 ± 0.7 | second-hand | 85.80 ± 1.13 (2 of 5 runs) | **other data** "
        "| `configs/ecg_brf.yaml` | selected on test; ours on shd-regenerated, protocol published |"
        in text
    )
    assert "**other data**" in markdown(rows(spoken), compact=True)


def test_the_data_set_itself_comes_first(spoken: Path, tmp_path: Path) -> None:
    recorded(spoken, tmp_path / "a", [20.0, 85.0])
    recorded(spoken, tmp_path / "b", [20.0, 85.7], seed=1, data={"name": "shd", "digest": "e"})
    accuracy = rows(spoken)[0]
    assert (accuracy.verdict, accuracy.ours_mean, accuracy.n) == ("too few runs", 85.7, 1)


def test_published_weights_on_a_stand_in_are_shown(spoken: Path) -> None:
    record_evaluation(spoken, evaluation(data=HERE))
    weights = rows(spoken)[2]
    assert (weights.verdict, weights.ours_mean) == ("other data", 85.114)
    assert (weights.difference, weights.reason) == (None, "ours on shd-regenerated; rounded")
    record_evaluation(spoken, evaluation(data={"name": "shd", "digest": "e"}))
    assert rows(spoken)[2].verdict == "reproduced"


def test_other_names_are_no_stand_in(spoken: Path, tmp_path: Path) -> None:
    recorded(spoken, tmp_path / "a", [20.0, 85.0], data={"name": "synthetic-shd", "digest": "e"})
    accuracy = rows(spoken)[0]
    assert (accuracy.verdict, accuracy.reason) == ("not run", "no recorded run yet")


def test_a_note_follows_the_data(spoken: Path, tmp_path: Path) -> None:
    record = recorded(spoken, tmp_path / "a", [20.0, 85.0])
    noted = dataclasses.replace(load_claims(spoken / "claims.yaml")[0], note="one seed")
    (row,) = table([noted], [record])
    assert row.reason == "ours on shd-regenerated, protocol published; one seed"


def test_unfinished_and_changed_runs_say_where_they_are(spoken: Path, tmp_path: Path) -> None:
    recorded(spoken, tmp_path / "a", [20.0, 85.0], config={"protocol": "held-out"})
    assert (rows(spoken)[0].verdict, rows(spoken)[0].reason) == (
        "not run",
        "on shd-regenerated: recorded runs differ from configs/ecg_brf.yaml in protocol",
    )
    recorded(spoken, tmp_path / "b", [20.0, 71.0], seed=1, status="running", planned=30)
    accuracy = rows(spoken)[0]
    assert accuracy.verdict == "partial"
    assert accuracy.reason is not None
    assert accuracy.reason.startswith("on shd-regenerated: epoch 1 of 30: 71.00 %")


# ---- the epoch that validation selects


def accuracy_run(folder: Path, **facts: Any) -> Path:
    """Best by accuracy at epoch 1 (epoch 3 ties with it), by loss at epoch 2."""
    accuracies, losses = [20.0, 86.0, 80.0, 86.0], [2.0, 0.6, 0.5, 0.9]
    return make_run(folder, accuracies, val_losses=losses, **facts)


def test_a_run_that_selects_by_accuracy(paper: Path, tmp_path: Path) -> None:
    record = record_run(accuracy_run(tmp_path / "run", selects="val_accuracy"), paper)
    assert record.fields["selects"] == "val_accuracy"
    assert record.fields["best"]["epoch"] == 1
    by_loss = record_run(accuracy_run(tmp_path / "loss", seed=1), paper)
    assert (by_loss.fields["selects"], by_loss.fields["best"]["epoch"]) == ("val_loss", 2)


@pytest.mark.parametrize("selects", ["val_loss", "val_accuracy"])
def test_a_claim_selects_its_own_epoch(paper: Path, tmp_path: Path, selects: str) -> None:
    record = record_run(accuracy_run(tmp_path / "run", selects=selects), paper)
    by_loss, *_ = load_claims(paper / "claims.yaml")
    by_accuracy = dataclasses.replace(by_loss, selection="max_validation_accuracy")
    values = [row.ours_mean for row in table([by_loss, by_accuracy], [record])]
    assert values == [80.0, 86.0]


def test_weights_of_another_epoch_are_refused(paper: Path, tmp_path: Path) -> None:
    run = accuracy_run(tmp_path / "run")  # weights of the least loss
    facts = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**facts, "selects": "val_accuracy"}))
    with pytest.raises(UserError, match="has the best validation accuracy at epoch 1"):
        record_run(run, paper)
    (run / "run.json").write_text(json.dumps({**facts, "selects": "test_accuracy"}))
    with pytest.raises(UserError, match="selects must be one of val_accuracy, val_loss"):
        record_run(run, paper)


# ---- networks that are counted


COUNTED = Claim(
    id="size",
    source="code",
    task=Task(name="shd", title="SHD", data="shd", samples=9),
    model="LIF",
    metric="parameters",
    value=1734,
    tolerance=0,
    network={"hidden": 3},
)


def test_a_network_is_judged_by_its_count(paper: Path) -> None:
    (row,) = table([COUNTED], [])
    assert (row.verdict, row.reason) == ("not run", "not counted yet")
    record_counts(paper, {"size": 1735, "else": 1}, {"command": "count.py"})
    assert table([COUNTED], load_records(paper))[0].verdict == "higher"
    record_counts(paper, {"size": 1734}, {"command": "count.py"})
    (record,) = load_records(paper)
    assert (record.id, record.kind, record.fields["command"]) == ("parameters", "count", "count.py")
    (row,) = table([COUNTED], [record])
    assert (row.verdict, row.ours_mean, row.n) == ("reproduced", 1734.0, 1)
    assert "| parameters | 1734 | 1734 | +0 | **reproduced** |" in markdown([row])
    computed = dataclasses.replace(row, claim=dataclasses.replace(COUNTED, evidence="computed"))
    assert markdown([row, computed, computed]).splitlines()[:4] == [
        "| kind | numbers | reproduced |",
        "| --- | --- | --- |",
        "| exact | 1 | 1 |",
        "| exact, computed with the authors' code | 2 | 2 |",
    ]
    rounded = dataclasses.replace(COUNTED, value=1.7e3, tolerance=50)
    assert table([rounded], [record])[0].verdict == "reproduced"
    assert runs_markdown([record]) == summary_markdown([record]) == "Nothing has been run yet."


# ---- what our runs gave


def summary(paper: Path) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in summary_markdown(load_records(paper)).splitlines()
    ]


def test_summary_groups_seeds_and_parts_protocols(spoken: Path, tmp_path: Path) -> None:
    recorded(spoken, tmp_path / "a", [20.0, 85.0, 84.0])
    recorded(spoken, tmp_path / "b", [20.0, 86.0, 84.0], seed=1)
    recorded(spoken, tmp_path / "c", [20.0, 70.0], status="running", planned=9, seed=2)
    held_out = make_run(
        tmp_path / "d",
        [20.0, 82.0, 83.0],
        val_losses=[3.0, 1.0, 2.0],
        data=HERE,
        config={"protocol": "held-out", "lr": 0.2},
        config_hash="feedbeef0000",
    )
    metrics = [json.loads(line) for line in (held_out / "metrics.jsonl").read_text().splitlines()]
    for row in metrics:
        row |= {"val_accuracy": 90.0, "rate": 0.05}
    (held_out / "metrics.jsonl").write_text("\n".join(map(json.dumps, metrics)))
    record_run(held_out, spoken, trial=True)
    head, _, published, other = summary(spoken)
    assert head[:3] == ["run of", "data", "protocol"]
    assert dict(zip(head, published, strict=True)) == {
        **{"run of": "`configs/ecg_brf.yaml`", "data": "shd-regenerated", "protocol": "published"},
        **{"runs": "2", "epochs": "2", "last epoch (%)": "84.00 ± 0.00"},
        "test accuracy, selected (%)": "85.50 ± 0.71, on the test set",
        "best test epoch (%)": "85.50 ± 0.71",
        **{"spikes per sample": "100.0 ± 0.0", "spikes per neuron and step": ""},
        "s per epoch": "36.0",
    }
    assert dict(zip(head, other, strict=True)) == {
        **{"run of": "`configs/ecg_brf.yaml`, lr 0.2", "data": "shd-regenerated"},
        **{"protocol": "held-out", "runs": "1", "epochs": "2", "last epoch (%)": "83.00"},
        **{"test accuracy, selected (%)": "82.00", "best test epoch (%)": "83.00"},
        **{"spikes per sample": "100.0", "spikes per neuron and step": "0.0500"},
        "s per epoch": "36.0",
    }


def test_summary_shows_repeated_tests(paper: Path, tmp_path: Path) -> None:
    for seed, (mean, std) in enumerate([(84.0, 0.2), (86.0, 0.4)]):
        tests = {"accuracies": [mean - std, mean + std], "accuracy": mean, "accuracy_std": std}
        record_run(make_run(tmp_path / str(seed), [20.0, 85.0], seed=seed, tests=tests), paper)
    assert load_records(paper)[0].fields["tests"]["accuracies"] == [83.8, 84.2]
    head, _, line = summary(paper)
    cells = dict(zip(head, line, strict=True))
    assert cells["tested again (%)"] == "85.00 ± 1.41, within a run ± 0.30"


def test_summary_without_protocol_and_rate(paper: Path, tmp_path: Path) -> None:
    record_run(make_run(tmp_path / "a", [20.0, 85.0]), paper)
    record_run(make_run(tmp_path / "b", [20.0], seed=1, status="running"), paper)
    head, _, line = summary(paper)
    assert not {"protocol", "tested again (%)"} & set(head)
    assert "spikes per neuron and step" not in head
    assert line[:2] == ["`configs/ecg_brf.yaml`", "qtdb"]


def test_runs_show_their_data_where_there_is_a_protocol(spoken: Path, tmp_path: Path) -> None:
    recorded(spoken, tmp_path / "a", [20.0, 85.0])
    head, _, line = runs_markdown(load_records(spoken)).splitlines()
    assert head.startswith("| record | data, protocol | epochs |")
    assert line.split(" | ")[1] == "shd-regenerated, published"


def test_the_rate_is_kept_where_it_is_measured(paper: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", [20.0, 85.0])
    lines = (run / "metrics.jsonl").read_text().splitlines()
    (run / "metrics.jsonl").write_text(
        "\n".join(json.dumps(json.loads(line) | {"rate": 0.25}) for line in lines)
    )
    record = record_run(run, paper)
    assert record.fields["best"]["rate"] == 0.25
    assert [row["rate"] for row in record.curve] == [0.25, 0.25]


def test_weights_of_a_changed_recipe_have_a_name_of_their_own(spoken: Path, tmp_path: Path) -> None:
    recipe = recorded(spoken, tmp_path / "a", [20.0, 85.0])
    settings = {"protocol": "held-out"}
    changed = recorded(
        spoken, tmp_path / "b", [20.0, 84.0], config=settings, config_hash="feedbeef0000"
    )
    names = [keep_weights(tmp_path / n, spoken, r).name for n, r in (("a", recipe), ("b", changed))]
    assert names == ["ecg_brf-seed0.safetensors", "ecg_brf-seed0-feedbeef.safetensors"]
    other, plain = load_manifest(spoken)
    assert (other["changed"], plain.get("changed")) == ({"protocol": "held-out"}, None)
    text = weights_markdown([other, plain])
    assert "seed 0, `configs/ecg_brf.yaml`, protocol held-out |" in text
    assert "seed 0, `configs/ecg_brf.yaml` |" in text
