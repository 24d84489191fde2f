"""What the papers on spoken words share, beside what each of them holds to its authors' code."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from core.errors import UserError
from core.spoken.log import told
from core.spoken.names import NeuronNames, non_spiking_type, outline
from core.spoken.networks import ANN
from core.spoken.settings import SpokenSettings
from core.spoken.task import Binning, load_task, shape_of


@dataclass(frozen=True)
class Config(SpokenSettings):
    @property
    def is_spiking(self) -> bool:
        return True


def test_inputs_follow_the_bins() -> None:
    assert shape_of("shd") == (700, 20)
    assert shape_of("ssc", Binning(channel_bin=3)) == (233, 35)
    assert shape_of("sc", Binning(channel_bin=3)) == (40, 35)
    assert Binning(101, 1.0).step_ms == pytest.approx(10.0)
    config = Config(data="embedded", batch_size=20)
    x_TBI, _ = next(iter(load_task(config, Binning(31, 1.4, 35)).test.epoch(0)))
    assert x_TBI.shape == (31, 20, 20)


def test_both_spellings_of_a_neuron() -> None:
    names = NeuronNames(["alpha", "dt"])
    theirs = {"snn.0.alpha": torch.zeros(2), "snn.0.W.weight": torch.zeros(2, 3), "other": None}
    ours = names.from_published(theirs)  # type: ignore[arg-type]
    assert list(ours) == ["snn.0.neuron.alpha", "snn.0.W.weight", "other"]
    assert list(names.to_published(ours)) == list(theirs)


@pytest.mark.parametrize("kind", ["MLP", "RNN", "LiGRU", "GRU"])
def test_a_state_dict_tells_its_network(kind: str) -> None:
    network = ANN((1, None, 7), [4, 4, 3], kind, normalization="layernorm", use_bias=True)
    found = outline(network.state_dict(), "a")
    assert (found.kind, found.inputs, found.classes) == ("ann", 7, 3)
    assert non_spiking_type(found.names) == kind
    assert found.settings == {
        **{"nb_layers": 3, "nb_hiddens": 4, "normalization": "layernorm"},
        **{"use_bias": True, "bidirectional": False},
    }
    with pytest.raises(UserError, match="a is no state dict of a network of this paper"):
        outline({"ann.0.W.weight": torch.zeros(2, 2)}, "a")


@pytest.mark.parametrize("also_here", [True, False])
def test_what_is_told_goes_to_a_file(
    also_here: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with told(tmp_path, to_file=True, also_here=also_here):
        print("an epoch")
    assert (tmp_path / "log" / "exp.log").read_text() == "an epoch\n"
    assert ("an epoch" in capsys.readouterr().out) == also_here
    (tmp_path / "taken").write_text("")
    with (
        pytest.raises(UserError, match=r"cannot write .*log_tofile"),
        told(tmp_path / "taken", to_file=True, also_here=also_here),
    ):
        pass
