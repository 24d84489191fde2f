"""Spoken digits and words: the files of a run, and the name under which records speak of them.

===========  ================================================  ================================
data set     a folder in the published layout holds            splits
===========  ================================================  ================================
``shd``      ``shd_train.h5``, ``shd_test.h5``, maybe packed   train, test
``ssc``      ``ssc_{train,valid,test}.h5``, maybe packed       train, valid, test
===========  ================================================  ================================

The plain name of a data set is given to the published files only. Everything else is called what
it is: ``shd-regenerated``, ``synthetic-shd`` or, for files that nobody can vouch for,
``shd-unverified``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from core.data import synthetic_events
from core.data.digests import digest, digest_files
from core.data.events import EventData, find_events, load_events
from core.data.fetch import fetch
from core.data.files import is_payload, mismatch
from core.data.registry import find_source
from core.data.sources import SourceFile
from core.data.unpack import cached, unpacked
from core.errors import UserError

DatasetName: TypeAlias = Literal["shd", "ssc"]

EVENT_SAMPLES = {
    "shd": {"train": 8156, "test": 2264},
    "ssc": {"train": 75466, "valid": 9981, "test": 20382},
}
"""Recordings of every published file; the regenerated SHD has the same."""

_SYNTHETIC: dict[str, Callable[[Path], None]] = {
    "shd": synthetic_events.write_synthetic_shd,
    "ssc": synthetic_events.write_synthetic_ssc,
}


class SpeechData(NamedTuple):
    """A data set on disk.

    Attributes:
        dataset: which task it is for: ``shd`` or ``ssc``.
        name: what records call it, see the module.
        folder: where it lies, in the published layout.
        digest: identifies its bytes.
    """

    dataset: str
    name: str
    folder: Path
    digest: str


def find_speech(
    dataset: str, place: str | Path | None = None, *, mirror: str | None = None
) -> SpeechData:
    """Find, fetch or generate a data set.

    Args:
        dataset: ``shd`` or ``ssc``.
        place: a folder in the published layout; or ``"embedded"``, a generated look-alike;
            or ``"regenerated"``, the regenerated SHD; by default the published files, fetched.
        mirror: where to fetch from, see :func:`core.data.fetch.fetch`.

    Raises:
        UserError: no such data set or place, or files are missing, damaged or cannot be fetched.
    """
    if dataset not in EVENT_SAMPLES:
        known = ", ".join(EVENT_SAMPLES)
        raise UserError(f"no speech data set is called {dataset!r}; known are {known}.")
    if place == "embedded":
        folder = embedded_folder(dataset)
        return SpeechData(dataset, f"synthetic-{dataset}", folder, _digest_of(dataset, folder))
    if place == "regenerated":
        if dataset != "shd":
            raise UserError(f"only shd was regenerated; for {dataset} name a folder or 'embedded'.")
        folder = fetch("shd_regen", mirror=mirror)
        return SpeechData(dataset, "shd-regenerated", folder, digest("shd_regen"))
    if place is None:
        return SpeechData(dataset, dataset, fetch(dataset, mirror=mirror), digest(dataset))
    return _identify(dataset, Path(place).expanduser())


def embedded_folder(dataset: str) -> Path:
    """Return the folder of the generated look-alike, written into the cache on first use."""
    write = _SYNTHETIC[dataset]
    # The name follows the generator's source: whoever changes it gets other files.
    source = hashlib.sha256(Path(synthetic_events.__file__).read_bytes()).hexdigest()[:8]
    return cached(f"embedded/{dataset}-{source}", write)


def load_event_split(data: SpeechData, split: str) -> EventData:
    """Load one split of SHD or SSC: ``train``, ``test`` and, in SSC only, ``valid``.

    Raises:
        UserError: the file is missing, damaged or of the wrong size.
        ValueError: the data set has no such split.
    """
    sizes = EVENT_SAMPLES[data.dataset]
    if split not in sizes:
        raise ValueError(f"{data.dataset} has no split {split!r}, but {', '.join(sizes)}")
    published = data.name in (data.dataset, f"{data.dataset}-regenerated")
    path = find_events(data.folder, f"{data.dataset}_{split}")
    return load_events(path, samples=sizes[split] if published else None)


def _identify(dataset: str, folder: Path) -> SpeechData:
    """Call the files of a folder what they are."""
    paths = _files(dataset, folder)
    candidates = {"shd": {"shd": "shd", "shd_regen": "shd-regenerated"}, "ssc": {"ssc": "ssc"}}
    for source, name in candidates[dataset].items():
        registered = find_source(source).files
        if all(_is_registered(p, file) for p, file in zip(paths, registered, strict=True)):
            return SpeechData(dataset, name, folder, digest(source))
    return SpeechData(dataset, f"{dataset}-unverified", folder, _digest_of(dataset, folder))


def _files(dataset: str, folder: Path) -> list[Path]:
    return [find_events(folder, f"{dataset}_{split}") for split in EVENT_SAMPLES[dataset]]


def _digest_of(dataset: str, folder: Path) -> str:
    return digest_files(folder, _files(dataset, folder))


def _is_registered(path: Path, file: SourceFile) -> bool:
    """Tell whether a file is the registered one, however it is packed here."""
    if path.name == file.name:
        return mismatch(path, file) is None
    return is_payload(path if path.suffix == ".h5" else unpacked(path), file)
