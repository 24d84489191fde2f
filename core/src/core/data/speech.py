"""Spoken digits and words: the files of a run, and the name under which records speak of them.

========  =====================================================================  ================
data set  a folder in the published layout holds                                 splits
========  =====================================================================  ================
``shd``   ``shd_train.h5``, ``shd_test.h5``, plain or packed                     train, test
``ssc``   ``ssc_train.h5``, ``ssc_valid.h5``, ``ssc_test.h5``, plain or packed   train, valid, test
``hd``    ``audio/*.flac``, ``train_filenames.txt``, ``test_filenames.txt``      train, test
``sc``    ``WORD/*.wav``, ``validation_list.txt``, ``testing_list.txt``          train, valid, test
========  =====================================================================  ================

The plain name of a data set is given to the published files only: by their digests or, for trees of
recordings, when every published file is listed and nothing else is. Everything else is called what
it is: ``shd-regenerated``, ``hd-subset``, ``synthetic-sc`` or, when nobody can vouch for the files,
``ssc-unverified``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from core.data import synthetic_events, synthetic_speech
from core.data.audio import Utterances
from core.data.digests import digest, digest_files
from core.data.events import EventData, find_events, load_events
from core.data.fetch import fetch
from core.data.files import is_payload, mismatch
from core.data.heidelberg import LISTS as HD_LISTS
from core.data.heidelberg import load_hd
from core.data.registry import find_source
from core.data.sources import SourceFile
from core.data.speech_commands import LISTS as SC_LISTS
from core.data.speech_commands import load_sc
from core.data.speech_trees import tree
from core.data.unpack import cached, unpacked
from core.errors import UserError

EVENT_SAMPLES = {
    "shd": {"train": 8156, "test": 2264},
    "ssc": {"train": 75466, "valid": 9981, "test": 20382},
}
"""Recordings of every published file; the regenerated SHD has the same."""

SPLITS = {
    "shd": ("train", "test"),
    "ssc": ("train", "valid", "test"),
    "hd": ("train", "test"),
    "sc": ("train", "valid", "test"),
}
"""Splits of every data set."""

_SYNTHETIC: dict[str, tuple[ModuleType, Callable[[Path], None]]] = {
    "shd": (synthetic_events, synthetic_events.write_synthetic_shd),
    "ssc": (synthetic_events, synthetic_events.write_synthetic_ssc),
    "hd": (synthetic_speech, synthetic_speech.write_synthetic_hd),
    "sc": (synthetic_speech, synthetic_speech.write_synthetic_sc),
}

_LOADERS: dict[str, Callable[..., Utterances]] = {"hd": load_hd, "sc": load_sc}

# SHA-256 of the sorted file names of published trees, one a line: HD's recordings, SC's two lists.
_HD_NAMES = "22318533b4e9e20b4cb56c3dc1e78db9b80077805cb6edc0edc865c58b7dad47"
_SC_NAMES = {
    "valid": "d4730d159c025513afcea0750083d82031a1f0da9101ca6f5e5bf1b5a5f9d943",
    "test": "95864d539da5a0b96b488ba4b6e5afc7d34d77cdad65c355eae92f267e02c508",
}
_SC_RECORDINGS = 105829


class SpeechData(NamedTuple):
    """A data set on disk.

    Attributes:
        dataset: which task it is for: ``shd``, ``ssc``, ``hd`` or ``sc``.
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
        dataset: ``shd``, ``ssc``, ``hd`` or ``sc``.
        place: a folder in the published layout; ``"embedded"``, a generated look-alike;
            ``"regenerated"``, the regenerated SHD; ``"subset"``, a few real recordings of HD or
            SC; by default the published files, fetched.
        mirror: where to fetch from, see :func:`core.data.fetch.fetch`.

    Raises:
        UserError: no such data set or place, or files are missing, damaged or cannot be fetched.
    """
    if dataset not in SPLITS:
        raise UserError(f"no speech data set is called {dataset!r}; known are {', '.join(SPLITS)}.")
    audio = dataset in _LOADERS
    word = str(place)
    if word == "embedded":
        return _named(f"synthetic-{dataset}", dataset, embedded_folder(dataset))
    if word == "regenerated":
        if dataset != "shd":
            raise UserError(f"'regenerated' is a form of shd only; {_places(dataset)}")
        folder = fetch("shd_regen", mirror=mirror)
        return SpeechData(dataset, "shd-regenerated", folder, digest("shd_regen"))
    if word == "subset":
        if not audio:
            raise UserError(f"'subset' is a form of hd and sc only; {_places(dataset)}")
        return _named(f"{dataset}-subset", dataset, tree(f"{dataset}_subset", mirror=mirror))
    if place is not None:
        folder = Path(place).expanduser()
        if not folder.is_dir():
            raise UserError(f"{folder} is no folder; {_places(dataset)}")
        return _identified(dataset, folder)
    if audio:
        return _identified(dataset, tree(dataset, mirror=mirror))
    return SpeechData(dataset, dataset, fetch(dataset, mirror=mirror), digest(dataset))


def embedded_folder(dataset: str) -> Path:
    """Return the folder of the generated look-alike, written into the cache on first use."""
    generator, write = _SYNTHETIC[dataset]
    # The name follows the generator's source: whoever changes it gets other files.
    source = hashlib.sha256(Path(str(generator.__file__)).read_bytes()).hexdigest()[:8]
    return cached(f"embedded/{dataset}-{source}", write)


def load_event_split(data: SpeechData, split: str) -> EventData:
    """Load one split of SHD or SSC.

    Raises:
        UserError: the file is missing, damaged or of the wrong size.
        ValueError: the data set has no such split.
    """
    _check_split(data, split, EVENT_SAMPLES)
    published = data.name in (data.dataset, f"{data.dataset}-regenerated")
    path = find_events(data.folder, f"{data.dataset}_{split}")
    return load_events(path, samples=EVENT_SAMPLES[data.dataset][split] if published else None)


def load_utterance_split(data: SpeechData, split: str) -> Utterances:
    """Return the recordings of one split of HD or SC.

    Raises:
        UserError: a list or a recording is missing.
        ValueError: the data set has no such split.
    """
    _check_split(data, split, _LOADERS)
    return _LOADERS[data.dataset](data.folder, split)


def _check_split(data: SpeechData, split: str, kinds: Iterable[str]) -> None:
    if data.dataset not in kinds or split not in SPLITS[data.dataset]:
        raise ValueError(f"{data.dataset} has no such split {split!r}")


def _identified(dataset: str, folder: Path) -> SpeechData:
    """Call the files of a folder what they are."""
    if dataset in _LOADERS:
        splits = _splits(dataset, folder)
        published = _is_hd(splits) if dataset == "hd" else _is_sc(splits)
        name = dataset if published else f"{dataset}-unverified"
        return SpeechData(dataset, name, folder, _digest_of_tree(folder, splits))
    paths = _event_files(dataset, folder)
    for source, name in _REGISTERED[dataset].items():
        files = zip(paths, find_source(source).files, strict=True)
        if all(_is_registered(path, file) for path, file in files):
            return SpeechData(dataset, name, folder, digest(source))
    return SpeechData(dataset, f"{dataset}-unverified", folder, digest_files(folder, paths))


_REGISTERED = {"shd": {"shd": "shd", "shd_regen": "shd-regenerated"}, "ssc": {"ssc": "ssc"}}


def _is_registered(path: Path, file: SourceFile) -> bool:
    """Tell whether a file is the registered one, however it is packed here."""
    if path.name == file.name:
        return mismatch(path, file) is None
    return is_payload(path if path.suffix == ".h5" else unpacked(path), file)


def _is_hd(splits: dict[str, Utterances]) -> bool:
    """All published recordings, none twice, and the two new speakers not in training."""
    names = [path.name for split in splits.values() for path in split.paths]
    return _digest_of_names(names) == _HD_NAMES and not {"04", "05"} & set(
        splits["train"].speakers.tolist()
    )


def _is_sc(splits: dict[str, Utterances]) -> bool:
    """The two published lists, and as many recordings in all as were published."""
    listed = {
        split: _digest_of_names(f"{path.parent.name}/{path.name}" for path in splits[split].paths)
        for split in _SC_NAMES
    }
    return listed == _SC_NAMES and sum(len(s.paths) for s in splits.values()) == _SC_RECORDINGS


def _digest_of_names(names: Iterable[str]) -> str:
    return hashlib.sha256("".join(f"{name}\n" for name in sorted(names)).encode()).hexdigest()


def _named(name: str, dataset: str, folder: Path) -> SpeechData:
    """Return a data set that is known to be ``name``."""
    if dataset in _LOADERS:
        known = _digest_of_tree(folder, _splits(dataset, folder))
    else:
        known = digest_files(folder, _event_files(dataset, folder))
    return SpeechData(dataset, name, folder, known)


def _event_files(dataset: str, folder: Path) -> list[Path]:
    return [find_events(folder, f"{dataset}_{split}") for split in SPLITS[dataset]]


def _splits(dataset: str, folder: Path) -> dict[str, Utterances]:
    return {split: _LOADERS[dataset](folder, split) for split in SPLITS[dataset]}


def _digest_of_tree(folder: Path, splits: dict[str, Utterances]) -> str:
    """Identify all recordings and who is in which split."""
    paths = (path for split in splits.values() for path in split.paths)
    lists = (folder / name for name in (*HD_LISTS.values(), *SC_LISTS.values()))
    return digest_files(folder, [*filter(Path.is_file, lists), *paths])


def _places(dataset: str) -> str:
    words = ["embedded"]
    words += ["regenerated"] if dataset == "shd" else ["subset"] if dataset in _LOADERS else []
    return (
        f"for {dataset} name a folder that holds the files in the published layout, or "
        f"{' or '.join(words)}."
    )
