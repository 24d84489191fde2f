"""Archives of recordings, turned once into folders in the published layout, in the user's cache.

The published archives only need unpacking. The real subsets hold recordings without lists, and
get lists here, by rules that are stated here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from core.data.archives import unpack_tar
from core.data.audio import write_list
from core.data.digests import digest
from core.data.fetch import fetch
from core.data.registry import find_source
from core.data.speech_commands import LISTS, speaker_of
from core.data.unpack import cached


def tree(source: str, *, mirror: str | None = None) -> Path:
    """Return the folder with the unpacked recordings and lists of a registered archive.

    Args:
        source: ``hd``, ``sc``, ``hd_subset`` or ``sc_subset``.
        mirror: where to fetch from, see :func:`core.data.fetch.fetch`.

    Raises:
        UserError: the archive cannot be had or is damaged, or the cache cannot be written.
    """
    [file] = find_source(source).files
    archive = fetch(source, mirror=mirror) / file.name
    # No digest of the published HD archive is known, so its own is taken.
    version = (digest(source) if file.sha256 else _sha256(archive)).removeprefix("sha256:")
    # The rules for lists are part of what the folder depends on.
    rules = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]

    def make(scratch: Path) -> None:
        unpack_tar(archive, scratch, top=_TOPS.get(source, ""))
        if source in _LISTS:
            _LISTS[source](scratch)

    return cached(f"unpacked/{source}-{version[:16]}-{rules}", make)


def list_hd_subset(folder: Path) -> None:
    """Write the two lists of the HD subset.

    As in SHD, speakers 4 and 5 are only in the test list, with all their recordings, and about a
    twentieth of the others': the ``k``-th of the ten other speakers gives those of class ``2 k``
    (class 0 to 9 English, 10 to 19 German).
    """
    others = [f"{speaker:02d}" for speaker in range(12) if speaker not in (4, 5)]
    test: list[str] = []
    train: list[str] = []
    for path in sorted((folder / "audio").glob("[!.]*.flac")):
        language, speaker, _, digit = (part.split("-")[1] for part in path.stem.split("_"))
        label = int(digit) + 10 * (language == "german")
        held_out = speaker not in others or label == 2 * others.index(speaker)
        (test if held_out else train).append(path.name)
    write_list(folder / "train_filenames.txt", train)
    write_list(folder / "test_filenames.txt", test)


def list_sc_subset(folder: Path) -> None:
    """Write the two lists of the Speech Commands subset, and set its silence aside.

    All its recordings are of the official testing list, so the official rule cannot split them.
    Here the speaker decides: the first 32 bits of the SHA-256 of the name, modulo 20, are 0 to 2
    for validation, 3 to 6 for testing, 7 to 19 for training. No speaker is in two splits.
    """
    places = sorted(path.relative_to(folder).as_posix() for path in folder.glob("[!._]*/[!.]*.wav"))

    def draw(place: str) -> int:
        return int(hashlib.sha256(speaker_of(place).encode()).hexdigest()[:8], 16) % 20

    write_list(folder / LISTS["valid"], [place for place in places if draw(place) < 3])
    write_list(folder / LISTS["test"], [place for place in places if 3 <= draw(place) < 7])


_TOPS = {"hd_subset": "hd_subset", "sc_subset": "speech_commands_test_set_v0.02_subset"}
_LISTS: dict[str, Callable[[Path], None]] = {
    "hd_subset": list_hd_subset,
    "sc_subset": list_sc_subset,
}


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
