"""Archives of recordings as folders with lists; the real subsets and the regenerated SHD."""

import io
import lzma
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core.data import registry
from core.data.binning import bin_events, linear_edges
from core.data.fetch import is_present
from core.data.sources import SourceFile
from core.data.speech import (
    SPLITS,
    embedded_folder,
    find_speech,
    load_event_split,
    load_utterance_split,
)
from core.data.speech_trees import list_hd_subset, list_sc_subset
from core.data.utterances import audio_batches
from core.data.words import DIGITS, WORDS
from core.errors import UserError

from .conftest import register, sha256

pytestmark = pytest.mark.usefixtures("speech_cache")


def tar(write: Callable[[tarfile.TarFile], None]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        write(archive)
    return stream.getvalue()


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SNN_DATA", str(tmp_path / "root"))
    return tmp_path / "root"


def put(root: Path, monkeypatch: pytest.MonkeyPatch, name: str, file: str, content: bytes) -> Path:
    register(monkeypatch, name, SourceFile(name=file, size=len(content), sha256=sha256(content)))
    folder = root / registry.SOURCES[name].place
    folder.mkdir(parents=True)
    (folder / file).write_bytes(content)
    return folder / file


def test_hd_subset_becomes_a_tree_with_lists(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = embedded_folder("hd") / "audio"

    def write(archive: tarfile.TarFile) -> None:
        archive.add(whole, "hd_subset/audio", filter=lambda m: None if "trial-1" in m.name else m)

    archive = put(root, monkeypatch, "hd_subset", "hd_subset.tar", tar(write))
    found = find_speech("hd", "subset")
    assert found.name == "hd-subset"
    train, test = (load_utterance_split(found, split) for split in ("train", "test"))
    assert (len(train.paths), len(test.paths)) == (190, 50)
    assert not {"04", "05"} & set(train.speakers)
    assert {"04", "05"} < set(test.speakers)
    others = ~np.isin(test.speakers, ["04", "05"])
    assert sorted(test.labels[others]) == list(range(0, 20, 2))
    assert not set(train.paths) & set(test.paths)
    assert {p.name for p in archive.parent.iterdir()} == {"hd_subset.tar"}  # nothing in place
    assert find_speech("hd", "subset") == found


def test_sc_subset_is_split_by_speaker(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [p.name for p in (embedded_folder("sc") / "zero").iterdir()]
    top = "speech_commands_test_set_v0.02_subset"

    def write(archive: tarfile.TarFile) -> None:  # of 23 speakers, who say nothing
        for word in (*WORDS, "_silence_"):
            for name in names:
                archive.addfile(tarfile.TarInfo(f"{top}/{word}/{name}"))

    content = lzma.compress(tar(write), preset=0)
    put(root, monkeypatch, "sc_subset", f"{top}.tar.xz", content)
    found = find_speech("sc", "subset")
    assert found.name == "sc-subset"
    splits = [load_utterance_split(found, split) for split in SPLITS["sc"]]
    assert sum(len(split.paths) for split in splits) == 805
    speakers = [set(split.speakers) for split in splits]
    assert all(speakers)
    assert len(set.union(*speakers)) == sum(map(len, speakers)) == 23
    assert len(splits[0].paths) > 400


@pytest.mark.parametrize("name", ["hd_subset/../../../escaped", "hd_subset/link"])
def test_archive_with_links_or_other_places_is_refused(
    name: str, root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def write(archive: tarfile.TarFile) -> None:
        member = tarfile.TarInfo(name)
        if name.endswith("link"):
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(member)

    put(root, monkeypatch, "hd_subset", "hd_subset.tar", tar(write))
    with pytest.raises(UserError, match="outside"):
        find_speech("hd", "subset")
    assert not list(tmp_path.rglob("escaped"))


def header(name: str, kind: bytes, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.size = kind, size
    return member


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (header("hd_subset/a", tarfile.GNUTYPE_SPARSE, 1 << 50), "a is a link, is sparse"),
        (header("hd_subset/a", tarfile.XHDTYPE, 1 << 33), "a header announces 8589934592 bytes"),
        (header("hd_subset/a", tarfile.GNUTYPE_LONGNAME, 1 << 33), "a header announces"),
        (header("hd_subset/a", tarfile.REGTYPE, 1 << 50), "unexpected end of data"),
        (header("hd_subset/a", tarfile.REGTYPE, -(1 << 50)), "a header announces -"),
    ],
)
@pytest.mark.parametrize("suffix", [".tar", ".tar.xz"])
def test_archive_that_promises_too_much(
    member: tarfile.TarInfo,
    message: str,
    suffix: str,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    look_alikes: Path,
) -> None:
    block = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    if member.issparse():  # one piece of no bytes, where the file shall end
        block[386:410] = tarfile.itn(1 << 50, 12) + tarfile.itn(0, 12)  # type: ignore[attr-defined]
        block[482:495] = b"\0" + tarfile.itn(1 << 50, 12)  # type: ignore[attr-defined]
        block[124:136] = tarfile.itn(0, 12)  # type: ignore[attr-defined]
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
    content = bytes(block) + bytes(10240 - len(block))
    if suffix == ".tar.xz":
        content = lzma.compress(content, preset=0)
    put(root, monkeypatch, "hd_subset", f"hd_subset{suffix}", content)
    with pytest.raises(UserError, match=f"is truncated or damaged .*{message}"):
        find_speech("hd", "subset")
    assert not list((look_alikes / "snn" / "unpacked").glob("hd_subset*/**/a"))


def test_archive_that_unpacks_to_too_much(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zeros = lzma.compress(bytes(1 << 20), preset=0)  # 70 MiB in 15 kB
    start = lzma.compress(header("hd_subset/a", tarfile.REGTYPE, 70 << 20).tobuf(), preset=0)
    put(root, monkeypatch, "hd_subset", "hd_subset.tar.xz", start + 70 * zeros)
    with pytest.raises(UserError, match=r"hd_subset\.tar\.xz .*more than 67108864 bytes"):
        find_speech("hd", "subset")


def test_the_same_name_twice(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(archive: tarfile.TarFile) -> None:
        for name in ("hd_subset/audio/a.flac", "hd_subset/audio/a.flac"):
            archive.addfile(tarfile.TarInfo(name))

    put(root, monkeypatch, "hd_subset", "hd_subset.tar", tar(write))
    with pytest.raises(UserError, match=r"a\.flac twice"):
        find_speech("hd", "subset")


def test_hidden_files_of_macos_are_no_recordings(tmp_path: Path) -> None:
    names = [f"lang-german_speaker-{n:02d}_trial-3_digit-8.flac" for n in (0, 4)]
    for folder, files in (("audio", names), ("bed", ["1_nohash_0.wav"]), ("._bed", ["a.wav"])):
        (tmp_path / folder).mkdir()
        for name in files:
            (tmp_path / folder / name).touch()
            (tmp_path / folder / f"._{name}").touch()
    list_hd_subset(tmp_path)
    list_sc_subset(tmp_path)
    listed = [line for path in tmp_path.glob("*.txt") for line in path.read_text().split()]
    assert listed
    assert not [line for line in listed if "._" in line]


def test_truncated_archive(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = embedded_folder("hd") / "audio"
    content = tar(lambda archive: archive.add(whole, "hd_subset/audio"))[:-100_000]
    put(root, monkeypatch, "hd_subset", "hd_subset.tar", content)
    with pytest.raises(UserError, match=r"hd_subset\.tar is truncated or damaged"):
        find_speech("hd", "subset")


# Real files


def real(name: str) -> None:
    if not is_present(name):
        pytest.skip(f"{name} is not in the data folder (SNN_DATA)")


def test_real_hd_subset() -> None:
    real("hd_subset")
    found = find_speech("hd", "subset")
    train, test = (load_utterance_split(found, split) for split in ("train", "test"))
    assert (len(train.paths), len(test.paths)) == (190, 51)
    assert set(train.labels) == set(test.labels) == set(range(20))
    [(x, _)] = audio_batches(test, [0, 1, 2], batch_size=3, shuffle=False).epoch(0)
    assert 20 < len(x) < 136  # recordings of 0.234 to 1.372 s
    [(slow, _)] = audio_batches(
        test, [0, 1, 2], batch_size=3, shuffle=False, sample_rate="ignore"
    ).epoch(0)
    assert len(slow) == pytest.approx(3 * len(x), abs=6)


def test_real_sc_subset() -> None:
    real("sc_subset")
    found = find_speech("sc", "subset")
    splits = [load_utterance_split(found, split) for split in SPLITS["sc"]]
    assert [len(split.paths) for split in splits] == [520, 173, 165]
    assert len(set.union(*(set(split.speakers) for split in splits))) == 209
    assert set(splits[0].labels) == set(range(35))
    [(x, _)] = audio_batches(splits[1], [0, 1], batch_size=2, shuffle=False).epoch(0)
    assert x.shape == (98, 2, 40)


def test_real_regenerated_shd() -> None:
    real("shd_regen")
    found = find_speech("shd", "regenerated")
    assert found.name == "shd-regenerated"
    test = load_event_split(found, "test")
    assert test.words == DIGITS
    assert test.speakers is not None
    assert np.bincount(test.speakers)[4:6].tolist() == [900, 940]
    assert np.bincount(test.labels)[[0, 19]].tolist() == [115, 118]
    binned = bin_events(test, linear_edges(100, 1.4))
    assert binned.late == 0
    rows = np.arange(0, 2264, 20)
    counts = binned.take(rows).sum(dim=(0, 2))
    assert counts.tolist() == np.diff(test.offsets)[rows].tolist()
    assert len(test.times) / 2264 == pytest.approx(7886, abs=1)


def test_lists_of_subsets_can_be_made_by_hand(tmp_path: Path) -> None:
    """The stated rules, on names alone."""
    (tmp_path / "audio").mkdir()
    for name in (
        "lang-german_speaker-11_trial-3_digit-8",
        "lang-german_speaker-11_trial-3_digit-9",
    ):
        (tmp_path / "audio" / f"{name}.flac").touch()
    list_hd_subset(tmp_path)
    # the last of the others gives class 18, which is the German 8
    assert (tmp_path / "test_filenames.txt").read_text().split() == [
        "lang-german_speaker-11_trial-3_digit-8.flac"
    ]
    (tmp_path / "bed").mkdir()
    names = [f"{n:08x}_nohash_0.wav" for n in range(400)]
    for name in names:
        (tmp_path / "bed" / name).touch()
    list_sc_subset(tmp_path)
    sizes = [
        len((tmp_path / name).read_text().split())
        for name in ("validation_list.txt", "testing_list.txt")
    ]
    assert sizes == [pytest.approx(60, abs=20), pytest.approx(80, abs=20)]
