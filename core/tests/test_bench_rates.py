"""Products by spikes beside dense ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from core import cli, projection
from core.bench import rates
from core.bench.rates import Point, break_even, spike_rates


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def test_break_even_lies_between_two_rates() -> None:
    points = [Point(8, 0.1, 1.0, 2.0), Point(8, 0.2, 2.0, 2.0), Point(8, 0.3, 4.0, 2.0)]
    assert break_even(points) == pytest.approx(0.2)
    assert break_even([Point(8, 0.1, 1.0, 2.0), Point(8, 0.3, 4.0, 2.0)]) == pytest.approx(0.2)
    assert break_even([Point(8, 0.1, 3.0, 2.0), Point(8, 0.3, 4.0, 2.0)]) is None
    assert break_even([Point(8, 0.1, 1.0, 2.0), Point(8, 0.3, 1.0, 2.0)]) is None


def test_both_products_are_measured_and_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if projection.missing() is not None:
        pytest.skip("no kernels here")
    monkeypatch.setattr(rates, "RATES", (0.01, 0.5))
    taken: list[bool] = []
    original = projection.mostly_zero

    def noted(x_MI: torch.Tensor, weight_NI: torch.Tensor) -> bool:
        taken.append(original(x_MI, weight_NI))
        return taken[-1]

    monkeypatch.setattr(projection, "mostly_zero", noted)
    page = tmp_path / "README.md"
    page.write_text("<!-- core rates -->\n<!-- end -->\n")
    before = projection.SPARSE, projection.FEW_PRODUCTS
    text = spike_rates(repeats=1, threads=1, readme=page, sizes=(64,), rows=(3, 4))
    assert before == (projection.SPARSE, projection.FEW_PRODUCTS)
    assert set(taken) == {True, False}
    assert "| 64 x 64 |" in text
    assert text in page.read_text()
    assert (tmp_path / "rates.png").stat().st_size > 5000


def test_a_page_without_its_place_is_refused_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "README.md"
    page.write_text("nothing")
    with pytest.raises(SystemExit) as stop:
        cli.main(["bench", "--rates", "--readme", str(page)])
    assert stop.value.code == 2
    assert "must hold the lines <!-- core rates -->" in capsys.readouterr().err
