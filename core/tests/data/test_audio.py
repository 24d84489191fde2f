"""Audio files, the trees of HD and SC, filterbanks and their batches."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from core.data import audio
from core.data.audio import SAMPLE_RATE, Utterances, read_list, read_waveform
from core.data.filterbank import log_mel
from core.data.heidelberg import load_hd
from core.data.speech_commands import load_sc
from core.data.utterances import audio_batches, pad
from core.data.words import WORDS
from core.errors import NotFinite, UserError

GOLDEN = Path(__file__).parents[1] / "golden" / "sparch"


def write(path: Path, samples: np.ndarray, rate: int = 16000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, subtype="PCM_16")
    return path


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN / "hd_fbank_batch.npz") as file:
        return {name: file[name] for name in file.files}


@pytest.fixture
def hd(tmp_path: Path, golden: dict[str, np.ndarray]) -> Path:
    """The made-up recordings as a tree; written as FLAC, which keeps 16 bits exactly."""
    names = [str(name) for name in golden["filenames"]]
    for i, name in enumerate(names):
        write(tmp_path / "audio" / name, golden[f"wave_int16_{i}"])
    (tmp_path / "train_filenames.txt").write_text("\n".join(names))
    (tmp_path / "test_filenames.txt").write_text("\n".join(reversed(names)) + "\n")
    return tmp_path


def test_published_filterbank_and_batch(hd: Path, golden: dict[str, np.ndarray]) -> None:
    utterances = load_hd(hd, "train")
    assert utterances.labels.tolist() == golden["labels"].tolist()
    for i, path in enumerate(utterances.paths):
        waveform = read_waveform(path, sample_rate="ignore")
        np.testing.assert_array_equal(waveform, golden[f"wave_int16_{i}"] / np.float32(32768))
        np.testing.assert_allclose(log_mel(waveform), golden[f"fbank_{i}"], rtol=0, atol=5e-5)
    batches = audio_batches(utterances, batch_size=4, shuffle=False, sample_rate="ignore")
    [(x, y)] = batches.epoch(0)
    assert (x.dtype, y.dtype) == (torch.float32, torch.int64)
    assert y.tolist() == golden["labels"].tolist()
    np.testing.assert_allclose(x.transpose(0, 1), golden["batch"], rtol=0, atol=5e-5)
    for b, length in enumerate(golden["xlens"]):
        assert (x[length:, b] == 0).all()
        assert (x[:length, b] != 0).any(dim=1).all()


def test_silence(golden: dict[str, np.ndarray]) -> None:
    frames = log_mel(torch.zeros(400 + 7 * 160))
    np.testing.assert_allclose(frames, golden["fbank_silence"], atol=1e-5)
    assert frames[0, 0] == pytest.approx(-15.9424, abs=1e-4)


def test_number_of_frames() -> None:
    for samples, frames in ((400, 1), (559, 1), (560, 2), (16000, 98)):
        assert log_mel(torch.zeros(samples)).shape == (frames, 40)
    with pytest.raises(ValueError, match="399 samples"):
        log_mel(torch.zeros(399))


def test_rate_is_converted_or_ignored(tmp_path: Path) -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(24000) / 48000) * 0.5
    path = write(tmp_path / "tone.flac", tone, rate=48000)
    converted, ignored = (read_waveform(path, sample_rate=rule) for rule in ("resample", "ignore"))
    assert (len(converted), len(ignored)) == (8000, 24000)
    # a tone of 1 kHz stays one, or seems to be one of 333 Hz
    for waveform, frequency in ((converted, 1000), (ignored, 1000 / 3)):
        spectrum = np.abs(np.fft.rfft(waveform))
        assert np.argmax(spectrum) * 16000 / len(waveform) == pytest.approx(frequency, abs=2)
    assert converted[1000:7000].abs().max() == pytest.approx(0.5, abs=0.01)


def test_first_channel_only(tmp_path: Path) -> None:
    both = np.stack([np.arange(500), np.zeros(500)], axis=1).astype(np.int16)
    waveform = read_waveform(write(tmp_path / "two.wav", both))
    assert waveform.shape == (500,)
    assert waveform[499] == 499 / 32768


@pytest.mark.parametrize("kept", [0, 20])
def test_file_that_is_no_audio(tmp_path: Path, kept: int) -> None:
    path = write(tmp_path / "a.flac", np.zeros(500))
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(UserError, match=r"a\.flac cannot be read as audio"):
        read_waveform(path)
    with pytest.raises(UserError, match=r"b\.flac does not exist"):
        read_waveform(tmp_path / "b.flac")


def test_audio_without_samples(tmp_path: Path) -> None:
    for rate in (16000, 48000):
        with pytest.raises(UserError, match=r"a\.wav holds 0 samples"):
            read_waveform(write(tmp_path / "a.wav", np.zeros(0), rate))


@pytest.mark.parametrize(("rate", "samples"), [(1999993, 16000), (16001, 16000), (7, 16000)])
def test_rates_that_take_too_much_memory(tmp_path: Path, rate: int, samples: int) -> None:
    path = write(tmp_path / "a.wav", np.zeros(samples), rate)
    with pytest.raises(UserError, match=rf"{samples} samples at {rate} Hz.*Convert"):
        read_waveform(path)
    assert len(read_waveform(path, sample_rate="ignore")) == samples


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 32000, 44100, 48000, 96000, 192000])
def test_usual_rates(tmp_path: Path, rate: int) -> None:
    assert len(read_waveform(write(tmp_path / "a.wav", np.zeros(rate), rate))) == SAMPLE_RATE


def test_flac_header_that_promises_too_much(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", np.zeros(5000))
    content = bytearray(path.read_bytes())
    place = content.index(b"fLaC") + 8 + 13  # the low 36 bits of 8 bytes are the number of samples
    content[place] |= 0x0F
    content[place + 1 : place + 5] = b"\xff" * 4
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"announces {2**36 - 1} samples, at most {2**25}"):
        read_waveform(path)
    content[place] &= 0xF0
    content[place + 1 : place + 5] = (6000).to_bytes(4)
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.flac (holds 5000|cannot be read)"):
        read_waveform(path)


def test_all_channels_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.flac", np.zeros((500, 2)))
    monkeypatch.setattr(audio, "MOST_SAMPLES", 999)
    with pytest.raises(UserError, match="announces 1000 samples, at most 999"):
        read_waveform(path)


@pytest.mark.parametrize(
    ("content", "message"), [(b"a\xff\n", "is no text in UTF-8"), (b"a" * 20, "more than 10 bytes")]
)
def test_lists_that_are_no_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, message: str
) -> None:
    (tmp_path / "list.txt").write_bytes(content)
    monkeypatch.setattr(audio, "MOST_LIST", 10)
    with pytest.raises(UserError, match=rf"list\.txt .*{message}"):
        read_list(tmp_path / "list.txt")


def test_too_short_recording_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "short.wav", np.zeros(399))
    one = Utterances((path,), np.array([0]), np.array(["a"]), ("word",))
    with pytest.raises(UserError, match=r"short\.wav is too short: 399 samples"):
        list(audio_batches(one, batch_size=1, shuffle=False).epoch(0))


@pytest.mark.parametrize("augmented", [False, True])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_recording_that_is_not_finite_is_named(
    value: float, augmented: bool, tmp_path: Path
) -> None:
    paths = tuple(tmp_path / f"{name}.wav" for name in "abc")
    for path in paths:
        soundfile.write(path, np.linspace(-0.5, 0.5, 2000), 16000, subtype="FLOAT")
    samples = np.linspace(-0.5, 0.5, 2000)
    samples[700] = value
    soundfile.write(paths[1], samples, 16000, subtype="FLOAT")
    three = Utterances(paths, np.zeros(3, np.int64), np.array(["a"] * 3), ("word",))
    batches = audio_batches(three, [2, 1], batch_size=1, shuffle=False, augmented=augmented)
    with pytest.raises(NotFinite, match=r"not finite in batch 2: .*b\.wav holds NaN or infinite"):
        list(batches.epoch(0))


# Heidelberg Digits


def test_hd_reads_names_and_keeps_the_order(hd: Path) -> None:
    train, test = load_hd(hd, "train"), load_hd(hd, "test")
    assert train.paths == test.paths[::-1]
    assert train.labels.tolist() == [0, 17, 9, 10]
    assert train.speakers[:3].tolist() == ["03", "11", "00"]
    assert train.words[0] == "zero"
    assert train.words[17] == "sieben"


def test_hd_problems_are_named(hd: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"train_filenames\.txt does not exist"):
        load_hd(tmp_path / "elsewhere", "train")
    load_hd(hd, "train").paths[1].unlink()
    with pytest.raises(UserError, match=r"trial-14_digit-7\.flac is listed in .*train_filenames"):
        load_hd(hd, "train")
    (hd / "train_filenames.txt").write_text("seven.flac\n")
    with pytest.raises(UserError, match=r"lists 'seven\.flac'; expected names such as"):
        load_hd(hd, "train")


# Speech Commands


@pytest.fixture(scope="module")
def sc_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made-up tree: empty files, since only their names are read here."""
    folder = tmp_path_factory.mktemp("sc")
    golden = np.load(GOLDEN / "sc_split.npz")
    for place in golden["all_files"]:
        (folder / str(place)).parent.mkdir(exist_ok=True)
        (folder / str(place)).touch()
    (folder / "_background_noise_").mkdir(exist_ok=True)
    (folder / "_background_noise_" / "noise.wav").touch()
    for name in ("validation_list", "testing_list"):
        (folder / f"{name}.txt").write_text("\n".join(golden[name].tolist()) + "\n")
    return folder


