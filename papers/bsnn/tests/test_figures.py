"""Figure 4 and its table, from invented records; the page and the README show today's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bsnn import figures
from bsnn.config import PAPER
from bsnn.figures import draw, draw_all, table, table_of_tried
from bsnn.series import SERIES, baseline_rate, experiments_of, tried
from core.outside.text import read_text
from core.records import load_records
from core.records.store import Record


def record(name: str, seed: int, accuracies: list[float], rate: float, **more: Any) -> Record:
    """A finished run whose epoch 0 must not count."""
    curve = [
        {
            "epoch": epoch,
            "val_accuracy": accuracy,
            "val_batch_rate": rate if epoch else 1.0,
            "val_balance_lowpass": 0.5,
        }
        for epoch, accuracy in enumerate([99.9, *accuracies])
    ]
    fields = {
        **{"id": f"{name}-{seed}", "kind": "train", "status": "finished", "seed": seed},
        **{"config_file": f"configs/{name}.yaml", "tests": {"accuracy": 10.0 * (seed + 1)}},
        **more,
    }
    return Record(fields, curve, sorted(more.get("config", {})))


RECORDS = [
    record("fig4_baseline_multispike", 0, [50, 60, 70, 80, 90, 80], 1e-3),
    record("fig4_baseline_multispike", 1, [50, 60, 70, 80, 70, 90], 3e-3),
    record("fig4_lsm", 0, [60, 60, 60, 60, 60, 60], 1e-5),
    record("fig4_lsm", 2, [99, 99, 99, 99, 99, 99], 1.0),  # of no declared seed
    record("fig4_lsm", 1, [99, 99, 99, 99, 99, 99], 1.0, status="partial"),
    record("clean_lsm", 0, [99, 99, 99, 99, 99, 99], 1.0),
]


def test_what_the_table_says() -> None:
    found = experiments_of(RECORDS, SERIES["published"])
    assert [(e.label, len(e.runs)) for e in found] == [("baseline", 2), ("LSM", 1)]
    text = table(found, baseline_rate(found))
    lines = [[c.strip() for c in line.split("|")[1:-1]] for line in text.splitlines()]
    header, _, baseline, lsm = lines
    row = dict(zip(header, baseline, strict=True))
    assert row["best (%)"] == "90.00"
    assert row["trial mean (%)"] == "85.00"  # 80 and 90 in the last epoch
    assert row["last 5 epochs (%)"] == "75.00 ± 1.41"  # 76 and 74
    assert row["test of the best trial (%)"] == "10.00"
    assert row["spikes per neuron and step"] == "0.002"
    assert row["beside the baseline"] == ""
    row = dict(zip(header, lsm, strict=True))
    assert (row["trials"], row["beside the baseline"]) == ("1", "99.5 % fewer")
    assert row["balance"] == "0.500"
    assert "100.0 times as many" in table(found[1:], 1e-7)


def test_what_was_tried_has_a_line_for_each_set_of_changes() -> None:
    died = {"status": "failed", "epochs_done": 1}
    more = [
        record("fig4_lsm", 3, [70, 71], 1e-3, config={"reset": "threshold"}),
        record("fig4_lsm", 0, [60, 61], 1e-3, config={"reset": "threshold"}),
        record("fig4_lsm", 1, [99], 1e-3, config={"reset": "threshold"}, **died),
        record("fig4_lsm", 0, [99], 1e-3, config={"repeat": 20, "n_epochs": 2}, **died),
        record("fig4_lsm", 1, [99, 99], 1.0, config={"repeat": 9}, status="partial"),
        record("clean_lsm", 1, [99, 99], 1.0, config={"repeat": 20}),
    ]
    found = tried([*RECORDS, *more])
    assert [e.label for e in found] == [
        "LSM; n_epochs 2, repeat 20",
        "LSM; other seeds",
        "LSM; reset threshold",
        "LSM, clean; repeat 20",
    ]
    text = table_of_tried(found, 2e-3)
    assert "| LSM; n_epochs 2, repeat 20 | 0 (died after epoch 1) |  |" in text
    assert "| LSM; other seeds | 2 | 99.00 |" in text
    assert "| LSM; reset threshold | 0, 3, 1 (died after epoch 1) | 71.00 | 66.00 |" in text
    assert table_of_tried(found[:1], None).count("\n") == 2


def test_the_figure_has_three_panels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    band = figures._band

    def note(axis: Any, values: np.ndarray, label: str, color: str) -> None:
        seen.append((axis, values.shape))
        band(axis, values, label, color)

    monkeypatch.setattr(figures, "_band", note)
    path = draw(experiments_of(RECORDS, SERIES["published"]), tmp_path / "f.png", title="t")
    assert path.stat().st_size > 10_000
    assert len({id(axis) for axis, _ in seen}) == 3
    assert {shape for _, shape in seen} == {(2, 6), (1, 6)}


def test_all_is_drawn_and_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "README.md").write_text("<!-- core figure 4 -->\n<!-- end -->\n")
    monkeypatch.setattr(figures, "PAPER", tmp_path)
    monkeypatch.setattr(figures, "PAGE", tmp_path / "results" / "figure4.md")
    monkeypatch.setattr(figures, "FOLDER", tmp_path / "results" / "figures")
    monkeypatch.setattr(figures, "load_records", lambda folder: RECORDS)
    (tmp_path / "results").mkdir()
    drawn = list(draw_all(print))
    assert [entry.path.name for entry in drawn] == ["figure4_published.png", "figure4_clean.png"]
    assert "1 to 2 runs" in drawn[0].caption
    assert "| baseline | 2 |" in (tmp_path / "README.md").read_text()
    page = (tmp_path / "results" / "figure4.md").read_text()
    assert page.index("## Protocol published") < page.index("## Protocol clean")


def test_the_readme_shows_the_records() -> None:
    found = experiments_of(load_records(PAPER), SERIES["published"])
    shown = table(found, baseline_rate(found)) if found else "Nothing has been run yet."
    assert f"<!-- core figure 4 -->\n{shown}\n<!-- end -->" in read_text(PAPER / "README.md")
