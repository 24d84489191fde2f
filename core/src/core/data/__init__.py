"""Data: registry of sources, fetcher, loaders of the original formats, embedded sets, batches.

============================  ====================================================================
``core.data.registry``        where every data set comes from
``core.data.fetch``           ``fetch``, ``data_root``: download, verify, take from a folder
``core.data.mnist``           MNIST (idx)
``core.data.qtdb``            QT Database ECG (MATLAB)
``core.data.digits``          embedded handwritten digits, real
``core.data.synthetic_ecg``   embedded ECG look-alike, generated
``core.data.speech``          spoken digits and words on disk, called what they are
``core.data.events``          SHD and SSC (HDF5): events of 700 channels
``core.data.binning``         events counted in time bins
``core.data.synthetic_events``  embedded SHD and SSC look-alikes, generated
``core.data.batches``         splits, sequences, time-first batches
``core.data.digests``         a short name of the data a run used
============================  ====================================================================

The names below are imported on first use, so that the command line can read the registry without
waiting for torch. The function ``fetch`` is not among them: it would hide its own module.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.data.batches import Batches as Batches
    from core.data.batches import make_permutation as make_permutation
    from core.data.batches import split_indices as split_indices
    from core.data.batches import time_first as time_first
    from core.data.batches import to_sequence as to_sequence
    from core.data.digests import digest as digest
    from core.data.digits import load_digits as load_digits
    from core.data.images import ImageData as ImageData
    from core.data.mnist import load_mnist as load_mnist
    from core.data.qtdb import EcgData as EcgData
    from core.data.qtdb import load_qtdb as load_qtdb
    from core.data.synthetic_ecg import load_synthetic_ecg as load_synthetic_ecg

_MODULE_OF = {
    "Batches": "batches",
    "EcgData": "qtdb",
    "ImageData": "images",
    "digest": "digests",
    "load_digits": "digits",
    "load_mnist": "mnist",
    "load_qtdb": "qtdb",
    "load_synthetic_ecg": "synthetic_ecg",
    "make_permutation": "batches",
    "split_indices": "batches",
    "time_first": "batches",
    "to_sequence": "batches",
}


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULE_OF])
