"""Runs side by side: who belongs together, what the table says, that curves are drawn."""

from __future__ import annotations

from pathlib import Path

import pytest

from core import cli
from core.errors import UserError
from core.records.compare import comparison_markdown, draw_comparison, grouped, read_runs
from core.testing import contents

from .conftest import make_run


def test_runs_of_one_setting_make_a_row(tmp_path: Path) -> None:
    make_run(tmp_path / "a", [20.0, 85.0, 80.0], seed=0)
    make_run(tmp_path / "b", [20.0, 86.0, 82.0], seed=1, threads=2, config={"threads": 2})
    make_run(tmp_path / "c", [20.0, 70.0], seed=0, config={"lr": 0.2}, status="running")
    groups = grouped(read_runs([tmp_path]))
    assert {label: len(runs) for label, runs in groups.items()} == {
        **{"ecg_brf, lr 0.1": 2, "ecg_brf, lr 0.2": 1}
    }
    _, _, first, second = comparison_markdown(groups).splitlines()
    assert first == (
        "| ecg_brf, lr 0.1 | qtdb | 2 | 2 | 81.00 ± 1.41 | 81.00 ± 1.41 | 200.0 ± 0.0 | 36.0 |"
    )
    assert second == "| ecg_brf, lr 0.2 | qtdb | 1 | 1 | 70.00 | 70.00 | 100.0 | 36.0 |"


def test_other_data_make_another_row(tmp_path: Path) -> None:
    make_run(tmp_path / "a", [20.0, 85.0])
    make_run(tmp_path / "b", [20.0, 86.0], data={"name": "synthetic_ecg", "digest": "e"})
    assert list(grouped(read_runs([tmp_path / "a", tmp_path / "b"]))) == [
        *("ecg_brf, qtdb", "ecg_brf, synthetic_ecg"),
    ]


def test_a_run_named_twice_counts_once(tmp_path: Path) -> None:
    make_run(tmp_path / "a", [20.0, 85.0])
    (group,) = grouped(read_runs([tmp_path, tmp_path / "a"])).values()
    assert len(group) == 1


def test_a_run_that_has_just_begun_keeps_no_other_out(tmp_path: Path) -> None:
    make_run(tmp_path / "a", [20.0, 85.0])
    (make_run(tmp_path / "b", [20.0], status="running") / "metrics.jsonl").write_text("")
    (make_run(tmp_path / "c", [20.0], status="running") / "metrics.jsonl").unlink()
    assert [run.folder.name for run in read_runs([tmp_path])] == ["a"]
    (tmp_path / "a" / "run.json").unlink()
    with pytest.raises(UserError, match="has not evaluated anything yet"):
        read_runs([tmp_path])


def test_no_run_is_an_error(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "gone"):
        with pytest.raises(UserError, match="is no run and holds none"):
            read_runs([place])


@pytest.mark.parametrize("name", ["", "a.xyz", "a"])
def test_a_picture_has_a_name_of_a_picture(name: str, tmp_path: Path) -> None:
    make_run(tmp_path / "run", [20.0, 85.0])
    before = contents(tmp_path)
    with pytest.raises(UserError, match=r"no name of a picture; let it end in \.png"):
        draw_comparison(grouped(read_runs([tmp_path])), tmp_path / name)
    assert contents(tmp_path) == before


def test_the_command_prints_the_table_and_draws(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_run(tmp_path / "a", [20.0, 85.0])
    cli.main(["compare", str(tmp_path)])
    out = capsys.readouterr().out
    assert "| ecg_brf | qtdb | 1 |" in out
    told = Path(out.splitlines()[-1].removeprefix("curves: "))  # from where the user stands
    assert told.resolve() == (tmp_path / "comparison.png").resolve()
    assert (tmp_path / "comparison.png").stat().st_size > 5000
