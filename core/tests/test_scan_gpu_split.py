"""The GPU backend: recurrent layers whose neurons several programs share, and kept weights.

Triton's interpreter runs one program after the other, so that they cannot wait for each other
there: a launch per step runs the same text. That shows everything but the wait itself, which is a
counter, a release and an acquire (:mod:`core.scan.gpu.meeting`): of it the tests without a GPU
show that it is compiled as such. Without a GPU, test_scan_gpu runs this file in the interpreter.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from core.neurons import LIF
from core.scan.contract import NEURONS as FUSABLE
from core.scan.gpu import compiled, geometry, kernels, launch, products
from core.scan.gpu.geometry import Geometry
from core.scan.kinds import graph_of

from .gpu_cases import (
    DEVICE,
    NEURONS,
    SPIKING,
    assert_contract,
    leaves_for,
    needs_triton,
    on_device,
    outside,
    run,
)

STREAMED = Geometry(16, 16, 4, True)
KEPT = Geometry(16, 16, 4, True, 16, 4, ahead=1)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    monkeypatch.setattr(launch, "SEGMENT", 2)
    monkeypatch.setattr(launch, "_refused", set())


# --- the contract, interpreted or on a GPU ------------------------------------------------------


@on_device
@pytest.mark.parametrize("name", SPIKING)
def test_shared_neurons(name: str) -> None:
    neuron = NEURONS[name](37).to(DEVICE)
    with geometry.forced(KEPT):
        output = assert_contract(neuron, leaves_for(name, neuron, 5, 3, 37, recurrent=True))
    assert 0 < output.count_nonzero() < output.numel()


@on_device
@pytest.mark.parametrize("cut", [KEPT, STREAMED], ids=["kept", "streamed"])
def test_shared_neurons_with_a_mask_in_several_tiles(cut: Geometry) -> None:
    neuron = NEURONS["BRF"](50).to(DEVICE)
    leaves = leaves_for("BRF", neuron, 4, 35, 50, recurrent=True, masked=True)
    with geometry.forced(cut):
        assert_contract(neuron, leaves)


@on_device
def test_shared_neurons_in_double_precision() -> None:
    neuron = NEURONS["BRF"](50).to(DEVICE, torch.float64)
    assert geometry.candidates(True, 3, 50, torch.float64)[0].tiles(50) == 2
    assert_contract(neuron, leaves_for("BRF", neuron, 5, 3, 50, recurrent=True))


@on_device
@pytest.mark.parametrize("cut", [KEPT, STREAMED], ids=["kept", "streamed"])
def test_a_weight_of_many_bits(cut: Geometry) -> None:
    # Their sums fit 24 bits, so that no order of them and no product may lose one.
    neuron = NEURONS["LIF"](37).to(DEVICE)
    leaves = leaves_for("LIF", neuron, 5, 3, 37, recurrent=True)
    leaves["weight"].data = torch.round(torch.randn(37, 37) * 2**16).to(DEVICE) / 2**14
    expected, state = run("reference", neuron, leaves)
    with geometry.forced(cut):
        output, found = run("gpu", neuron, leaves)
    assert torch.equal(output, expected)
    assert torch.equal(found.potential, state.potential)


@on_device
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # of the interpreter's product
@pytest.mark.parametrize("cut", [KEPT, STREAMED], ids=["kept", "streamed"])
def test_an_infinite_weight_does_nothing_where_no_product_is(cut: Geometry) -> None:
    neuron = LIF(37).to(DEVICE)
    leaves = leaves_for("LIF", neuron, 1, 3, 37, recurrent=True)
    leaves["weight"].data[3, 5] = torch.inf
    leaves["state.spike"].data.zero_()
    found = []
    for where in ("reference", "gpu"):
        with geometry.forced(cut):
            output, _ = run(where, neuron, leaves)
            found.append(torch.autograd.grad(output.sum(), leaves["current"])[0])
    assert found[0][..., 5].isfinite().all()
    torch.testing.assert_close(found[1], found[0], equal_nan=True)


@on_device
@pytest.mark.parametrize(
    ("size", "place"), [(36, 0), (36, 1), (200, 0), (200, 1), (200, 2), (512, 0), (600, 0)]
)
def test_every_geometry(size: int, place: int) -> None:
    neuron = LIF(size).to(DEVICE)
    leaves = leaves_for("LIF", neuron, 3, 2, size, recurrent=True)
    with geometry.forced(geometry.candidates(True, 2, size, torch.float32)[place]):
        assert_contract(neuron, leaves)


@on_device
def test_more_programs_than_a_device_runs_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "_processors", lambda device: 7)
    neuron = LIF(37).to(DEVICE)
    with geometry.forced(KEPT):  # three programs for 16 samples, so that twice three run at once
        assert_contract(neuron, leaves_for("LIF", neuron, 3, 70, 37, recurrent=True))


@on_device
def test_a_refused_geometry_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "_processors", lambda device: 2)
    neuron = LIF(37).to(DEVICE)
    leaves = leaves_for("LIF", neuron, 3, 2, 37, recurrent=True)
    with geometry.forced(KEPT), pytest.raises(launch.Refused, match="fewer than 3 processors"):
        assert_contract(neuron, leaves)
    monkeypatch.setattr(
        geometry, "candidates", lambda *_: [KEPT, geometry.Geometry(16, 64, 8, True)]
    )
    launch._refused.clear()
    assert_contract(neuron, leaves)
    assert len(launch._refused) == 2, "forwards and backwards"
    monkeypatch.setattr(launch, "_processors", lambda device: pytest.fail("tried again"))
    assert_contract(neuron, leaves)


@on_device
def test_a_weight_that_does_not_fit_is_refused_before_it_is_compiled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(launch, "_shared", lambda device: KEPT.kept_bytes - 1)
    neuron = LIF(37).to(DEVICE)
    leaves = leaves_for("LIF", neuron, 3, 2, 37, recurrent=True)
    refused = f"no {3 * 2 * 64 * 16} bytes of shared memory"
    with geometry.forced(KEPT), pytest.raises(launch.Refused, match=refused):
        assert_contract(neuron, leaves)
    with geometry.forced(STREAMED):
        assert_contract(neuron, leaves)


# --- without a GPU ------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 16, 17, 36, 64, 128, 200, 256, 512, 600, 1024, 1025, 2048])
def test_a_kernel_has_text_for_every_chunk_of_its_geometries(size: int) -> None:
    # It would leave out the others without a word.
    cuts = geometry.candidates(True, 16, size, torch.float32)
    assert len(cuts) == len(set(cuts)) > 0
    for cut in cuts:
        assert cut.chunks <= geometry.MOST_CHUNKS
        assert cut.ahead <= geometry.MOST_AHEAD
        assert cut.chunks == 0 or cut.chunks * cut.inner >= size
    assert cuts[-1].chunks == 0


def test_three_parts_are_the_weight() -> None:
    bits = torch.randint(-(1 << 31), (1 << 31) - 1, (1 << 16,), dtype=torch.int64)
    every = bits.to(torch.int32).view(torch.float32)
    size = every.abs()
    weight = torch.cat([every[(size >= 2.0**-110) & (size < 3.38e38)], torch.zeros(1)])
    assert len(weight) > 30000
    high, middle, low = products.parts(weight).double()
    assert torch.equal(high + middle + low, weight.double())
    infinite = torch.tensor([torch.inf, -torch.inf])
    assert torch.equal(products.parts(infinite).float().sum(0), infinite)
    small = torch.randn(1000) * 2.0**-126
    found = products.parts(small).double().sum(0)
    assert (found - small.double()).abs().max() <= 2.0**-134


@pytest.mark.parametrize("name", FUSABLE)
def test_which_outputs_are_zero_or_one(name: str) -> None:
    graph = graph_of(FUSABLE[name](3), torch.float32, masked=False)
    assert graph.binary == (name != "LI")


def test_which_outputs_are_not() -> None:
    assert not graph_of(LIF(3), torch.float32, masked=True).binary
    assert not graph_of(NEURONS["EveryOperation"](3), torch.float32, masked=False).binary


@outside
@needs_triton
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_how_programs_wait_and_multiply(
    direction: compiled.Direction, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    graph = graph_of(LIF(256), torch.float32, masked=False)
    variant = kernels.GpuVariant(graph, False, True, parameters=True)
    split, _, streamed = geometry.candidates(True, 16, 256, torch.float32)
    ptx = compiled.compiled(variant, direction, split, 256, 80).ptx
    assert "gpu.release" in ptx
    assert "gpu.acquire" in ptx
    assert "ld.global.cg" in ptx
    assert "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32" in ptx
    alone = geometry.candidates(True, 16, 128, torch.float32)[0]
    assert "gpu.acquire" not in compiled.compiled(variant, direction, alone, 128, 80).ptx
    assert "mma.sync" not in compiled.compiled(variant, direction, streamed, 256, 80).ptx
