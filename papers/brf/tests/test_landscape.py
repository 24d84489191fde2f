"""The loss around a network: directions, points, and the command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from brf.config import EcgConfig
from brf.landscape import SHAPE, directions, filter_normalised, moved, published
from brf.models import build
from brf.scoring import read_rows
from core import checkpoints
from core.config import to_dict
from core.data.fetch import is_present

from .scripts import call, refusal


def test_direction_is_that_of_the_authors(
    golden: Callable[[str], dict[str, dict[str, Tensor]]],
) -> None:
    """Blocks of input and recurrence apart."""
    arrays = golden("analysis")["filterwise_norm"]
    inputs = int(arrays["input_size"])
    blocks = [
        filter_normalised(arrays["raw_normal"][:, part], arrays["param"][:, part])
        for part in (slice(inputs), slice(inputs, None))
    ]
    torch.testing.assert_close(torch.cat(blocks, 1), arrays["direction"])


def test_points_lie_on_a_plane_through_the_network() -> None:
    torch.manual_seed(0)
    model = build(EcgConfig(hidden=5), 4, 6)
    ways = directions(model, 7)
    again = directions(model, 7)
    for name in ("hidden.input_weight", "hidden.recurrent_weight"):
        weight = model.get_parameter(name)
        assert torch.equal(ways[0][name], again[0][name])
        assert not torch.equal(ways[0][name], ways[1][name])
        torch.testing.assert_close(ways[1][name].norm(dim=1), weight.norm(dim=1))
        assert torch.equal(moved(model, ways, 0.0, 0.0).get_parameter(name), weight)
        found = moved(model, ways, 0.5, -2.0).get_parameter(name)
        torch.testing.assert_close(found, weight + 0.5 * ways[0][name] - 2.0 * ways[1][name])
    moved_out = moved(model, ways, 1.0, 1.0).get_parameter("out.input_weight")
    assert torch.equal(moved_out, model.get_parameter("out.input_weight"))


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = EcgConfig(neuron="alif", hidden=6, data="embedded")
    torch.manual_seed(0)
    manifest = {"paper": "brf", "task": "ecg", "model": "alif", "config": to_dict(config)}
    path = tmp_path / "net.safetensors"
    checkpoints.save(path, build(config, 4, 6), manifest)
    options = (path, "--points", 3, "--samples", 10, "--threads", 1, "--out", tmp_path / "out")
    assert call("loss_landscape", *options) == 0
    rows = read_rows(tmp_path / "out" / "net.jsonl", SHAPE)
    assert {(row["alpha"], row["beta"]) for row in rows} == {
        (a, b) for a in (-1.0, 0.0, 1.0) for b in (-1.0, 0.0, 1.0)
    }
    assert len({row["loss"] for row in rows}) == 9
    assert (tmp_path / "out" / "net.png").stat().st_size > 1000
    told = refusal(capsys, "loss_landscape", *options, "--points", 4)
    assert "choose another --out" in told
    assert "at least 2" in refusal(capsys, "loss_landscape", path, "--points", 1)


def test_published_surfaces() -> None:
    if not is_present("brf_landscapes"):
        pytest.skip("SNN_DATA names no folder with published/brf/loss_landscape")
    surfaces = published()
    assert {name: surface.shape for name, surface in surfaces.items()} == dict.fromkeys(
        ("RF", "BRF", "ALIF"), (50, 50)
    )
    least = {name: (float(s.min()), int(np.argmin(s))) for name, s in surfaces.items()}
    assert least["BRF"] == (pytest.approx(0.4004, abs=1e-4), 24 * 50 + 25)
    assert least["RF"] == (pytest.approx(1.3999, abs=1e-4), 21 * 50 + 22)
    assert least["ALIF"] == (pytest.approx(1.4540, abs=1e-4), 25 * 50 + 25)
