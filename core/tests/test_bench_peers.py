"""Other libraries in the benchmark: who takes part, and that JAX computes our neurons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from core.bench import loops, peers, row, table, workloads
from core.bench.jax_peer import STEPS, JaxContestant
from core.bench.workloads import NEURONS, Workload, inputs

CPU = torch.device("cpu")
OPTIONS = row.Options(repeats=1, device=CPU, public_loop=False)
RLIF = Workload("rlif", "BoundedLIF", True, 12, 3, 8, tiny=True)


@pytest.fixture(autouse=True)
def _nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SNN_BACKEND", raising=False)
    monkeypatch.setattr(peers, "installed", lambda package: False)


def test_peers_that_are_not_installed_say_so() -> None:
    found = row.measure(RLIF, OPTIONS)
    assert set(found["peers"].values()) == {"not installed"}
    assert set(found["peers"]) == {peers.JAX, *(peer.name for peer in peers.PEERS)}
    assert found["fastest_peer"] is None
    assert found["peer_speedup"] is None
    assert "not installed" in table.peers_note(found)


def fake_peer(name: str, forward: Callable[[Tensor], Tensor]) -> peers.Peer:
    return peers.Peer(name, "fake", lambda size, device: (forward, []))


def test_peers_take_part_or_say_why_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(current: Tensor) -> Tensor:
        raise RuntimeError("out\nof order")

    monkeypatch.setattr(peers, "installed", lambda package: package == "fake")
    found = [fake_peer(name, lambda x: 2.0 * x) for name in ("good", "better", "fair")]
    monkeypatch.setattr(peers, "PEERS", (*found, fake_peer("bad", broken)))
    times = {"cpu": 2.0, "reference": 6.0, "good": 9.0, "better": 8.0, "fair": 10.0}
    monkeypatch.setattr(
        row, "interleaved", lambda contestants, *_: {n: times[n] for n in contestants}
    )
    alone = replace(RLIF, recurrent=False)
    measured = row.measure(alone, OPTIONS)
    assert (measured["seconds"], measured["speedup"]) == (2.0, 3.0)
    assert measured["fastest_peer"] == "better"
    assert (measured["peer_seconds"], measured["peer_speedup"]) == (8.0, 4.0)
    assert measured["peers"]["fair"] == 10.0
    assert measured["peers"]["bad"] == "failed: RuntimeError: out of order"
    recurrent = row.measure(RLIF, OPTIONS)
    assert recurrent["peers"]["good"] == peers.NO_EQUAL


@pytest.mark.parametrize("wrong", [0, 2, 4])
def test_jax_takes_part_only_when_it_agrees(monkeypatch: pytest.MonkeyPatch, wrong: int) -> None:
    ours = inputs(RLIF, CPU)
    output = loops.backend_output(ours, "cpu").detach()
    theirs = output.clone()
    theirs.view(-1)[:wrong] = 1.0 - theirs.view(-1)[:wrong]

    class Fake(JaxContestant):
        def __init__(self, neuron: str, inputs: workloads.Inputs) -> None: ...

        def run(self) -> None: ...

        def output(self) -> Tensor:
            return theirs

    monkeypatch.setattr(peers.jax_peer, "JaxContestant", Fake)
    monkeypatch.setattr(peers, "installed", lambda package: package == "jax")
    found = peers.field(RLIF, ours, output)
    assert found.jax_agreement == pytest.approx(1.0 - wrong / 288)
    if wrong <= 2:
        assert set(found.contestants) == {peers.JAX}
    else:
        assert not found.contestants
        assert found.absent[peers.JAX].startswith("computes other spikes: 98.61%")


@pytest.mark.parametrize("kind", NEURONS)
def test_jax_computes_our_neurons(kind: str) -> None:
    pytest.importorskip("jax", reason="jax is installed for the benchmark only")
    ours = inputs(replace(RLIF, neuron=kind), CPU)
    output = loops.backend_output(ours, "reference")
    output.backward(ours.gradient_TBH)
    contestant = JaxContestant(kind, ours)
    assert torch.equal(contestant.output(), output.detach())
    current, _, *weight = contestant.gradients()
    torch.testing.assert_close(torch.tensor(current.tolist()), ours.current_TBH.grad)
    if ours.weight is not None:
        found = torch.tensor(weight[0].tolist())
        torch.testing.assert_close(found, ours.weight.grad, rtol=1e-4, atol=1e-4)


def test_jax_has_every_neuron_of_the_rows() -> None:
    assert set(STEPS) == set(NEURONS)
    for kind, (_, _, fields) in STEPS.items():
        assert len(NEURONS[kind].State._fields) == fields
