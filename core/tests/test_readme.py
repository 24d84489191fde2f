"""The examples of core/README.md run, and its map names what exists."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.scan import scan

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


class Recordings:
    """As tonic's NMNIST is: its fields in its order and types, its sensor, labels from a list."""

    sensor_size = (34, 34, 2)

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> tuple[Any, int]:
        fields: Any = [("x", "<i8"), ("y", "<i8"), ("t", "<i8"), ("p", "<i8")]
        rows = [(0, 0, 937, 1), (33, 33, 299_999, 0), (5, 33, 150_000, 1)][index:]
        return np.array(rows, fields), [5, 7][index]


def test_the_neuron_of_the_readme_computes_its_equations() -> None:
    names: dict[str, Any] = {"dataset": Recordings()}
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 10
    torch.manual_seed(0)
    for block in blocks:
        exec(compile(block, "core/README.md", "exec"), names)
    assert names["later"].output_TBH.shape == (50, 4, 10)
    assert names["potential_TBN"].shape == names["voltages"].shape == (50, 4, 10)
    assert list(names["hidden_traces"]) == ["potential", "synapse"]
    assert names["readout_traces"]["potential"].shape == (50, 4, 5)
    assert names["scores_BC"].shape == (4, 5)
    assert list(names["counts"].layers) == ["convolution", "neuron", "readout"]
    assert names["counts"].layers["neuron"].membrane_updates == 20 * 4 * 144 * 8
    assert names["counts"].layers["neuron"].zero_activations < 20 * 4 * 144 * 8
    ((counts_TBN, labels_B),) = names["batches"].epoch(0)
    assert (tuple(counts_TBN.shape), sorted(labels_B.tolist())) == ((50, 2, 2312), [5, 7])
    assert counts_TBN.sum((0, 2)).tolist() == [3 if label == 5 else 2 for label in labels_B]
    network, x = names["network"].eval(), torch.rand(50, 4, 3)
    assert torch.equal(network(x).y, network(x).y)

    neuron = names["SynapticLIF"](4).double()
    current = np.random.default_rng(0).uniform(0.0, 2.0, (50, 3, 4))
    output, final = scan(neuron, torch.from_numpy(current))
    assert 0 < output.sum() < output.numel()

    alpha, beta = np.exp(-1 / neuron.tau_mem.detach().numpy()), np.exp(-1 / 5.0)
    z = i = u = np.zeros((3, 4))
    for current_t, output_t in zip(current, output.detach().numpy(), strict=True):
        i = beta * i + current_t
        u = alpha * (1 - z) * u + (1 - alpha) * i
        z = np.where(u > 1, 1.0, 0.0)
        np.testing.assert_array_equal(output_t, z)
    for ours, theirs in zip(final, (z, i, u), strict=True):
        np.testing.assert_allclose(ours.detach().numpy(), theirs)


def test_the_map_names_what_exists() -> None:
    modules = re.findall(r"`(core\.\w+)`", README.partition("## Shapes")[0])
    assert len(modules) > 10
    assert [name for name in modules if importlib.util.find_spec(name) is None] == []


def test_every_module_stands_in_the_map() -> None:
    there = {path.stem for path in (Path(__file__).parents[1] / "src/core").iterdir()}
    rows = README.split("## Map")[1].split("## ")[0]
    missing = {name for name in there if not name.startswith("_") and f"`core.{name}`" not in rows}
    assert missing == set()
