from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import UserError
from core.records import (
    Row,
    load_claims,
    load_records,
    markdown,
    record_evaluation,
    record_run,
    refresh,
    runs_markdown,
    table,
    update_between_markers,
)
from core.records.layout import recipes_markdown

from .conftest import README, evaluation, make_run


def rows_of(paper: Path, *, compact: bool = False) -> str:
    rows = table(load_claims(paper / "claims.yaml"), load_records(paper))
    return markdown(rows, compact=compact)


def test_main_claims_first_the_rest_folded(paper: Path, tmp_path: Path) -> None:
    for seed, final in enumerate((85.0, 86.0, 86.4)):
        record_run(make_run(tmp_path / str(seed), [20.0, final], seed=seed), paper)
    first, chance, heading, main, *folded = rows_of(paper).split("\n\n")
    assert first.splitlines() == [
        "| kind | numbers | reproduced | lower | not run |",
        "| --- | --- | --- | --- | --- |",
        "| training | 3 | 1 | 1 | 1 |",
        "| weights evaluated | 1 |  |  | 1 |",
    ]
    assert chance == (
        "Expected outside (lower or higher) by chance, of 2 judged (training): about 0.1, even if "
        "every number is true. Rows share their runs, so that those outside come in groups."
    )
    assert heading == "**Table 1**"
    assert main.splitlines()[2] == (
        "| ECG | BRF | test accuracy (%) | 85.8 ± 0.7 (5 runs) | 85.80 ± 0.72 (3 of 5 runs) "
        "| +0.00 [-1.42, +1.42] | **reproduced** | `configs/ecg_brf.yaml` | selected on test |"
    )
    assert main.splitlines()[3].split(" | ")[3:7] == [
        "6000",
        "100.0 ± 0.0 (3 of 5 runs)",
        "-5900.0 [-5900.0, -5900.0]",
        "**lower**",
    ]
    assert folded[0] == ("<details><summary>checkpoints (weights evaluated: 1 not run)</summary>")
    assert "| no recorded evaluation yet; rounded |" in folded[1]
    assert folded[2] == "</details>"
    assert folded[3] == (
        "<details><summary>Tasks that are not in this package (training: 1 not run)</summary>"
    )
    assert "| SHD | RF | hours | 2 |" in folded[4]


def test_many_small_sources_share_a_table(paper: Path) -> None:
    rows = table(load_claims(paper / "claims.yaml"), [])
    accuracy = rows[0].claim
    many = [Row(replace(accuracy, source=f"paper {n}"), "not run") for n in (1, 2, 2)]
    _, only = markdown(many).split("\n\n")
    assert only.splitlines()[0].startswith("| source | task |")
    assert [line.split(" | ")[0] for line in only.splitlines()[2:]] == [
        *("| paper 1", "| paper 2", "| paper 2"),
    ]
    enough = [Row(replace(accuracy, source=f"paper {n}"), "not run") for n in (1, 1, 1, 2, 2, 2)]
    assert markdown(enough).count("**paper ") == 2


def test_compact_keeps_main_claims_with_a_result(paper: Path, tmp_path: Path) -> None:
    assert rows_of(paper, compact=True) == "Nothing has been run yet."
    record_evaluation(paper, evaluation())
    assert rows_of(paper, compact=True) == "Nothing has been run yet."
    run = make_run(tmp_path / "run", [20.0, 71.0], planned=400, status="interrupted")
    record_run(run, paper)
    head, _, *body = rows_of(paper, compact=True).splitlines()
    assert head == "| source | task | model | metric | published | ours | verdict | remark |"
    assert body == [
        "| Table 1 | ECG | BRF | test accuracy (%) | 85.8 ± 0.7 (5 runs) "
        "| epoch 1 of 400: 71.00 %; published at epoch 1: 70.00 % | partial |  |",
        "| Table 1 | ECG | BRF | spikes per sample | 6000 | epoch 1 of 400: 100 | partial |  |",
    ]


def test_runs_are_listed_with_their_cost(paper: Path, tmp_path: Path) -> None:
    assert runs_markdown(load_records(paper)) == "Nothing has been run yet."
    make_run(tmp_path / "run", [20.0, 71.0], planned=400, status="running", dirty=True)
    record_run(tmp_path / "run", paper)
    record_evaluation(paper, evaluation(backend="cpu|fused"))
    assert runs_markdown(load_records(paper)).splitlines()[2:] == [
        "| `ecg_brf-seed0-01234567` | 1/400, partial | 71.00 | 100.0 | a CPU | reference | 36.0 "
        "| c0ffee00 + changes |",
        r"| `orig_ecg_rf-qtdb-abababab` | evaluation | 85.11 | 11907.3 | cpu | cpu\|fused |  "
        "| c0ffee00 |",
    ]


