"""Networks as graphs of NIR and back, in the version that is installed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from core.conventions import nir as conventions
from core.conventions.nir import to_nir
from core.conventions.nir_nodes import subtracts
from core.errors import UserError
from core.layers import AxonalDelay, Layer, Network, SoftmaxSumReadout, SpikingLayer
from core.neurons import (
    ALIF,
    BRF,
    LI,
    LIF,
    PLIF,
    BalancedLIF,
    BoundedLI,
    BoundedLIF,
    CubaLIF,
    GeneralLIF,
    Neuron,
)
from core.scan import scan
from core.surrogates import atan, boxcar

from .parity import N, current, library

nir = library("nir")
from_nir: Callable[..., Any] = conventions.from_nir
SOFT = subtracts(nir.version)
DT = 1e-3
DECAY = torch.linspace(0.5, 0.9, N)

Make = Callable[[], Neuron]
SUBTRACT: dict[str, Make] = {
    "LIF": lambda: LIF(N, tau_mem=5.0),
    "BoundedLIF": lambda: BoundedLIF(N),
    "BalancedLIF": lambda: BalancedLIF(N, alpha=DECAY, train_alpha=False, reset="threshold"),
    "PLIF, soft": lambda: PLIF(N, reset=None, threshold=0.8),
    "GeneralLIF": lambda: GeneralLIF(N, decay=DECAY, gain=0.4, rest=-0.1, surrogate=boxcar),
    "IF": lambda: GeneralLIF(N, decay=1.0, gain=0.3, rest=0.2, threshold=DECAY),
    "CubaLIF": lambda: CubaLIF(N, decay=DECAY, synapse_decay=0.6, synapse_gain=0.7),
}
SET: dict[str, Make] = {
    "PLIF": lambda: PLIF(N, tau=3.0, reset=-0.2, threshold=0.8, decay_input=False),
    "LIF to a value": lambda: GeneralLIF(N, decay=DECAY, threshold=0.6, reset=-0.3),
    "IF to a value": lambda: GeneralLIF(N, decay=1.0, gain=0.3, rest=0.2, reset=0.1),
    "CubaLIF to a value": lambda: CubaLIF(N, decay=0.8, reset=DECAY - 1.0, synapse_decay=0.6),
}
SAID, UNSAID = (SUBTRACT, SET) if SOFT else (SET, SUBTRACT)


def compare(ours: Neuron, again: Neuron) -> None:
    x = 2.0 * current()
    expected, _, _ = scan(ours, x, record=())
    found, _, _ = scan(again, x, record=())
    assert 0.02 < float(expected.detach().mean()) < 0.7
    assert torch.equal(found, expected)


@pytest.mark.parametrize("name", SAID)
def test_neurons_there_and_back(name: str, tmp_path: Path) -> None:
    ours = SAID[name]()
    graph = to_nir(ours, DT)
    nir.write(tmp_path / "x.nir", graph)
    for source in (graph, tmp_path / "x.nir"):
        compare(ours, from_nir(source, DT))
    again = from_nir(tmp_path / "x.nir", DT)
    assert again.timing == getattr(ours, "timing", again.timing)
    for value in ("decay", "gain", "threshold", "rest"):
        if isinstance(ours, GeneralLIF):
            mine, other = (getattr(n.coefficients(), value).expand(N) for n in (ours, again))
            torch.testing.assert_close(mine, other, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", UNSAID)
def test_the_reset_of_the_other_versions_is_refused(name: str) -> None:
    with pytest.raises(UserError, match=r"1\.0\.6 changed it.*nearest is reset="):
        to_nir(UNSAID[name](), DT)


def test_what_nir_leaves_open_stands_in_the_metadata(tmp_path: Path) -> None:
    reset: Any = "threshold" if SOFT else 0.0
    neuron = GeneralLIF(N, decay=0.8, reset=reset, timing="before_decay", surrogate=atan)
    nir.write(tmp_path / "x.nir", to_nir(neuron, DT))
    (node,) = (n for n in nir.read(tmp_path / "x.nir").nodes.values() if hasattr(n, "v_threshold"))
    metadata = dict(node.metadata)
    assert metadata.pop("initial_potential").tolist() == [0.0] * N
    assert float(metadata.pop("dt")) == DT
    assert metadata == {
        "discretisation": "Euler",
        "threshold": "reached",
        "reset_timing": "before_decay",
        "surrogate": "atan",
        "nir": nir.version,
    }
    again = from_nir(tmp_path / "x.nir", DT)
    assert (again.timing, again.surrogate) == ("before_decay", atan)
    assert from_nir(tmp_path / "x.nir", DT, surrogate=boxcar).surrogate.at_zero == 1
    with pytest.raises(UserError, match=r"steps of 0\.001 s, not 0\.002"):
        from_nir(tmp_path / "x.nir", 0.002)


def test_a_node_of_others_is_an_euler_step() -> None:
    reset = {} if SOFT else {"v_reset": np.full(N, -0.1)}
    tau = np.linspace(0.004, 0.02, N)
    node = nir.LIF(
        tau=tau, r=np.full(N, 2.0), v_leak=np.full(N, 0.1), v_threshold=np.full(N, 0.5), **reset
    )
    neuron = from_nir(node, DT)
    x = current(0.8)
    found, _ = scan(neuron, x)
    v, spikes = np.full(x.shape[1:], 0.1), []
    for one in x.double().numpy():
        v = v + DT / tau * (0.1 - v + 2.0 * one)
        z = v > 0.5
        v = np.where(z, v - 0.5 if SOFT else -0.1, v)
        spikes.append(z)
    assert 0.02 < np.mean(spikes) < 0.7
    assert np.array_equal(found.numpy() > 0, np.stack(spikes))
    assert isinstance(from_nir(nir.LI(tau, np.ones(N), np.zeros(N)), DT), LI)


@pytest.mark.skipif(SOFT, reason="of newer versions")
def test_a_file_of_an_older_version_subtracts(tmp_path: Path) -> None:
    node = nir.LIF(*(np.full(N, value) for value in (0.01, 1.0, 0.0, 1.0)))
    nir.write(tmp_path / "x.nir", nir.NIRGraph.from_list(node))
    new = from_nir(tmp_path / "x.nir", DT)
    assert (new.reset, new.reset_potential.tolist()) == ("potential", [0.0] * N)
    with h5py.File(tmp_path / "x.nir", "r+") as file:
        (name,) = (n for n, group in file["node/nodes"].items() if "v_reset" in group)
        del file[f"node/nodes/{name}/v_reset"], file["version"]
        file["version"] = "1.0.5"
    graph = nir.read(tmp_path / "x.nir")
    assert from_nir(tmp_path / "x.nir", DT).reset == "threshold"
    assert from_nir(graph, DT, written_by="1.0.5").reset == "threshold"
    assert from_nir(graph, DT).reset == "potential"


def test_versions() -> None:
    soft = ["0.2.0", "1.0.4", "1.0.5", "1.0.5.dev3"]
    assert [subtracts(v) for v in soft] == [True] * 4
    assert [subtracts(v) for v in ("1.0.6", "1.0.10", "1.1", "2.0.0rc1")] == [False] * 4


# ---- networks


def network() -> Network:
    torch.manual_seed(0)
    reset: Any = "threshold" if SOFT else 0.0
    hidden = [
        Layer(5, GeneralLIF(8, decay=0.8, reset=reset), recurrent=True, bias=True),
        SpikingLayer(
            8,
            N,
            lambda size: CubaLIF(size, decay=0.7, synapse_decay=0.5, reset=reset),
            recurrent=True,
        ),
    ]
    return Network(hidden, Layer(N, LI(3, tau_mem=8.0)))


def test_networks_there_and_back(tmp_path: Path) -> None:
    ours = network()
    with torch.no_grad():
        for name, weight in ours.named_parameters():
            weight.mul_(1.0 if name.endswith("bias") else 8.0)
    nir.write(tmp_path / "x.nir", to_nir(ours, DT))
    state = torch.get_rng_state()
    again = from_nir(tmp_path / "x.nir", DT)
    assert torch.equal(torch.get_rng_state(), state)
    x = torch.rand(30, 2, 5, generator=torch.Generator().manual_seed(1))
    expected, found = ours(x), again(x)
    for mine, theirs in zip(found.spikes_TBN, expected.spikes_TBN, strict=True):
        assert 0.02 < float(theirs.detach().mean()) < 0.7
        assert torch.equal(mine, theirs)
    torch.testing.assert_close(found.y, expected.y, rtol=1e-5, atol=1e-6)


def test_pruned_and_biased_loops() -> None:
    reset: Any = "threshold" if SOFT else 0.0
    layer = Layer(2, GeneralLIF(4, decay=0.5, reset=reset), recurrent=True, mask_probability=0.5)
    graph = to_nir(layer, DT)
    weight = graph.nodes["recurrent_0"].weight
    mask = layer.recurrent_mask
    assert mask is not None
    assert ((weight != 0.0) == (mask.numpy() != 0.0)).all()
    graph.nodes["recurrent_0"] = nir.Affine(weight, np.arange(4.0, dtype=np.float32))
    again = from_nir(graph, DT)
    assert again[0].bias.tolist() == [0.0, 1.0, 2.0, 3.0]


def biased(size: int, decay: Any = 0.5) -> Any:
    return GeneralLIF(size, decay=decay, reset="threshold" if SOFT else 0.0)


def delays(size: int) -> AxonalDelay:
    return AxonalDelay(size, initial=2.0, longest=4)


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "adaptive": (lambda: ALIF(N), "ALIF in NIR"),
    "resonating": (lambda: BRF(N), "BRF in NIR"),
    "late reset": (lambda: GeneralLIF(N, decay=0.5, timing="after_decay"), "acts when it happens"),
    "no reset": (lambda: GeneralLIF(N, decay=0.5, reset="none"), "without a reset"),
    "some leak": (lambda: biased(2, torch.tensor([1.0, 0.5])), "some neurons do not leak"),
    "random start": (lambda: BoundedLI(N, initial="uniform"), "starts at random"),
    "other amount": (lambda: BoundedLIF(N, threshold=0.5), "threshold of 0.5"),
    "subtracts 1": (lambda: BalancedLIF(N), "reset spike"),
    "readout": (lambda: SoftmaxSumReadout(3, 2), "SoftmaxSumReadout in NIR"),
    "norm": (lambda: SpikingLayer(2, 3, biased, normalization="batchnorm"), "normalisation"),
    "delays": (lambda: SpikingLayer(2, 3, biased, delay=delays), "with delays"),
    "directions": (lambda: SpikingLayer(2, 3, biased, bidirectional=True), "both directions"),
    "deletion": (lambda: Layer(2, biased(3), deletion_probability=0.1), "deletes spikes"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_nir_cannot_say_is_refused(name: str) -> None:
    make, words = REFUSED[name]
    with pytest.raises(UserError, match="has no exact counterpart") as error:
        to_nir(make(), DT)
    assert words in str(error.value)


def test_graphs_that_no_layer_computes_are_refused(tmp_path: Path) -> None:
    values = {key: np.ones(2) for key in ("tau", "r", "v_leak", "v_threshold")}
    lif = nir.LIF(**values)
    weight = nir.Linear(np.ones((2, 2)))
    for nodes, words in (
        ([nir.Scale(np.ones(2))], "Scale here"),
        ([weight], "Output here"),
        ([lif, lif], "without weights"),
        ([weight, weight, lif], "Linear here"),
    ):
        with pytest.raises(UserError) as error:
            from_nir(nir.NIRGraph.from_list(*nodes), DT)
        assert words in str(error.value)
    lost = nir.NIRGraph.from_list(weight, lif)
    lost.nodes["aside"] = nir.Scale(np.ones(2))
    with pytest.raises(UserError, match=r"aside, \['aside'\], has no exact"):
        from_nir(lost, DT)
    lost.edges.append(("aside", "nowhere"))
    with pytest.raises(UserError, match="no such node"):
        from_nir(lost, DT)
    for name, words in (("discretisation", "steps are Euler's"), ("reset_timing", "is unknown")):
        with pytest.raises(UserError, match=words):
            from_nir(nir.LIF(**values, metadata={name: "exact"}), 0.5)
    with pytest.raises(UserError, match="give surrogate="):
        from_nir(nir.LIF(**values, metadata={"surrogate": "mine"}), 0.5)
    with pytest.raises(UserError, match="overshoots a time constant"):
        from_nir(lif, 1.5)
    with pytest.raises(UserError, match="LI with v_leak or r"):
        from_nir(nir.LI(*(np.ones(2) for _ in range(3))), DT)
    with pytest.raises(UserError, match="no NIR file at"):
        from_nir(tmp_path / "none.nir", DT)
    (tmp_path / "bad.nir").write_bytes(b"something else")
    with pytest.raises(UserError, match="is no NIR file, or damaged"):
        from_nir(tmp_path / "bad.nir", DT)
    with pytest.raises(UserError, match="above 0"):
        to_nir(biased(2), 0.0)
