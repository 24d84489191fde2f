"""Claims of order: read, tested between groups of recorded runs, laid out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from core.errors import UserError
from core.records import load_orders, load_records, markdown, order_table, record_run
from core.records.orders import ORDER_VERDICTS, OrderRow

from .conftest import CLAIMS, CONFIG, make_run

ORDERS = """
our_seeds: 0-3
orders:
- {id: accuracy, source: abstract, sentence: BRF beats RF, task: ecg, metric: test_accuracy,
   selection: last, lower: configs/ecg_rf.yaml, higher: configs/ecg_brf.yaml, main: true}
- {id: spikes, source: abstract, sentence: BRF spikes less than RF, task: ecg, metric: sop,
   selection: last, lower: configs/ecg_brf.yaml, higher: configs/ecg_rf.yaml}
- {id: far, source: abstract, sentence: BRF beats RF on SHD, task: shd, metric: epochs_to_95}
"""


@pytest.fixture
def ordered(paper: Path) -> Path:
    (paper / "claims.yaml").write_text(CLAIMS + ORDERS)
    (paper / "configs" / "ecg_rf.yaml").write_text(yaml.safe_dump(CONFIG))
    return paper


def rows(paper: Path) -> list[OrderRow]:
    return order_table(load_orders(paper / "claims.yaml"), load_records(paper))


def record(paper: Path, folder: Path, model: str, finals: list[float]) -> None:
    for seed, final in enumerate(finals):
        run = make_run(
            folder / f"{model}{seed}",
            [20.0, 60.0, final],
            seed=seed,
            config_file=f"configs/ecg_{model}.yaml",
        )
        record_run(run, paper)


def test_groups_are_tested_against_each_other(ordered: Path, tmp_path: Path) -> None:
    assert [row.verdict for row in rows(ordered)] == ["not run"] * 3
    assert rows(ordered)[0].reason == "no finished run of ecg_rf, ecg_brf yet"
    assert rows(ordered)[2].reason == "not part of this package yet"
    record(ordered, tmp_path, "brf", [85.0, 86.0, 85.5, 85.7, 10.0])  # seed 4 is not declared
    record(ordered, tmp_path, "rf", [80.0, 81.0])
    accuracy, *_ = rows(ordered)
    assert accuracy.verdict == "too few runs"
    record(ordered, tmp_path, "rf", [80.0, 81.0, 80.5])
    accuracy, spikes, _ = rows(ordered)
    assert accuracy.lower is not None
    assert accuracy.higher is not None
    assert (len(accuracy.lower.values), len(accuracy.higher.values)) == (3, 4)
    assert (accuracy.verdict, spikes.verdict) == ("holds", "undecided")
    assert accuracy.order is not None
    assert accuracy.order.pairs == 1.0
    fields = json.loads(json.dumps(accuracy.as_dict()))
    assert (fields["kind"], fields["verdict"]) == ("order", "holds")
    assert {row.verdict for row in rows(ordered)} <= set(ORDER_VERDICTS)


def test_orders_have_a_table_of_their_own(ordered: Path, tmp_path: Path) -> None:
    record(ordered, tmp_path, "brf", [85.0, 86.0, 85.5])
    record(ordered, tmp_path, "rf", [85.0, 86.0, 85.5])
    text = markdown([], rows(ordered))
    assert "the main claims that were tested (1), and over the others (1)" in text
    assert (
        "| abstract | ECG | BRF beats RF | test accuracy (%), last epoch "
        "| `ecg_rf` 85.50 ± 0.50 (3 runs) | `ecg_brf` 85.50 ± 0.50 (3 runs) | 0.5 | 50 % "
        "| **undecided** |  |" in text
    )
    assert "<summary>Further claims of order (1 undecided, 1 not run)</summary>" in text
    compact = markdown([], rows(ordered), compact=True)
    assert "BRF beats RF |" in compact
    assert "BRF spikes less" not in compact


def test_dead_runs_are_named(ordered: Path, tmp_path: Path) -> None:
    record(ordered, tmp_path, "brf", [85.0, 86.0, 85.5])
    record(ordered, tmp_path, "rf", [20.0, 81.0, 80.5])
    text = (ordered / "claims.yaml").read_text().replace("samples: 141", "samples: 141, chance: 20")
    (ordered / "claims.yaml").write_text(text)
    assert rows(ordered)[0].remarks == ["ecg_rf seed 0 at chance from epoch 2"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("sentence: BRF beats RF,", "", "entry 1 of orders lacks sentence"),
        ("task: ecg, metric: sop", "task: gsc, metric: sop", "'spikes': field 'task' is 'gsc'"),
        ("metric: sop", "metric: spikes", "entry 2 of orders: metric must be one of .*'spikes'"),
        ("   selection: last, lower: configs/ecg_brf", "   lower: configs/ecg_brf", "'selection'"),
        ("higher: configs/ecg_rf.yaml}", "note: x}", "unknown field 'note'"),
        (", higher: configs/ecg_rf.yaml}", "}", "'spikes': needs lower and higher, or a reason"),
        ("id: spikes", "id: accuracy", "two orders have the id 'accuracy'"),
        ("our_seeds: 0-3", "our_seeds: some", "'our_seeds' must be like 0-4 or"),
    ],
)
def test_a_wrong_order_is_refused(ordered: Path, old: str, new: str, message: str) -> None:
    assert old in ORDERS
    (ordered / "claims.yaml").write_text(CLAIMS + ORDERS.replace(old, new, 1))
    with pytest.raises(UserError, match=message):
        load_orders(ordered / "claims.yaml")