@pytest.mark.parametrize("spelling", ["absolute", "relative", "dot"])
def test_sc_published_split(sc_tree: Path, monkeypatch: pytest.MonkeyPatch, spelling: str) -> None:
    golden = np.load(GOLDEN / "sc_split.npz")
    monkeypatch.chdir(sc_tree.parent)
    folder = {"absolute": sc_tree, "relative": Path(sc_tree.name), "dot": Path("./x/..")}[spelling]
    if spelling == "dot":
        (sc_tree.parent / "x").mkdir(exist_ok=True)
        folder = folder / sc_tree.name
    for split in ("train", "valid", "test"):
        found = load_sc(folder, split)
        names = [path.relative_to(folder).as_posix() for path in found.paths]
        assert names == golden[f"{split}_files"].tolist()
        assert found.labels.tolist() == golden[f"{split}_labels"].tolist()
        assert found.words == tuple(golden["labels_sorted"]) == WORDS
        assert found.speakers[0] == names[0].split("/")[1][:8]


def copy_of(sc_tree: Path, target: Path) -> Path:
    for path in sc_tree.rglob("*"):
        place = target / path.relative_to(sc_tree)
        if path.is_dir():
            place.mkdir(parents=True)
        elif path.suffix == ".txt":
            place.write_bytes(path.read_bytes())
        else:
            place.touch()
    return target


