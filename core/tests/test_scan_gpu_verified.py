"""``auto`` takes a kernel of the GPU where one like it was found right, and no other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from core.errors import UserError
from core.neurons import BRF, LIF
from core.outside.text import to_json
from core.scan import BACKENDS, Case, choose, dispatch
from core.scan.gpu import geometry, verified
from core.scan.gpu.kernels import GpuVariant


@pytest.fixture(autouse=True)
def _device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The CPU stands for a GPU of capability 9.0; nothing is known of it."""
    (tmp_path / "verified.json").write_text("{}")
    monkeypatch.setattr(verified, "FILE", tmp_path / "verified.json")
    monkeypatch.setattr(verified, "capability", lambda device: "9.0")
    gpu = replace(BACKENDS[0], device="cpu", unsupported=lambda case: None)
    monkeypatch.setattr(dispatch, "BACKENDS", (gpu, BACKENDS[2]))
    monkeypatch.delenv("SNN_BACKEND", raising=False)
    verified._known.cache_clear()
    yield
    verified._known.cache_clear()


LIF_CASE, BRF_CASE = (Case(kind(3), torch.ones(2, 1, 3)) for kind in (LIF, BRF))


def results(path: Path, *, rehearsal: bool = False, **verdicts: str) -> Path:
    traced = replace(LIF_CASE, record=LIF.State._fields)
    cases = {"lif": LIF_CASE, "brf": BRF_CASE, "traced": traced}
    rows = [{"kernel": verified.kernel(cases[k]), "verdict": v} for k, v in verdicts.items()]
    machine = {"device": "a GPU", "torch": "2", "capability": "9.0"}
    found = {"rehearsal": rehearsal, "machine": machine, "parts": {"correctness": {"rows": rows}}}
    path.write_text(to_json(found))
    return path


def test_only_what_was_right_is_taken(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert choose(LIF_CASE).name == "reference"
    assert "never run on such a device so far, backend=gpu asks for it" in caplog.text
    said = verified.accept(results(tmp_path / "gpu.json", lif="right", brf="wrong"))
    assert said == "1 kernels on a GPU (9.0)"
    assert choose(LIF_CASE).name == "gpu"
    assert choose(BRF_CASE).name == "reference"
    assert choose(replace(LIF_CASE, record=("potential",))).name == "reference"
    assert "this kernel was not found right on such a device (a GPU)" in caplog.text


def test_some_traces_only_leave_something_out_of_a_kernel_with_all(tmp_path: Path) -> None:
    potential, every = (replace(LIF_CASE, record=r) for r in (("potential",), LIF.State._fields))
    assert verified.kernel(potential) == verified.kernel(every) != verified.kernel(LIF_CASE)
    verified.accept(results(tmp_path / "gpu.json", traced="right"))
    assert choose(potential).name == "gpu"
    variant = GpuVariant(potential.graph, False, False, parameters=False, traces=(1,))
    cuts = geometry.candidates(False, 1, 3, torch.float32)
    assert verified.right(variant, cuts, torch.device("cpu")) == cuts


def test_a_geometry_found_right_is_taken_where_the_preferred_one_was_not(tmp_path: Path) -> None:
    case = Case(LIF(40), torch.ones(2, 1, 40), torch.zeros(40, 40))
    cuts = geometry.candidates(True, 1, 40, torch.float32)
    with geometry.forced(cuts[1]):
        name = verified.kernel(case)
    rows = [
        {"kernel": name, "verdict": "right"},
        {"kernel": verified.kernel(case), "verdict": "wrong"},
    ]
    machine = {"device": "a GPU", "torch": "2", "capability": "9.0"}
    found = {"rehearsal": False, "machine": machine, "parts": {"correctness": {"rows": rows}}}
    (tmp_path / "gpu.json").write_text(to_json(found))
    verified.accept(tmp_path / "gpu.json")
    assert choose(case).name == "gpu"
    variant = GpuVariant(case.graph, False, True, parameters=False)
    assert verified.right(variant, cuts, torch.device("cpu")) == [cuts[1]]


def test_what_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is of a rehearsal"):
        verified.accept(results(tmp_path / "gpu.json", rehearsal=True, lif="right"))
    (tmp_path / "gpu.json").write_text("{}")
    with pytest.raises(UserError, match=r"no gpu\.json"):
        verified.accept(tmp_path / "gpu.json")
    assert choose(LIF_CASE).name == "reference"
