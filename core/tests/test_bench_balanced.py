"""The table of balanced networks, at a size of milliseconds."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from core import cli
from core.bench import balanced
from core.bench.balanced import EXPERIMENTS, BalancedNetwork, Size, made
from core.errors import UserError

SMALL = Size(40, 3, 10, 6, 2)


def test_every_network_is_timed_and_weighed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(balanced, "fresh_peak_mb", lambda module, request, what: 12.0)
    readme = tmp_path / "README.md"
    readme.write_text("<!-- core balanced networks -->\n<!-- end -->\n")
    text = balanced.balanced_networks(repeats=1, threads=1, readme=readme, size=SMALL)
    head, _, *rows = text.partition("\n\n")[0].splitlines()
    assert head.startswith("| network | trained | auto takes | auto | reference | speed-up |")
    assert [row.split(" | ")[0] for row in rows] == [f"| {name}" for name in EXPERIMENTS]
    assert all(" | cpu | " in row and " | 12 | 12 | " in row for row in rows)
    assert text in readme.read_text()
    with pytest.raises(UserError, match="does not exist"):
        balanced.balanced_networks(repeats=1, threads=1, readme=tmp_path / "none.md")


def test_memory_is_that_of_a_fresh_process() -> None:
    size = Size(1000, 8, 20, 64, 2)
    ours, loops = (balanced._peak_mb("slow currents", size, b) for b in ("cpu", "reference"))
    if ours is not None and loops is not None:  # the system tells
        assert 0.0 < ours < loops


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_both_backends_compute_the_same(name: str) -> None:
    gradients, spikes = [], []
    for backend in ("cpu", "reference"):
        network, x_TBI, target_B = made(name, SMALL._replace(steps=400, hidden=30))
        x_TBI = x_TBI * 20.0  # spikes within a few steps
        spikes.append(network.spikes(x_TBI, backend).detach())
        network.run(x_TBI, target_B, backend)
        gradients.append({n: p.grad for n, p in network.named_parameters() if p.requires_grad})
    assert torch.equal(spikes[0], spikes[1])
    assert spikes[0].any()
    for key, expected in gradients[1].items():
        found = gradients[0][key]
        assert found is not None
        assert expected is not None
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-4 * float(expected.abs().max()))


def test_what_is_trained_is_what_the_experiments_say() -> None:
    counts = {}
    for name, experiment in EXPERIMENTS.items():
        network = BalancedNetwork(experiment, balanced.SIZE)
        counts[name] = sum(p.numel() for p in network.parameters() if p.requires_grad)
    assert counts == {
        "multi-spike": 14302,
        "single-spike": 14302,
        "LSM": 200,
        "slow currents": 302,
        "all trained": 14302,
    }


def test_the_command_takes_the_flag(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(balanced, "balanced_networks", lambda **given: f"a table of {given}")
    cli.main(["bench", "--balanced", "--threads", "1", "--repeats", "2"])
    assert "a table of {'repeats': 2, 'threads': 1, 'readme': None}" in capsys.readouterr().out
