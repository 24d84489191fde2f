"""Files and frames of event cameras against arrays of the authors' code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from core.data.dvs import DvsEvents, decode_aedat31, decode_cifar10_dvs, decode_nmnist
from core.data.frames import count_frames, normalised
from core.data.synthetic_dvs import encode_aedat31, encode_cifar10_dvs, encode_nmnist
from core.errors import UserError

GOLDEN = Path(__file__).parents[1] / "golden" / "dvs"
FILES = np.load(GOLDEN / "file_formats.npz")
FRAMES = np.load(GOLDEN / "events_to_frames.npz")


def same(events: DvsEvents, prefix: str) -> None:
    for name, values in events._asdict().items():
        assert np.array_equal(values, FILES[f"{prefix}_{name}"]), name
        assert values.dtype == np.int64


def test_formats() -> None:
    same(decode_aedat31(FILES["aedat31_bytes"].tobytes(), "a"), "aedat31")
    same(decode_aedat31(FILES["aedat31_overflow_bytes"].tobytes(), "a"), "aedat31_overflow")
    same(decode_nmnist(FILES["nmnist_bytes"].tobytes(), "a"), "nmnist")
    content = FILES["cifar10dvs_bytes"].tobytes()
    same(decode_cifar10_dvs(content, "a"), "cifar10dvs_2020")
    same(decode_cifar10_dvs(content, "a", "upright"), "cifar10dvs_sj2")


def random_events(seed: int, count: int = 500, size: int = 34) -> DvsEvents:
    generator = np.random.default_rng(seed)
    t = np.sort(generator.integers(0, 300_000, count))
    x, y = generator.integers(0, size, (2, count))
    return DvsEvents(t, x, y, generator.integers(0, 2, count))


@pytest.mark.parametrize(
    ("encode", "decode"),
    [
        (encode_aedat31, decode_aedat31),
        (encode_nmnist, decode_nmnist),
        (encode_cifar10_dvs, decode_cifar10_dvs),
    ],
)
@pytest.mark.parametrize("count", [0, 500])
def test_look_alikes_are_read_as_they_were_written(encode, decode, count: int) -> None:  # type: ignore[no-untyped-def]
    events = random_events(1, count)
    for found, expected in zip(decode(encode(events), "a"), events, strict=True):
        assert np.array_equal(found, expected)


def test_damaged_files_are_refused() -> None:
    whole = encode_aedat31(random_events(2))
    with pytest.raises(UserError, match=r"gesture\.aedat ends inside a packet of"):
        decode_aedat31(whole[:-3], "gesture.aedat")
    with pytest.raises(UserError, match="ends inside the header of a packet"):
        decode_aedat31(whole + b"\0", "gesture.aedat")
    with pytest.raises(UserError, match="no whole events of five"):
        decode_nmnist(b"123456", "1.bin")
    with pytest.raises(UserError, match="no whole events of 8"):
        decode_cifar10_dvs(b"#x\r\n12345", "a.aedat")


# --- frames ---------------------------------------------------------------------------------------


def case(name: str) -> tuple[DvsEvents, int, int, int]:
    events = DvsEvents(*(FRAMES[f"{name}_ev_{field}"] for field in "txyp"))
    return (events, *(int(FRAMES[f"{name}_{size}"]) for size in "MHW"))  # type: ignore[return-value]


@pytest.mark.parametrize("name", ["c0", "c1"])
def test_frames(name: str) -> None:
    events, steps, height, width = case(name)
    length = torch.tensor(int(events.t[-1] - events.t[0]))
    for key in FRAMES.files:
        if not key.startswith(f"{name}_frames") or key.endswith("numpy"):
            continue
        split_by, normalization = key.split("_")[2:4]
        counts = count_frames(events, steps, split_by, height=height, width=width)
        found = normalised(torch.from_numpy(counts.astype(np.int64)), normalization, length)
        np.testing.assert_allclose(found.numpy(), FRAMES[key], rtol=1e-5, atol=1e-6)


def test_frames_of_a_sensor_that_is_not_square() -> None:
    events, steps, height, width = case("rect")
    counts = count_frames(events, steps, "number", height=height, width=width)
    assert np.array_equal(counts, FRAMES["rect_frames_correct"])
    assert not np.array_equal(counts, FRAMES["rect_frames_2020"])


@pytest.mark.parametrize("kind", ["max", "norm", "sum"])
def test_a_frame_without_events(kind: str) -> None:
    found = normalised(torch.from_numpy(FRAMES["zero_frame_in"]), kind)  # type: ignore[arg-type]
    np.testing.assert_allclose(found.numpy(), FRAMES[f"zero_frame_{kind}"], rtol=1e-5, atol=1e-6)


def test_what_cannot_be_divided_says_so() -> None:
    events = random_events(3, 6)
    late = events._replace(t=np.array([0, 1, 2, 3, 4, 1000]))
    with pytest.raises(ValueError, match="frame 2 of 4 of equal time has no event"):
        count_frames(late, 4, "time", height=34, width=34)
    with pytest.raises(ValueError, match="too short for 1000 frames"):
        count_frames(late, 1000, "time", height=34, width=34)
    with pytest.raises(ValueError, match="no events"):
        count_frames(events.between(0, 0), 2, "number", height=34, width=34)
    with pytest.raises(ValueError, match=r"outside of 0 to 3"):
        count_frames(events, 2, "number", height=34, width=4)
    with pytest.raises(ValueError, match="do not ascend"):
        count_frames(late._replace(t=late.t[::-1]), 2, "time", height=34, width=34)
    few = count_frames(events, 10, "number", height=34, width=34)
    assert few[:9].sum() == 0, "as published: a share of zero events, and the rest in the last"
    assert few[9].sum() == 6
