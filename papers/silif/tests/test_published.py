"""The four published networks: loads, spikes, scores, operations, and where they are found."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from core import checkpoints
from core.data.fetch import fetch
from core.errors import UserError
from core.paper import count_parameters
from silif import activity
from silif.config import Config
from silif.evaluation import OF_MODEL, OperationCount, find_weights, weights_in
from silif.models import SNN, SPIKING, build
from silif.published import NAMES, infer_config, name_of, read
from silif.task import shape_of

from .arrays import FOLDER, close, golden, need
from .parity import seeded, states_of, time_first

PARAMETERS = {"SiLIF": 359017, "CSiLIF": 357993, "CadLIF": 357993, "ResonateFire": 355945}


def published(kind: str) -> tuple[Path, SNN]:
    need("silif_published")
    path = find_weights(Path(kind))
    found = read(path, Namespace())
    network = checkpoints.build_with(
        lambda: build(found.config, *shape_of(found.config)), found.weights, str(path)
    )
    assert isinstance(network, SNN)
    return path, network.eval()


def unpacked(name: str, kind: str, layer: int) -> Tensor:
    """Hidden spikes ``[T, B, N]``, which are stored as bits."""
    with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as arrays:
        shape = arrays[f"{kind}/spikes_shape/snn.{layer}"]
        bits = np.unpackbits(arrays[f"{kind}/spikes_packed/snn.{layer}"])[: shape.prod()]
    return time_first(torch.from_numpy(bits.reshape(shape)).float())


@pytest.mark.parametrize("steps", [50, 300])
@pytest.mark.parametrize("kind", PARAMETERS)
def test_spikes_scores_and_operations(kind: str, steps: int) -> None:
    """Spikes equal the authors' in single precision, up to what rounding does to theirs."""
    _, network = published(kind)
    name = f"checkpoint_forward_T{steps}"
    arrays = {k.removeprefix(f"{kind}/"): v for k, v in golden(name).items() if k.startswith(kind)}
    x_TBI = time_first(golden(name)["x"].float())
    with torch.no_grad():
        state = states_of(network.snn, arrays, "init")
        output, active = activity.run(network.snn, x_TBI, state)
    different = total = 0
    for layer, spikes in enumerate(output.spikes_TBN):
        theirs = unpacked(name, kind, layer)
        different += int((spikes != theirs).sum())
        total += theirs.numel()
    assert different <= 1e-5 * total
    close("y", output.y, arrays["out"], 1e-4)
    assert torch.equal(output.y.argmax(1), arrays["out"].argmax(1))
    operations = float(activity.synaptic_operations(active, network.layer_sizes).mean())
    assert operations == pytest.approx(float(arrays["sop"]), rel=1e-4)
    rates = activity.firing_rates(active)
    torch.testing.assert_close(rates, arrays["firing_rates"], rtol=0.0, atol=1e-3)


@pytest.mark.parametrize("kind", PARAMETERS)
def test_a_seed_gives_the_recorded_scores(kind: str) -> None:
    _, network = published(kind)
    name = "checkpoint_forward_T50"
    arrays = {k.removeprefix(f"{kind}/"): v for k, v in golden(name).items() if k.startswith(kind)}
    with torch.no_grad():
        seeded(arrays)
        y_BC, _, operations = network(golden(name)["x"].float())
    close("y", y_BC, arrays["out"], 1e-4)
    assert operations == pytest.approx(float(arrays["sop"]), rel=1e-4)


@pytest.mark.parametrize("kind", PARAMETERS)
def test_settings_are_read_off_the_tensors(kind: str) -> None:
    path, network = published(kind)
    assert count_parameters(network) == PARAMETERS[kind]
    assert sum(buffer.numel() for buffer in network.buffers()) == 2121
    found = read(path, Namespace())
    assert found.name == f"ref_SSC_{OF_MODEL[kind]}"
    expected = Config(
        model_type=kind,  # type: ignore[arg-type]
        dataset_name="ssc",
        nb_steps=300,
        max_time=1.2,
        batch_size=256,
    )
    assert found.config == expected
    theirs, again = checkpoints.load_foreign(path), NAMES.to_published(found.weights)
    assert theirs.keys() == again.keys()
    assert all(torch.equal(theirs[name], tensor) for name, tensor in again.items())


@pytest.mark.parametrize("kind", [*SPIKING, "MLP", "RNN", "LiGRU", "GRU"])
@pytest.mark.parametrize("norm", ["batchnorm", "layernorm", "none"])
def test_settings_of_every_kind(kind: str, norm: str) -> None:
    config = Config(
        model_type=kind,  # type: ignore[arg-type]
        normalization=norm,
        nb_hiddens=6,
        nb_layers=4,
        use_bias=True,
        bidirectional=kind != "MLP",
        nb_steps=250,
        spatial_bin=20,
    )
    weights = build(config, *shape_of(config)).state_dict()
    there_and_back = NAMES.from_published(NAMES.to_published(weights))
    assert list(there_and_back) == list(weights)
    assert infer_config(weights, "a", "adLIF" if kind == "adLIF" else None) == config


def test_tensors_of_no_network_of_the_paper() -> None:
    config = replace(Config(), nb_hiddens=6)
    weights = dict(build(config, 999, 20).state_dict())
    with pytest.raises(UserError, match=r"999 inputs to 20 classes: none of the tasks"):
        infer_config(weights, "a")


def test_where_weights_are_found(tmp_path: Path) -> None:
    need("silif_published")
    folder = fetch("silif_published")
    theirs = folder / "ref_SSC_RF" / "checkpoints" / "best_model.pth"
    for named in ("RF", "ResonateFire", "reference_models/ref_SSC_RF", theirs, theirs.parents[1]):
        assert find_weights(Path(named)) == theirs
    with pytest.raises(UserError, match=r"no published network; these are SiLIF, CSiLIF, CadLIF"):
        find_weights(Path("nothing"))
    with pytest.raises(UserError, match=r"neither best\.safetensors nor"):
        weights_in(tmp_path)
    own = tmp_path / "best.safetensors"
    own.touch()
    assert find_weights(tmp_path) == own
    assert name_of(Path("exp/a_run/checkpoints/best_model.pth")) == "a_run"
    assert name_of(Path("weights.pth")) == "weights"


def test_operations_as_published_and_exact() -> None:
    """Batches of 3, 3 and 2 samples: the authors add the means and divide by two."""
    network = SNN((1, None, 5), [4, 4, 3], "LIF").eval()
    count = OperationCount()
    objective = count.watched(lambda *_: None, 3)  # type: ignore[arg-type]
    batches = [torch.rand(6, size, 5).round() for size in (3, 3, 2)]
    found: list[Any] = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        for x_TBI in batches:
            objective(network, x_TBI, torch.zeros(x_TBI.shape[1], dtype=torch.int64))
        torch.manual_seed(seed)
        seen = [activity.run(network.snn, x_TBI)[1] for x_TBI in batches]
        found.append([activity.synaptic_operations(active, [4, 4, 3]) for active in seen])
    exact = sum(float(batch.sum()) for test in found for batch in test) / 16
    theirs = sum(float(batch.mean()) for test in found for batch in test) / 4
    assert count.facts()["synaptic_operations_exact"] == pytest.approx(exact)
    assert count.facts()["synaptic_operations"] == pytest.approx(theirs)
    assert "as published (divided by 2 of 3 batches)" in str(count)