def test_only_the_block_changes(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(
        "above\n<!-- core quick run -->\nold\n<!-- end -->\nbetween\n"
        "<!-- core figure -->\nkept\n<!-- end -->\nbelow\n"
    )
    assert update_between_markers(readme, "quick run", r"a \1 | new", write=False)
    assert "old" in readme.read_text()
    assert update_between_markers(readme, "quick run", r"a \1 | new")
    assert readme.read_text() == (
        "above\n<!-- core quick run -->\na \\1 | new\n<!-- end -->\nbetween\n"
        "<!-- core figure -->\nkept\n<!-- end -->\nbelow\n"
    )
    assert not update_between_markers(readme, "quick run", r"a \1 | new")


@pytest.mark.parametrize(
    "text",
    [
        "no block\n",
        "<!-- core table -->\n",
        "<!-- core table -->\n<!-- core other -->\n<!-- end -->\n",
        "<!-- core table -->\n<!-- end -->\n<!-- core table -->\n<!-- end -->\n",
        "<!-- core table toy -->\n<!-- end -->\n",
    ],
)
def test_a_missing_or_doubtful_block_is_refused(tmp_path: Path, text: str) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(text)
    with pytest.raises(UserError, match="must hold the lines <!-- core table --> and"):
        update_between_markers(readme, "table", "new")
    assert readme.read_text() == text


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"README.md does not exist"):
        update_between_markers(tmp_path / "README.md", "table", "new")


def test_refresh_finds_and_mends_stale_blocks(paper: Path, tmp_path: Path) -> None:
    own, project = paper / "README.md", tmp_path / "README.md"
    project.write_text("<!-- core table toy compact -->\n<!-- end -->\n")
    own.write_text(README + "<!-- core runs toy -->\n<!-- end -->\n")
    stale = [f"{own} (table toy)", f"{own} (runs toy)", f"{project} (table toy compact)"]
    pages = [paper / "results" / f"{name}.md" for name in ("table", "runs", "weights", "recipes")]
    before = own.read_text()
    assert refresh(paper, write=False) == stale + list(map(str, pages))
    assert own.read_text() == before
    assert not any(page.exists() for page in pages)
    assert refresh(paper, write=True) == stale + list(map(str, pages))
    assert refresh(paper, write=False) == []
    assert "Text that stays." in own.read_text()
    record_run(make_run(tmp_path / "run", [20.0, 85.0]), paper)
    assert refresh(paper, write=False) == stale + list(map(str, pages[:2]))


def test_the_readme_gives_the_command_of_each_row_and_the_page_all_rows(
    paper: Path, tmp_path: Path
) -> None:
    for seed in (0, 1, 2):
        command = f"python train.py --config configs/ecg_brf.yaml --clip 1 --seed {seed} --out x"
        run = make_run(tmp_path / str(seed), [20.0, 85.0], seed=seed, command=command)
        record_run(run, paper)
    refresh(paper, write=True)
    readme, page = ((paper / name).read_text() for name in ("README.md", "results/table.md"))
    row = next(line for line in readme.splitlines() if "| test accuracy (%) |" in line)
    assert row.endswith(
        "| `uv run --package toy core sweep toy train --config configs/ecg_brf.yaml "
        "--seeds 0-4 --record --set clip=1` |"
    )
    assert "| no recorded evaluation yet; rounded |" in page
    assert "| no recorded evaluation yet" not in readme
    assert page.startswith("# All published numbers: [toy](../README.md)\n")


def test_the_paper_must_show_its_table(paper: Path) -> None:
    (paper / "README.md").write_text("# Toy\n")
    with pytest.raises(UserError, match="<!-- core table toy -->"):
        refresh(paper, write=False)
    (paper / "README.md").unlink()
    with pytest.raises(UserError, match=r"README.md does not exist"):
        refresh(paper, write=False)


def test_recipes_say_what_to_expect_early_and_at_the_end(paper: Path) -> None:
    text = recipes_markdown(load_claims(paper / "claims.yaml"))
    assert text.splitlines()[2:] == [
        "| `configs/ecg_brf.yaml` | Table 1, ECG BRF | 85.8 ± 0.7 (5 runs) |"
    ]
    claims = (paper / "claims.yaml").read_text().replace("1: 70.0", "5: 70.0")
    (paper / "claims.yaml").write_text(claims)
    text = recipes_markdown(load_claims(paper / "claims.yaml"))
    assert "| 70.0 % after 5 epochs |" in text
