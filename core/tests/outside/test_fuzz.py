"""Every reader of outside files gives a value or a UserError, whatever the file holds.

No input hangs, takes much memory or raises anything else.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import nn

from core import checkpoints
from core.config import load_yaml, to_yaml
from core.config_ranges import number
from core.errors import UserError
from core.records import (
    Record,
    keep_weights,
    load_claims,
    load_manifest,
    load_orders,
    load_records,
    markdown,
    order_table,
    record_evaluation,
    record_run,
    runs_markdown,
    summary_markdown,
    table,
    update_between_markers,
)
from core.records.layout import weights_markdown
from core.testing.mutations import (
    COUNT,
    damaged,
    in_torch,
    odd_tensors,
    of_json,
    of_safetensors,
    of_yaml,
    outcomes,
    tensors_of_others,
)
from core.training.resume import restore  # the reader alone, without training on
from core.training.run_facts import read_facts
from core.training.run_folder import RunFolder

from ..records.conftest import CLAIMS, evaluation, make_paper, make_run
from ..training_toy import make_job, train


@dataclass(frozen=True)
class Config:
    lr: float = number(0.1, above=0, most=1)
    epochs: int = number(3, least=0, most=100)
    model: Literal["a", "b"] = "a"
    sizes: list[int] = number([1, 2], least=1, most=100)
    out: Path | None = None
    fast: bool = True


def test_config(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    outcomes(path, of_yaml(to_yaml(Config()), 1), lambda: load_yaml(Config, path))


def test_facts_of_a_run(tmp_path: Path) -> None:
    paper, run = make_paper(tmp_path), make_run(tmp_path / "run", [20.0, 85.5])
    path = run / "run.json"
    text = json.dumps(json.loads(path.read_text()) | {"tests": {"accuracy": 1, "accuracy_std": 2}})

    def read() -> None:
        read_facts(run)
        keep_weights(run, paper, record_run(run, paper, replace=True))

    outcomes(path, of_json(text, 2), read)
    everywhere = [p for p in tmp_path.rglob("*") if "evil" in p.name]
    assert everywhere == []


@pytest.mark.parametrize("status", ["finished", "running"])
def test_metrics_of_a_run(status: str, tmp_path: Path) -> None:
    paper, run = make_paper(tmp_path), make_run(tmp_path / "run", [20.0, 85.5], status=status)
    path = run / "metrics.jsonl"
    outcomes(path, of_json(path.read_text(), 3), lambda: record_run(run, paper, replace=True))


def test_settings_of_a_run(tmp_path: Path) -> None:
    paper, run = make_paper(tmp_path), make_run(tmp_path / "run", [20.0, 85.5])
    path = run / "config.yaml"
    outcomes(path, damaged_and_not_a_mapping(path), lambda: record_run(run, paper, replace=True))


def damaged_and_not_a_mapping(path: Path) -> Iterator[bytes]:
    content = path.read_bytes()
    yield from damaged(content, 4)
    yield from (b"- " + line for line in damaged(content, 5))


def read_results(paper: Path, records: Sequence[Record]) -> None:
    rows = table(load_claims(paper / "claims.yaml"), records)
    orders = order_table(load_orders(paper / "claims.yaml"), records)
    markdown(rows, orders)
    markdown(rows, orders, compact=True)
    runs_markdown(records)
    summary_markdown(records)
    json.dumps([row.as_dict() for row in rows], allow_nan=False)


def read_all(paper: Path) -> None:
    read_results(paper, load_records(paper))


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    paper = make_paper(tmp_path)
    for seed in (0, 1):
        record_run(make_run(tmp_path / f"run{seed}", [20.0, 85.5], seed=seed), paper)
    record_evaluation(paper, evaluation())
    return paper


def test_recorded_lines(recorded: Path) -> None:
    path = recorded / "results" / "runs.jsonl"
    outcomes(
        path, of_json(path.read_text(), 6), lambda: read_results(recorded, load_records(recorded))
    )


def test_recorded_curves(recorded: Path) -> None:
    path = recorded / "results" / "curves" / "ecg_brf-seed0-01234567.csv"
    content = path.read_bytes()

    def inputs() -> Iterator[bytes]:
        yield from damaged(content, 7)
        for seed, start in ((8, b""), (9, content.splitlines(keepends=True)[0])):
            yield from list(start + text for text in damaged(content, seed))[: COUNT // 4]

    outcomes(path, inputs(), lambda: read_all(recorded))


def test_claims(recorded: Path) -> None:
    path = recorded / "claims.yaml"
    orders = (
        "orders:\n- {id: o, source: s, sentence: t, task: ecg, metric: sop, selection: last, "
        "lower: configs/a.yaml, higher: configs/ecg_brf.yaml}\n"
    )
    records = load_records(recorded)
    outcomes(path, of_yaml(CLAIMS + orders, 10), lambda: read_results(recorded, records))


def test_manifest_of_kept_weights(tmp_path: Path) -> None:
    paper, run = make_paper(tmp_path), make_run(tmp_path / "run", [20.0, 85.5])
    keep_weights(run, paper, record_run(run, paper))
    path = paper / "checkpoints" / "manifest.yaml"
    outcomes(path, of_yaml(path.read_text(), 11), lambda: weights_markdown(load_manifest(paper)))


def test_readme(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    content = b"# Toy\n\n<!-- core table toy -->\n<!-- end -->\n\nText.\n"

    def inputs() -> Iterator[bytes]:
        yield from damaged(content, 12)
        yield from damaged(content * 2, 13)

    outcomes(path, inputs(), lambda: update_between_markers(path, "table toy", "x", write=False))


# --- tensors --------------------------------------------------------------------------------------

MANIFEST = {"paper": "toy", "config": {"lr": 0.1}, "task": "ecg", "model": "brf", "epoch": 1}


def network() -> nn.Module:
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    net.register_buffer("permutation", torch.arange(5))
    return net


def test_checkpoints(tmp_path: Path) -> None:
    path, weights = tmp_path / "a.safetensors", network().state_dict()

    def read() -> None:
        checkpoints.build_with(network, checkpoints.load_of_paper(path, "toy").weights, "a")

    outcomes(path, of_safetensors(weights, MANIFEST, 14), read)


def test_state_dicts_of_others(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    content = {"epoch": 3, "model_state_dict": dict(network().state_dict())}

    def read() -> None:
        checkpoints.build_with(network, checkpoints.load_foreign(path), "a.pt")

    outcomes(path, tensors_of_others(content, 16), read)


def test_resume_states(tmp_path: Path) -> None:
    train(tmp_path, make_job())
    path = tmp_path / "resume.pt"
    content = checkpoints.load_resume_state(path)
    content["model"] = dict(content["model"])
    job = make_job()

    def read() -> None:
        restore(job, RunFolder(tmp_path))

    outcomes(path, tensors_of_others(content, 18), read)


@pytest.mark.parametrize("kind", odd_tensors())
def test_a_tensor_that_is_no_weight(kind: str, tmp_path: Path) -> None:
    path, net = tmp_path / "a.pt", network()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        weights = {**net.state_dict(), "0.weight": odd_tensors()[kind]()}
        path.write_bytes(in_torch(weights))
    if kind == "a parameter":
        checkpoints.load_into(net, checkpoints.load_foreign(path), "a.pt")
        assert not net[0].weight.any()  # type: ignore[index]
        return
    with pytest.raises(UserError, match=r"0\.weight"):
        checkpoints.load_into(net, checkpoints.load_foreign(path), "a.pt")