def test_sc_list_spelled_with_a_dot_does_not_leak(sc_tree: Path, tmp_path: Path) -> None:
    folder = copy_of(sc_tree, tmp_path / "sc")
    for name in ("validation_list.txt", "testing_list.txt"):
        lines = (folder / name).read_text().split()
        (folder / name).write_text("".join(f"./{line}\n" for line in lines))
    for split in ("train", "valid", "test"):
        assert len(load_sc(folder, split).paths) == len(load_sc(sc_tree, split).paths)


def test_sc_folders_that_are_no_words_shift_no_label(sc_tree: Path, tmp_path: Path) -> None:
    folder = copy_of(sc_tree, tmp_path / "sc")
    for name in (".cache/a.wav", "_silence_/0.wav", "aaa/notes.md", "bed/._a_nohash_0.wav"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    (folder / "aaaa").mkdir()
    for split in ("train", "valid", "test"):
        np.testing.assert_array_equal(
            load_sc(folder, split).labels,
            load_sc(sc_tree, split).labels,
        )


def test_sc_problems_are_named(sc_tree: Path, tmp_path: Path) -> None:
    folder = copy_of(sc_tree, tmp_path / "sc")
    (folder / "aaa").mkdir()
    (folder / "aaa" / "a.wav").touch()
    with pytest.raises(UserError, match="none of the 35 words: aaa"):
        load_sc(folder, "test")
    (folder / "aaa" / "a.wav").unlink()
    listed = folder / "testing_list.txt"
    lines = listed.read_text()
    listed.write_text(lines + "bed/nobody_nohash_0.wav\n")
    with pytest.raises(UserError, match=r"nobody_nohash_0\.wav is listed in .*testing_list\.txt"):
        load_sc(folder, "test")
    listed.write_text(lines + "_background_noise_/noise.wav\n")
    with pytest.raises(UserError, match=r"testing_list\.txt lists '_background_noise_'"):
        load_sc(folder, "test")
    listed.unlink()
    with pytest.raises(UserError, match=r"testing_list\.txt does not exist"):
        load_sc(folder, "train")
    listed.write_text(lines)
    for path in (folder / "zero").iterdir():
        path.unlink()
    with pytest.raises(UserError, match="no wav files for zero"):
        load_sc(folder, "valid")


# Batches


@pytest.fixture
def recordings(tmp_path: Path) -> Utterances:
    generator = np.random.default_rng(0)
    paths = tuple(
        write(tmp_path / f"{i}.wav", 0.1 * generator.standard_normal(400 + 160 * i))
        for i in range(6)
    )
    return Utterances(paths, np.arange(6), np.array(list("aabbcc")), tuple("uvwxyz"))


def test_batches_are_padded_with_zeros_to_their_longest(recordings: Utterances) -> None:
    batches = audio_batches(recordings, [5, 0, 3], batch_size=2, shuffle=False)
    assert (batches.samples, len(batches)) == (3, 2)
    (first, y), (second, _) = batches.epoch(0)
    assert first.shape == (6, 2, 40)
    assert second.shape == (4, 1, 40)
    assert y.tolist() == [5, 0]
    assert (first[1:, 1] == 0).all()
    assert torch.equal(second[:, 0], log_mel(read_waveform(recordings.paths[3])))
    assert torch.equal(pad([second[:, 0]]), second)


def test_frames_are_computed_once(recordings: Utterances) -> None:
    batches = audio_batches(recordings, batch_size=6, shuffle=True)
    before = {int(label): x[:, b] for x, y in batches.epoch(0) for b, label in enumerate(y)}
    for path in recordings.paths:
        path.unlink()
    after = {int(label): x[:, b] for x, y in batches.epoch(1) for b, label in enumerate(y)}
    assert all(torch.equal(before[label], after[label]) for label in range(6))


def test_augmented_batches_are_functions_of_seed_epoch_and_recording(
    recordings: Utterances,
) -> None:
    def seen(epoch: int, seed: int = 0, size: int = 2, rows: list[int] | None = None) -> dict:
        batches = audio_batches(
            recordings, rows, batch_size=size, shuffle=True, seed=seed, augmented=True
        )
        return {
            int(label): x[: 1 + int(label), b]
            for x, y in batches.epoch(epoch)
            for b, label in enumerate(y)
        }

    first = seen(3)
    for other in (seen(3), seen(3, size=6), seen(3, rows=[4, 1, 2])):  # order and companions
        assert all(torch.equal(first[label], frames) for label, frames in other.items())
    plain = audio_batches(recordings, batch_size=6, shuffle=False)
    [(x, _)] = plain.epoch(3)
    for other in (seen(4), seen(3, seed=1)):
        assert any(not torch.equal(first[label], other[label]) for label in range(6))
    assert any(not torch.equal(first[label], x[: 1 + label, label]) for label in range(6))


def test_a_truncated_wav_is_not_read(tmp_path: Path) -> None:
    whole = tmp_path / "whole.wav"
    soundfile.write(whole, np.zeros(1600, dtype=np.int16), 16000)
    assert len(read_waveform(whole)) == 1600
    cut = tmp_path / "cut.wav"
    cut.write_bytes(whole.read_bytes()[:-800])
    with pytest.raises(UserError, match=r"is truncated: it announces 3244 bytes and has 2444"):
        read_waveform(cut)
