"""Which backend scan takes, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from core.errors import UserError
from core.neurons import LI, LIF, Neuron
from core.scan import BACKENDS, Backend, Case, choose, dispatch, scan


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SNN_BACKEND", raising=False)


@pytest.mark.parametrize(
    ("neuron", "arguments", "message"),
    [
        (LIF(3), {"current_TBN": torch.ones(2, 1, 4)}, r"\(2, 1, 4\), expected \[T, B, 3\]"),
        (LIF(3), {"current_TBN": torch.ones(2, 3)}, r"\(2, 3\), expected \[T, B, 3\]"),
        (LIF(3), {"current_TBN": torch.ones(0, 1, 3)}, "no time step"),
        (LI(3), {"recurrent_weight": torch.eye(3)}, "LI does not spike.*recurrent weight"),
        (LI(3), {"spike_mask_TBN": torch.ones(2, 1, 3)}, "LI does not spike.*spike mask"),
        (LIF(3), {"recurrent_weight": torch.ones(3, 4)}, r"weight.*\(3, 4\), expected \[3, 3\]"),
        (LIF(3), {"pathways": {"trace": torch.eye(3)}}, "'trace': the state of LIF has spike, pot"),
        (LIF(3), {"pathways": {"spike": torch.eye(3)}}, "spike is recurrent_weight"),
        (LIF(3), {"pathways": {"potential": torch.eye(2)}}, r"'potential' has shape \(2, 2\)"),
        (LIF(3), {"spike_mask_TBN": torch.ones(2, 3)}, r"mask.*\(2, 3\), expected \[2, 1, 3\]"),
    ],
)
def test_arguments_that_do_not_fit(neuron: Neuron, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        scan(neuron, **{"current_TBN": torch.ones(2, 1, 3), **arguments})


def test_unknown_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"unknown scan backend 'warp'.*auto, .*reference"):
        scan(LIF(3), torch.ones(2, 1, 3), backend="warp")
    monkeypatch.setenv("SNN_BACKEND", "warp")
    with pytest.raises(UserError, match="unknown scan backend 'warp'"):
        scan(LIF(3), torch.ones(2, 1, 3))
    assert scan(LIF(3), torch.ones(2, 1, 3), backend="reference")


@pytest.fixture
def picky(monkeypatch: pytest.MonkeyPatch) -> Backend:
    """A faster backend that takes no spike mask."""

    def unsupported(case: Case) -> str | None:
        return None if case.spike_mask_TBN is None else "it has no spike mask"

    reference = next(backend for backend in BACKENDS if backend.name == "reference")
    fast = Backend(
        "picky", "for tests", "cpu", lambda case: None, reference.here, unsupported, reference.run
    )
    monkeypatch.setattr(dispatch, "BACKENDS", (fast, reference))
    return fast


def test_auto_takes_the_first_that_supports_the_case(picky: Backend) -> None:
    neuron, current = LIF(3), torch.ones(2, 1, 3)
    assert choose(Case(neuron, current)) is picky
    assert choose(Case(neuron, current, spike_mask_TBN=current)).name == "reference"
    assert choose(Case(neuron, current.to("meta"))).name == "reference"


def test_auto_takes_no_backend_that_was_never_tested_on_its_device(
    picky: Backend, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    untested = replace(picky, doubt=lambda case: "never run on such a device so far")
    monkeypatch.setattr(dispatch, "BACKENDS", (untested, dispatch.BACKENDS[1]))
    monkeypatch.setattr(dispatch, "_said", set())
    case = Case(LIF(3), torch.ones(2, 1, 3))
    assert choose(case).name == "reference"
    assert "picky: never run on such a device so far, backend=picky asks for it" in caplog.text
    assert choose(case, "picky") is untested


def test_auto_says_once_why_it_takes_a_slower_one(
    picky: Backend, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "_said", set())
    neuron, current = LIF(3), torch.ones(2, 1, 3)
    for _ in range(2):
        choose(Case(neuron, current))
        choose(Case(neuron, current.to("meta")))  # not its device: nothing to say
        choose(Case(neuron, current, spike_mask_TBN=current))
    assert caplog.messages == [
        "LIF runs on the reference backend, which is slower (picky: it has no spike mask)"
    ]


def test_a_backend_asked_for_by_name_is_never_replaced(
    picky: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    neuron, current = LIF(3), torch.ones(2, 1, 3)
    with pytest.raises(UserError, match="takes tensors on cpu, not on meta"):
        choose(Case(neuron, current.to("meta")), "picky")
    assert choose(Case(neuron, current), "reference").name == "reference"
    with pytest.raises(UserError, match="'picky' cannot run LIF here: it has no spike mask"):
        scan(neuron, current, spike_mask_TBN=current, backend="picky")
    monkeypatch.setenv("SNN_BACKEND", "picky")
    with pytest.raises(UserError, match="it has no spike mask"):
        scan(neuron, current, spike_mask_TBN=current)
    monkeypatch.setenv("SNN_BACKEND", "reference")
    assert choose(Case(neuron, current)).name == "reference"
    assert choose(Case(neuron, current), "picky") is picky
