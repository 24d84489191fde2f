"""Which files a run uses and what a record may call them."""

import lzma
import shutil
from pathlib import Path

import pytest

from core.data import speech
from core.data.sources import SourceFile
from core.data.speech import (
    SPLITS,
    SpeechData,
    embedded_folder,
    find_speech,
    load_event_split,
    load_utterance_split,
)
from core.errors import UserError

from .conftest import register, sha256

pytestmark = pytest.mark.usefixtures("speech_cache")


def test_files_that_nobody_can_vouch_for(tmp_path: Path) -> None:
    for dataset in SPLITS:
        copy = tmp_path / dataset
        shutil.copytree(embedded_folder(dataset), copy)
        found = find_speech(dataset, copy)
        assert found == SpeechData(
            dataset, f"{dataset}-unverified", copy, find_speech(dataset, "embedded").digest
        )
        victim = next(p for p in copy.rglob("*") if p.suffix in (".h5", ".wav", ".flac"))
        if victim.suffix != ".h5":  # a changed HDF5 file would be read by nobody here
            victim.write_bytes(victim.read_bytes()[:-2] + b"??")
            assert find_speech(dataset, str(copy)).digest != found.digest


@pytest.fixture
def published_shd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make two small files the published ones; return the folder that holds them, plain."""
    folder = tmp_path / "plain"
    shutil.copytree(embedded_folder("shd"), folder)
    contents = {split: (folder / f"shd_{split}.h5").read_bytes() for split in ("train", "test")}
    register(
        monkeypatch,
        "shd",
        *(
            SourceFile(name=f"shd_{split}.h5.gz", md5="0" * 32, payload_sha256=sha256(content))
            for split, content in contents.items()
        ),
    )
    monkeypatch.setitem(speech.EVENT_SAMPLES, "shd", {"train": 800, "test": 200})
    return folder


@pytest.mark.parametrize("packed", [False, True])
def test_published_files_are_recognised_however_packed(published_shd: Path, packed: bool) -> None:
    if packed:
        for path in list(published_shd.iterdir()):
            Path(f"{path}.xz").write_bytes(lzma.compress(path.read_bytes(), preset=0))
            path.unlink()
    found = find_speech("shd", published_shd)
    assert found.name == "shd"
    assert found.digest == speech.digest("shd")
    assert len(load_event_split(found, "test").labels) == 200


def test_one_other_file_and_the_name_is_gone(published_shd: Path) -> None:
    shutil.copy(published_shd / "shd_train.h5", published_shd / "shd_test.h5")
    found = find_speech("shd", published_shd)
    assert found.name == "shd-unverified"
    assert len(load_event_split(found, "test").labels) == 800  # sizes are free


def test_published_sizes_are_asserted(published_shd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = find_speech("shd", published_shd)
    monkeypatch.setitem(speech.EVENT_SAMPLES, "shd", {"train": 8156, "test": 2264})
    with pytest.raises(UserError, match="holds 800 recordings, expected 8156"):
        load_event_split(found, "train")


@pytest.mark.parametrize("dataset", ["hd", "sc"])
def test_complete_tree_gets_the_plain_name(
    dataset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "tree"
    shutil.copytree(embedded_folder(dataset), folder)

    def names(split: str) -> str:
        paths = speech._splits(dataset, folder)[split].paths
        root = folder / "audio" if dataset == "hd" else folder
        lines = sorted(path.relative_to(root).as_posix() for path in paths)
        return "".join(f"{line}\n" for line in lines)

    if dataset == "hd":
        both = sorted((names("train") + names("test")).split())
        complete = "".join(f"{line}\n" for line in both)
        monkeypatch.setattr(speech, "_HD_NAMES", sha256(complete.encode()))
    else:
        digests = {split: sha256(names(split).encode()) for split in ("valid", "test")}
        monkeypatch.setattr(speech, "_SC_NAMES", digests)
        monkeypatch.setattr(speech, "_SC_RECORDINGS", 805)
    assert find_speech(dataset, folder).name == dataset
    victim = folder / ("train_filenames.txt" if dataset == "hd" else "testing_list.txt")
    lines = victim.read_text().split()
    victim.write_text("\n".join(lines[1:]))  # no longer in the training or in the test part
    assert find_speech(dataset, folder).name == f"{dataset}-unverified"
    victim.write_text("\n".join(lines))
    if dataset == "hd":  # all recordings, but a new speaker is trained on
        test = (folder / "test_filenames.txt").read_text().split()
        new = next(name for name in test if "speaker-04" in name)
        victim.write_text("\n".join([*lines, new]))
        (folder / "test_filenames.txt").write_text("\n".join(n for n in test if n != new))
    else:
        shutil.copy(next(folder.glob("zero/*.wav")), folder / "zero" / "ffffffff_nohash_0.wav")
    assert find_speech(dataset, folder).name == f"{dataset}-unverified"


@pytest.mark.parametrize(
    ("dataset", "place", "message"),
    [
        ("shdd", "embedded", "no speech data set is called 'shdd'; known are shd, ssc, hd, sc"),
        ("ssc", "regenerated", "a form of shd only; for ssc name a folder .* or embedded"),
        ("shd", "subset", "a form of hd and sc only; for shd .* embedded or regenerated"),
        ("hd", "/nowhere", "/nowhere is no folder; for hd .* embedded or subset"),
    ],
)
def test_bad_requests(dataset: str, place: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        find_speech(dataset, place)


def test_wrong_split() -> None:
    with pytest.raises(ValueError, match="shd has no such split 'valid'"):
        load_event_split(find_speech("shd", "embedded"), "valid")
    with pytest.raises(ValueError, match="hd has no such split 'valid'"):
        load_utterance_split(find_speech("hd", "embedded"), "valid")
    with pytest.raises(ValueError, match="shd has no such split"):
        load_utterance_split(find_speech("shd", "embedded"), "train")


def test_folder_without_the_files(tmp_path: Path) -> None:
    for dataset, file in (("ssc", "ssc_train"), ("hd", "train_filenames"), ("sc", "_list")):
        with pytest.raises(UserError, match=rf"{file}.*ame the folder"):
            find_speech(dataset, tmp_path)
