"""Sets of event cameras in their published layouts: found, divided, counted, kept in the cache."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from core.data import event_frames, synthetic_dvs
from core.data.cifar10 import CLASSES
from core.data.dvs import DvsEvents, decode_nmnist
from core.data.event_frames import find_event_set, load_frames
from core.data.gesture import Split, gesture_jobs, kept_trials, segments_of, trials_of
from core.data.synthetic_dvs import (
    TRIALS,
    encode_nmnist,
    write_synthetic_cifar10_dvs,
    write_synthetic_gestures,
    write_synthetic_nmnist,
    write_trial,
)
from core.errors import UserError

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "dvs" / "file_formats.npz")


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def count(folder: Path, split: Split, cpus: int | None = None) -> int:
    return sum(len(job()) for job in gesture_jobs(folder, split, converter_cpus=cpus))


# --- gestures -------------------------------------------------------------------------------------


def test_segments_are_those_of_the_authors_converter(tmp_path: Path) -> None:
    (tmp_path / "user01_fluorescent.aedat").write_bytes(GOLDEN["aedat31_bytes"].tobytes())
    labels = GOLDEN["segments_labels_csv_bytes"].tobytes()
    (tmp_path / "user01_fluorescent_labels.csv").write_bytes(labels)
    (tmp_path / "trials_to_train.txt").write_text("user01_fluorescent.aedat\n\n")
    (job,) = gesture_jobs(tmp_path, "train")
    samples = job()
    names = [sample.name.rpartition(" ")[2] + ".npy" for sample in samples]
    assert names == GOLDEN["segments_file_names"].tolist()
    assert [sample.label for sample in samples] == GOLDEN["segments_class_index"].tolist()
    for sample, first, end in zip(
        samples, GOLDEN["segments_first_index"], GOLDEN["segments_end_index"], strict=True
    ):
        assert np.array_equal(sample.events.t, GOLDEN["aedat31_t"][first:end])


def test_a_whole_archive_gives_all_gestures_and_loses_them_as_published(tmp_path: Path) -> None:
    """The trials are links to one: what counts is their number."""
    write_trial(tmp_path, "user00_led", np.random.default_rng(0), events=30)
    names = {
        "train": [f"user{n:02d}_lab" for n in range(98)],
        "test": [f"user{n}_natural" for n in range(24)],
    }
    for split, stems in names.items():
        for stem in stems:
            (tmp_path / f"{stem}.aedat").symlink_to(tmp_path / "user00_led.aedat")
            (tmp_path / f"{stem}_labels.csv").symlink_to(tmp_path / "user00_led_labels.csv")
        lines = "".join(f"{stem}.aedat\n" for stem in stems)
        (tmp_path / f"trials_to_{split}.txt").write_text(lines)
    assert (count(tmp_path, "train"), count(tmp_path, "test")) == (1176, 288)
    assert count(tmp_path, "test", 27) == 288, "tests were converted by a thread of their own"
    kept = {1176: (1, 2, 3, 8, 15, 50), 1152: (4, 5, 7, 9, 13, 17, 33), 1140: (6, 20)}
    kept |= {1080: (10, 11, 16, 19, 31), 1056: (12, 23, 45), 936: (27, 40)}
    trials = trials_of(tmp_path, "train")
    for samples, processors in kept.items():
        for cpus in processors:
            assert 12 * len(kept_trials(trials, cpus)) == samples
    assert list(kept_trials(trials, 27)) == trials[:78]
    with pytest.raises(UserError, match="lost all trials"):
        count(tmp_path, "train", 100)


@pytest.mark.parametrize("packed", [False, True])
def test_gestures_as_frames(tmp_path: Path, packed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthetic_dvs, "TRIALS", {"train": 3, "test": 1})
    write_synthetic_gestures(tmp_path / "DvsGesture", events=60)
    if packed:
        with tarfile.open(tmp_path / "DvsGesture.tar.gz", "w:gz") as archive:
            archive.add(tmp_path / "DvsGesture", "DvsGesture")
        for path in (tmp_path / "DvsGesture").iterdir():
            path.unlink()
        (tmp_path / "DvsGesture").rmdir()
    data = find_event_set("dvs128_gesture", tmp_path)
    assert (data.name, data.side, data.classes) == ("dvs128_gesture-unverified", 128, 11)
    frames = load_frames(data, "train", steps=4, split_by="number")
    assert frames.counts.shape == (36, 4, 2, 128, 128)
    assert frames.labels.tolist()[:12] == [9, 10, 0, 1, 2, 3, 4, 5, 6, 7, 7, 8]
    assert (frames.microseconds > 500_000).all()
    counted = frames.counts.sum((2, 3, 4))
    assert (counted[:, :3] == counted[:, :1]).all()
    monkeypatch.setattr(event_frames, "_count_all", None)  # the second time they are there
    again = load_frames(data, "train", steps=4, split_by="number")
    assert np.array_equal(again.counts, frames.counts)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("trials_to_train.txt", "../a.aedat\n", "no NAME.aedat"),
        ("trials_to_train.txt", "", "lists no trials"),
        ("trials_to_train.txt", "user01_led.aedat\n" * 2, "a trial twice"),
        ("user01_led_labels.csv", "class\n12,0,5\n", "line 2: no gesture 1 to 11"),
        ("user01_led_labels.csv", "class\n1,7,5\n", "line 2: no gesture"),
        ("user01_led_labels.csv", "class\n1,a,5\n", "line 2: expected label,start,end"),
    ],
)
def test_damaged_lists_are_refused(tmp_path: Path, file: str, text: str, message: str) -> None:
    (tmp_path / file).write_text(text)
    with pytest.raises(UserError, match=message):
        trials_of(tmp_path, "train") if "trials" in file else segments_of(tmp_path, "user01_led")


# --- the others -----------------------------------------------------------------------------------


def zipped(folder: Path, name: str) -> None:
    with zipfile.ZipFile(folder / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted((folder / name).rglob("*.*")):
            archive.write(path, path.relative_to(folder).as_posix())
    for path in (folder / name).rglob("*.*"):
        path.unlink()


@pytest.mark.parametrize("packed", [False, True])
def test_nmnist(tmp_path: Path, packed: bool) -> None:
    write_synthetic_nmnist(tmp_path / "n", train=12, test=5)
    if packed:
        zipped(tmp_path / "n", "Train")
        zipped(tmp_path / "n", "Test")
        for path in sorted((tmp_path / "n").rglob("*"), reverse=True):
            if path.is_dir():
                path.rmdir()
    data = find_event_set("nmnist", tmp_path / "n")
    assert data.name == "nmnist-unverified"
    train, test = (load_frames(data, s, steps=3, split_by="time") for s in ("train", "test"))
    assert train.counts.shape == (12, 3, 2, 34, 34)
    assert len(test.labels) == 5
    assert train.labels.tolist() == sorted(train.labels.tolist())
    assert (train.counts.sum((1, 2, 3, 4)) == 800).all()


@pytest.mark.parametrize("packed", [False, True])
def test_cifar10_dvs_is_divided_by_number(tmp_path: Path, packed: bool) -> None:
    write_synthetic_cifar10_dvs(tmp_path, CLASSES, count=11)
    if packed:
        for name in CLASSES:
            zipped(tmp_path, name)
            (tmp_path / name).rmdir()
    data = find_event_set("cifar10_dvs", tmp_path)
    test = load_frames(data, "test", steps=2, split_by="number")
    ends = [name.rpartition("_")[2] for name in test.names]
    assert ends == ["9.aedat", "10.aedat"] * 10, "by number, not by name"
    assert test.labels.tolist() == np.repeat(range(10), 2).tolist()


def test_a_recording_that_cannot_be_divided_is_named(tmp_path: Path) -> None:
    write_synthetic_nmnist(tmp_path / "n", train=3, test=1)
    still = DvsEvents(*np.zeros((4, 5), np.int64))
    (tmp_path / "n" / "Test" / "7").mkdir()
    (tmp_path / "n" / "Test" / "7" / "00009.bin").write_bytes(encode_nmnist(still))
    data = find_event_set("nmnist", tmp_path / "n")
    with pytest.raises(UserError, match=r"7/00009\.bin cannot be made into 3 frames.*too short"):
        load_frames(data, "test", steps=3, split_by="time")
    assert not list((tmp_path / "cache" / "snn" / "frames").glob("[!.]*")), "nothing half done"


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for kind in ("nmnist", "cifar10_dvs"):
        with pytest.raises(UserError, match=f"holds no files of {kind}"):
            find_event_set(kind, tmp_path / "empty")
    with pytest.raises(UserError, match=r"neither trials_to_train\.txt nor DvsGesture\.tar\.gz"):
        find_event_set("dvs128_gesture", tmp_path / "empty")


def test_embedded_sets() -> None:
    sides = {"dvs128_gesture": 32, "nmnist": 34, "cifar10_dvs": 32}
    for kind, side in sides.items():
        data = find_event_set(kind, "embedded")
        assert (data.name, data.side) == (f"synthetic-{kind}", side)
        frames = load_frames(data, "test", steps=2, split_by="number")
        assert frames.counts.shape[3:] == (side, side)
        assert len(set(frames.labels.tolist())) >= 9
    assert TRIALS["test"] == 3


# --- real data ------------------------------------------------------------------------------------


def test_a_real_file(real_data: Path) -> None:
    events = decode_nmnist((real_data / "nmnist" / "tonic_sample_nmnist.bin").read_bytes(), "a")
    assert (len(events.t), events.t[0], events.t[-1]) == (4325, 654, 311_175)
    assert (np.diff(events.t) >= 0).all()
    assert max(events.x.max(), events.y.max()) == 33


def test_the_real_subset(real_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNN_DATA", str(real_data))
    data = find_event_set("nmnist", "subset")
    train, test = (load_frames(data, s, steps=10, split_by="number") for s in ("train", "test"))
    assert data.name == "nmnist-subset"
    assert np.bincount(train.labels).tolist() == [100] * 8
    assert np.bincount(test.labels).tolist() == [30] * 8
    assert 500 < train.counts.sum((1, 2, 3, 4), dtype=np.int64).mean() < 7200
