"""Figures from records, and the page that shows them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from core.errors import UserError
from core.records import load_claims, load_records, record_run
from core.records.claims import load_titles
from core.records.pictures import (
    Drawn,
    _labels,
    draw_claims,
    draw_convergence,
    draw_shared,
    show_figures,
)

from .conftest import make_run

ROOT = Path(__file__).parents[3]


def picture(paper: Path, name: str) -> Path:
    path = paper / "results" / "figures" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"picture")
    return path


def test_a_figure_that_cannot_be_drawn_again_stays(paper: Path) -> None:
    page = paper / "results" / "figures.md"
    one, two = (Drawn(picture(paper, f"{name}.png"), f"{name}: text.") for name in ("one", "two"))
    show_figures(paper, [one, two])
    assert "![one](figures/one.png)\n\n*one: text.*" in page.read_text()
    before = page.read_text()
    show_figures(paper, [two])
    assert page.read_text() == before
    one.path.unlink()
    show_figures(paper, [])
    assert "one.png" not in page.read_text()
    assert "two.png" in page.read_text()


def test_every_paper_has_a_dot_per_claim_and_convergence(paper: Path, tmp_path: Path) -> None:
    for seed in (0, 1):
        record_run(make_run(tmp_path / str(seed), [20.0, 85.0], seed=seed), paper)
    names = [path.name for path, _ in draw_shared(paper)]
    assert names[0] == "claims.png"
    assert len(names) == 2
    assert names[1].startswith("convergence_")
    (curves,) = draw_convergence(
        load_claims(paper / "claims.yaml"), load_records(paper), tmp_path / "figures"
    )
    assert "(n = 2; " in curves.caption
    assert draw_claims([paper, paper], tmp_path / "all.png").path.stat().st_size > 5000


def test_networks_are_called_by_their_claim_their_title_or_their_file() -> None:
    names = {"configs/a.yaml": "BRF", "configs/b.yaml": "BRF", "configs/c.yaml": "RF"}
    configs = [*names, "configs/d.yaml", "configs/e_3.yaml", "configs/f_4.yaml"]
    assert list(_labels(names, configs, {"configs/d.yaml": "ALIF 36"}).values()) == [
        *("BRF (a)", "BRF (b)", "RF", "ALIF 36", "e_3", "f_4"),
    ]


def test_titles_stand_in_the_claims(paper: Path) -> None:
    file = paper / "claims.yaml"
    assert load_titles(file) == {}
    text = file.read_text()
    file.write_text(f"{text}\ntitles: {{configs/ecg_brf.yaml: BRF 36}}\n")
    assert load_titles(file) == {"configs/ecg_brf.yaml": "BRF 36"}
    for wrong in ("configs/gone.yaml: x", "../claims.yaml: x", "configs/ecg_brf.yaml: 3"):
        file.write_text(f"{text}\ntitles: {{{wrong}}}\n")
        with pytest.raises(UserError, match="titles"):
            load_titles(file)


@pytest.mark.parametrize("paper_folder", sorted((ROOT / "papers").glob("*/claims.yaml")))
def test_every_figure_is_shown_by_a_page(paper_folder: Path) -> None:
    results = paper_folder.parent / "results"
    pages = [*results.glob("*.md"), paper_folder.parent / "README.md"]
    shown = set()
    for page in pages:
        links = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", page.read_text(encoding="utf-8"))
        shown |= {(page.parent / link).resolve() for link in links}
    drawn = {path.resolve() for path in (results / "figures").glob("*")}
    assert drawn - shown == set(), "a figure that no page shows"
    assert [path for path in shown if not path.is_file()] == []
