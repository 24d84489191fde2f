"""Checkpoints come back as they were, and nothing else is taken for one."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import pickle
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from core import checkpoints
from core.errors import UserError


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(3)
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    net.register_buffer("permutation", torch.arange(5).flip(0))
    return net


class Malicious:
    """Unpickling it runs a command, as files from strangers may."""

    def __init__(self, side_effect: Path) -> None:
        self.side_effect = side_effect

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.side_effect}",)


def torch_bytes(content: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


def test_weights_and_manifest_come_back(model: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    manifest = {"paper": "toy", "config": {"lr": 0.1, "clip": None}, "epoch": 3}
    checkpoints.save(path, model, manifest)
    read = checkpoints.load(path)
    assert read.manifest == manifest
    assert read.weights.keys() == model.state_dict().keys()
    for key, value in model.state_dict().items():
        assert read.weights[key].dtype == value.dtype
        assert torch.equal(read.weights[key], value)
    assert checkpoints.sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest()


def test_transposed_weights_are_saved_by_value(tmp_path: Path) -> None:
    net = nn.Linear(2, 3, bias=False)
    net.weight = nn.Parameter(torch.arange(6.0).view(2, 3).T)
    checkpoints.save(tmp_path / "a.safetensors", net, {})
    weights = checkpoints.load(tmp_path / "a.safetensors").weights
    assert torch.equal(weights["weight"], net.weight)


@pytest.mark.parametrize("kept", [0, 4, 100, -1])
def test_truncated_weights(kept: int, model: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    checkpoints.save(path, model, {})
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(UserError, match=r"a\.safetensors is not a readable .* fetch or copy it"):
        checkpoints.load(path)


@pytest.mark.parametrize("metadata", [None, {"other": "x"}])
def test_weights_of_another_program(metadata: dict[str, str] | None, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"w": torch.zeros(2)}, path, metadata=metadata)
    with pytest.raises(UserError, match="no manifest, so it was not written by this project"):
        checkpoints.load(path)


@pytest.mark.parametrize(
    "load", [checkpoints.load, checkpoints.load_foreign, checkpoints.load_resume_state]
)
def test_missing(load: Callable[[Path], object], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no checkpoint at .*nowhere.pt; check the path"):
        load(tmp_path / "nowhere.pt")


@pytest.mark.parametrize(
    "save",
    [
        lambda path, model: checkpoints.save(path, model, {}),
        lambda path, model: checkpoints.save_resume_state(path, model.state_dict()),
    ],
    ids=["weights", "resume state"],
)
def test_full_disk_leaves_the_older_file(
    save: Callable[[Path, nn.Module], None],
    model: nn.Module,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"older")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save(path, model)
    assert path.read_bytes() == b"older"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_resume_state_comes_back(tmp_path: Path) -> None:
    state = {"step": torch.tensor(4.0), "nested": [1, (2.5, None)], "text": "x", "inf": 1e400}
    checkpoints.save_resume_state(tmp_path / "r.pt", state)
    assert checkpoints.load_resume_state(tmp_path / "r.pt") == state


@pytest.mark.parametrize("load", [checkpoints.load_foreign, checkpoints.load_resume_state])
@pytest.mark.parametrize("form", ["zip", "legacy", "plain pickle"])
def test_malicious_pickles_do_not_run(
    load: Callable[[Path], object], form: str, tmp_path: Path
) -> None:
    path, side_effect = tmp_path / "evil.pt", tmp_path / "side_effect"
    content = {"model": Malicious(side_effect)}
    if form == "plain pickle":
        path.write_bytes(pickle.dumps(content))
    else:
        path.write_bytes(torch_bytes(content, _use_new_zipfile_serialization=form == "zip"))
    reason = "could run code when loaded" if form == "zip" else "format before PyTorch 1.6"
    with pytest.raises(UserError, match=rf"evil\.pt was refused: .*{reason}"):
        load(path)
    assert not side_effect.exists()
    pickle.loads(pickle.dumps(content))  # whoever trusts it gets the side effect
    assert side_effect.exists()


def test_truncation_at_every_length_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "r.pt"
    whole = torch_bytes({"w": torch.arange(50.0)})
    for kept in range(0, len(whole), 37):
        path.write_bytes(whole[:kept])
        with pytest.raises(UserError, match="cannot be continued from it"):
            checkpoints.load_resume_state(path)


def test_a_flipped_bit_in_a_tensor_is_noticed(tmp_path: Path) -> None:
    """PyTorch itself reads such a file without complaint."""
    path = tmp_path / "r.pt"
    weights = torch.arange(50.0)
    content = bytearray(torch_bytes({"w": weights}))
    content[content.index(weights.numpy().tobytes()) + 21] ^= 4
    path.write_bytes(content)
    assert not torch.equal(torch.load(path, weights_only=True)["w"], weights)
    with pytest.raises(UserError, match=r"truncated or damaged \(wrong checksum of"):
        checkpoints.load_resume_state(path)


def test_random_bytes(tmp_path: Path) -> None:
    path = tmp_path / "r.pt"
    generator = torch.Generator().manual_seed(0)
    for size in range(1, 120):
        path.write_bytes(bytes(torch.randint(256, (size,), generator=generator).tolist()))
        with pytest.raises(UserError, match=r"r\.pt (was refused|is truncated or damaged)"):
            checkpoints.load_foreign(path)


def test_something_other_than_a_dictionary(tmp_path: Path) -> None:
    (tmp_path / "r.pt").write_bytes(torch_bytes([1, 2]))
    with pytest.raises(UserError, match="holds no state dict; save the state_dict of"):
        checkpoints.load_foreign(tmp_path / "r.pt")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda weights: weights.pop("0.bias"), "0.bias is missing"),
        (lambda weights: weights.update(x=torch.zeros(1)), "'x' is not part of this network"),
        (
            lambda weights: weights.update({"0.weight": torch.zeros(4, 9)}),
            r"0.weight has shape \[4, 9\] instead of \[4, 3\]",
        ),
        (lambda weights: weights.clear(), "and 5 more"),
    ],
)
def test_weights_of_another_network(
    change: Callable[[dict[str, Any]], object], problem: str, model: nn.Module
) -> None:
    before = {key: value.clone() for key, value in model.state_dict().items()}
    weights = {key: value + 1 for key, value in before.items()}
    change(weights)
    with pytest.raises(UserError, match=f"a.pt belongs to another network: .*{problem}"):
        checkpoints.load_into(model, weights, "a.pt")
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_weights_of_the_same_network(model: nn.Module) -> None:
    weights = {key: value + 1 for key, value in model.state_dict().items()}
    checkpoints.load_into(model, weights, "a.pt")
    assert all(torch.equal(value, weights[key]) for key, value in model.state_dict().items())


def test_digest_of_weights_sees_name_type_shape_and_every_bit() -> None:
    weights = {"a": torch.tensor([1.0, 0.0]), "b": torch.tensor(3)}
    digest = checkpoints.weights_digest(weights)
    assert digest == checkpoints.weights_digest(dict(reversed(weights.items())))
    assert digest == checkpoints.weights_digest({"a": torch.tensor([1.0, 9, 0.0])[::2], **weights})
    others: list[dict[str, torch.Tensor]] = [
        {"c": weights["a"], "b": weights["b"]},
        {**weights, "a": weights["a"].double()},
        {**weights, "a": weights["a"][None]},
        {**weights, "a": torch.tensor([1.0, -0.0])},
        {**weights, "a": torch.tensor([1.0, 1e-45])},
        {**weights, "c": torch.zeros(0)},
        {"a": weights["a"]},
        {**weights, "b": torch.tensor(3.0, dtype=torch.bfloat16)},
    ]
    digests = {checkpoints.weights_digest(other) for other in others}
    assert len(digests) == len(others)
    assert digest not in digests


# --- names of wrappers, and files that grow -------------------------------------------------------


@pytest.mark.parametrize(
    ("rename", "told"),
    [
        (lambda name: f"module.{name}", "module."),
        (lambda name: f"_orig_mod.{name}", "_orig_mod."),
        (lambda name: f"module._orig_mod.{name}", "_orig_mod. and module."),
        (lambda name: f"_orig_mod.module.{name}", "_orig_mod. and module."),
        (lambda name: name.replace("0.", "0._orig_mod."), "_orig_mod."),
    ],
    ids=["DDP", "compile", "DDP of compile", "compile of DDP", "compiled layer"],
)
@pytest.mark.parametrize("nested", [None, "state_dict", "model_state_dict"])
def test_names_of_wrappers_are_taken_off(
    rename: Callable[[str], str],
    told: str,
    nested: str | None,
    model: nn.Module,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    weights = {rename(key): value + 1 for key, value in model.state_dict().items()}
    content: dict[str, Any] = {nested: weights, "epoch": 3} if nested else weights
    (tmp_path / "a.pt").write_bytes(torch_bytes(content))
    with caplog.at_level("INFO", logger="core.checkpoints"):
        found = checkpoints.load_foreign(tmp_path / "a.pt")
    checkpoints.load_into(model, found, "a.pt")
    assert all(torch.equal(value, found[key]) for key, value in model.state_dict().items())
    assert caplog.messages == [f"{tmp_path / 'a.pt'}: read without {told} in its names"]


def test_wrapped_networks_are_saved_and_read(model: nn.Module, tmp_path: Path) -> None:
    checkpoints.save(tmp_path / "a.safetensors", nn.DataParallel(model), {})
    found = checkpoints.load(tmp_path / "a.safetensors").weights
    assert found.keys() == model.state_dict().keys()


@pytest.mark.parametrize(
    "names", [["module.a", "n_averaged"], ["_orig_mod.a", "a"], ["module.a", "a"]], ids=str
)
def test_half_wrapped_names_are_refused(names: list[str], tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(torch_bytes({name: torch.zeros(1) for name in names}))
    with pytest.raises(UserError, match=r"only some names have a wrapper's 'module\.' or"):
        checkpoints.load_foreign(tmp_path / "a.pt")


def test_a_compressed_archive_is_refused(tmp_path: Path) -> None:
    """64 MB of zeros in 64 kB; PyTorch reads it."""
    small, large = tmp_path / "small.pt", tmp_path / "large.pt"
    large.write_bytes(torch_bytes({"w": torch.zeros(2**24)}))
    with zipfile.ZipFile(large) as old, zipfile.ZipFile(small, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    assert small.stat().st_size < 2**20
    with pytest.raises(UserError, match="compressed, which"):
        checkpoints.load_foreign(small)


def test_a_large_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes((2**30).to_bytes(8, "little") + b"{}")
    with pytest.raises(UserError, match=r"not a readable .* \(a header of 1073741824"):
        checkpoints.load(path)


def test_a_network_is_built_only_when_its_weights_are_there(model: nn.Module) -> None:
    for size in (2**15, 2**20, 2**40):  # 4 GB, 4 TB, more than any address
        with pytest.raises(UserError, match=r"belongs to another network|cannot be built"):
            checkpoints.build_with(partial(nn.Linear, size, size), {}, "a.pt")
    made = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    weights = {k: v for k, v in model.state_dict().items() if k != "permutation"}
    built = checkpoints.build_with(lambda: made, weights, "a.pt")
    assert all(torch.equal(value, weights[key]) for key, value in built.state_dict().items())
