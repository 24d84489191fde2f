"""Where every data set comes from: files, sizes, digests, addresses, licence, citation.

This and the modules of entries that it gathers are the only places that know an address or a
digest. To add a data set, add an entry to :data:`SOURCES`; fetching, verifying and naming it in a
record then work without further code.
Only the standard library is imported here, because the command line reads it at start-up.
"""

from __future__ import annotations

import difflib

from core.data.picture_sources import PICTURES
from core.data.sources import DataSource as DataSource
from core.data.sources import SourceFile as SourceFile
from core.data.speech_sources import SPEECH
from core.data.weight_sources import WEIGHTS
from core.errors import UserError


def find_source(name: str) -> DataSource:
    """Return the entry called ``name``; raises UserError that names the nearest one.

    Words may be joined by either line, ``brf-published`` or ``brf_published``.
    """
    if (entry := SOURCES.get(name.replace("-", "_"))) is not None:
        return entry
    near = difflib.get_close_matches(name, SOURCES, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise UserError(f"no data set is called {name!r}.{hint} Known: {', '.join(sorted(SOURCES))}.")


def is_embedded(name: str) -> bool:
    """Tell whether a data set comes with this package, as a stand-in to try things out on."""
    return name == "digits" or name.startswith("synthetic")


def _mnist_file(
    name: str, size: int, sha256: str, md5: str, payload_sha256: str, payload_size: int
) -> SourceFile:
    mirrors = (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "http://yann.lecun.com/exdb/mnist/",
    )
    return SourceFile(
        name=name,
        size=size,
        sha256=sha256,
        urls=tuple(mirror + name for mirror in mirrors),
        md5=md5,
        payload_sha256=payload_sha256,
        payload_size=payload_size,
    )


def _qtdb_file(name: str, size: int, sha256: str, md5: str) -> SourceFile:
    # Pinned commits: the addresses can vanish, but what they serve cannot change.
    repositories = (
        "AdaptiveAILab/brf-neurons/5d45b0e7d545f09b79d029bb40573200fde57fd7",
        "ianjoshi/brf-neurons-reproduction/f5ad3e6d31362d0bb834beea1ad62d54a216dd49",
    )
    return SourceFile(
        name=name,
        size=size,
        sha256=sha256,
        urls=tuple(
            f"https://raw.githubusercontent.com/{repository}/experiments/ecg/data/{name}"
            for repository in repositories
        ),
        md5=md5,
    )


_MNIST = DataSource(
    name="mnist",
    title="MNIST handwritten digits: 60000 training and 10000 test images of 28 x 28 pixels",
    files=(
        _mnist_file(
            "train-images-idx3-ubyte.gz",
            9912422,
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            47040016,
        ),
        _mnist_file(
            "train-labels-idx1-ubyte.gz",
            28881,
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "d53e105ee54ea40749a09fcbcd1e9432",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            60008,
        ),
        _mnist_file(
            "t10k-images-idx3-ubyte.gz",
            1648877,
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "9fb629c4189551a2d022fa330f9573f3",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            7840016,
        ),
        _mnist_file(
            "t10k-labels-idx1-ubyte.gz",
            4542,
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            "ec29112dd5afa0611ce80d1b7f02629c",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            10008,
        ),
    ),
    licence="commonly distributed under CC BY-SA 3.0",
    citation=(
        "Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Gradient-based learning applied to document "
        "recognition, Proceedings of the IEEE 86(11), 1998"
    ),
)

_QTDB = DataSource(
    name="qtdb",
    title="QT Database ECG as level-crossing spikes: 618 training and 141 test sequences",
    files=(
        _qtdb_file(
            "QTDB_train.mat",
            537262,
            "72d1a10c96f1540880447e07256835d66da419c0b34f3dff495731a7928c5bc7",
            "39790ebc28587c94a2245fae7475e6f2",
        ),
        _qtdb_file(
            "QTDB_test.mat",
            112720,
            "916f11e21679a5b61988305bbb7cd1e6df8b34f1ed4a157a7a4e295d400ef232",
            "4deb6d02f9dae171ad99f2b372926cc0",
        ),
    ),
    licence=(
        "the repositories that carry the files are MIT; recordings: PhysioNet, to our knowledge "
        "Open Data Commons Attribution 1.0"
    ),
    citation=(
        "B. Yin, F. Corradi, S. M. Bohte, Accurate and efficient time-domain classification with "
        "adaptive spiking recurrent neural networks, Nature Machine Intelligence 3, 2021; "
        "P. Laguna et al., A database for evaluation of algorithms for measurement of QT and other "
        "waveform intervals in the ECG, Computers in Cardiology, 1997"
    ),
)

SOURCES: dict[str, DataSource] = {
    entry.name: entry for entry in (_MNIST, *PICTURES, _QTDB, *SPEECH, *WEIGHTS)
}
