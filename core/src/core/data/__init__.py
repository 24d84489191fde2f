"""Data: registry of sources, fetcher, loaders of the original formats, embedded sets, batches.

==============================  ==================================================================
``core.data.registry``          where every data set comes from
``core.data.fetch``             ``fetch``, ``data_root``: download, verify, take from a folder
``core.data.unpack``            packed files and archives, unpacked once into the user's cache
``core.data.packing``           gzip, xz and zip, and how much may come out of them
``core.data.hdf5``, ``matlab``  arrays of files whose promises are not believed; ``hdf5_rows``
``core.data.numbers``           numbers of any type, exactly or not at all
``core.data.archives``          files of zip and tar archives, one by one or all of them
``core.data.mnist``             MNIST and Fashion-MNIST (idx)
``core.data.cifar10``           CIFAR-10 (binary), and a part of it (JPEG)
``core.data.dvs``               files of event cameras: AEDAT 3.1, AEDAT 2.0, N-MNIST
``core.data.gesture``           DVS128 Gesture: trials cut into gestures
``core.data.event_sets``        N-MNIST, CIFAR10-DVS and gestures in their layouts
``core.data.frames``            events of a camera counted in frames, and their normalisation
``core.data.event_frames``      whole event sets as frames, counted once and cached
``core.data.synthetic_dvs``     embedded look-alikes of event sets, generated
``core.data.per_class``         a split by class, without chance
``core.data.qtdb``              QT Database ECG (MATLAB)
``core.data.digits``            embedded handwritten digits, real
``core.data.synthetic_ecg``     embedded ECG look-alike, generated
``core.data.speech``            spoken digits and words: find them, name them, load their splits
``core.data.events``            SHD and SSC (HDF5): events of 700 channels
``core.data.binning``           events counted in time bins, and batches of them
``core.data.own_events``        events of the reader's own: lists, structured arrays
``core.data.heidelberg``        HD: lists and names of its recordings
``core.data.speech_commands``   SC: lists, words and speakers of its recordings
``core.data.utterances``        recordings as batches of filterbank frames
``core.data.augmentation``      random changes of a waveform that keep the word
``core.data.synthetic_events``  embedded look-alikes of SHD and SSC, generated
``core.data.synthetic_speech``  embedded look-alikes of HD and SC, generated
``core.data.cue_accumulation``  the cue task, generated
``core.data.batches``           splits, sequences, time-first batches
``core.data.presentation``      samples scaled and slowed; the order of PyTorch's loader
``core.data.digests``           a short name of the data a run used
==============================  ==================================================================

The names below are imported on first use, so that the command line can read the registry without
waiting for torch. The function ``fetch`` is not among them: it would hide its own module.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.data.batches import Batches as Batches
    from core.data.batches import hold_out_speakers as hold_out_speakers
    from core.data.batches import make_permutation as make_permutation
    from core.data.batches import split_indices as split_indices
    from core.data.batches import time_first as time_first
    from core.data.batches import to_sequence as to_sequence
    from core.data.binning import bin_events as bin_events
    from core.data.binning import event_batches as event_batches
    from core.data.binning import linear_edges as linear_edges
    from core.data.cue_accumulation import cue_batches as cue_batches
    from core.data.digests import digest as digest
    from core.data.digits import load_digits as load_digits
    from core.data.images import ImageData as ImageData
    from core.data.mnist import load_mnist as load_mnist
    from core.data.own_events import events_from_lists as events_from_lists
    from core.data.own_events import events_from_structured as events_from_structured
    from core.data.qtdb import EcgData as EcgData
    from core.data.qtdb import load_qtdb as load_qtdb
    from core.data.speech import find_speech as find_speech
    from core.data.speech import load_event_split as load_event_split
    from core.data.speech import load_utterance_split as load_utterance_split
    from core.data.synthetic_ecg import load_synthetic_ecg as load_synthetic_ecg
    from core.data.utterances import audio_batches as audio_batches

_MODULE_OF = {
    "Batches": "batches",
    "EcgData": "qtdb",
    "ImageData": "images",
    "audio_batches": "utterances",
    "bin_events": "binning",
    "cue_batches": "cue_accumulation",
    "digest": "digests",
    "event_batches": "binning",
    "events_from_lists": "own_events",
    "events_from_structured": "own_events",
    "find_speech": "speech",
    "hold_out_speakers": "batches",
    "linear_edges": "binning",
    "load_digits": "digits",
    "load_event_split": "speech",
    "load_mnist": "mnist",
    "load_qtdb": "qtdb",
    "load_synthetic_ecg": "synthetic_ecg",
    "load_utterance_split": "speech",
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
