"""Where spoken digits and words come from, as spikes and as audio: entries of the registry."""

from __future__ import annotations

from core.data.sources import DataSource, SourceFile

_ZENKE_LAB = ("https://zenkelab.org/datasets/", "https://compneuro.net/datasets/")
_HEIDELBERG = (
    "B. Cramer, Y. Stradmann, J. Schemmel, F. Zenke, The Heidelberg spiking data sets for the "
    "systematic evaluation of spiking neural networks, IEEE Transactions on Neural Networks and "
    "Learning Systems 33, 2022, doi 10.1109/TNNLS.2020.3044364"
)
_WARDEN = (
    "P. Warden, Speech Commands: a dataset for limited-vocabulary speech recognition, "
    "arXiv:1804.03209, 2018"
)
_CC_BY = "CC BY 4.0"


def _zenke_lab_file(
    name: str, *, md5: str | None = None, payload_md5: str | None = None
) -> SourceFile:
    # The publishers give no sha256; the md5s are those that several public loaders check.
    urls = tuple(mirror + name for mirror in _ZENKE_LAB)
    return SourceFile(name=name, urls=urls, md5=md5, payload_md5=payload_md5)


_SHD = DataSource(
    name="shd",
    title="Spiking Heidelberg Digits: 8156 training and 2264 test recordings, 20 classes",
    files=(
        _zenke_lab_file(
            "shd_train.h5.gz",
            md5="d47c9825dee33347913e8ce0f2be08b0",
            payload_md5="8e9877c85f29a28dd353ea6a54402667",
        ),
        _zenke_lab_file(
            "shd_test.h5.gz",
            md5="3062a80ec0c5719404d5b02e166543b1",
            payload_md5="207ad1295a0ab611e22d1734989c254e",
        ),
    ),
    licence=_CC_BY,
    citation=_HEIDELBERG,
)

_SSC = DataSource(
    name="ssc",
    title="Spiking Speech Commands: 75466 / 9981 / 20382 recordings, 35 classes",
    files=(
        _zenke_lab_file("ssc_train.h5.zip", md5="d102be95e7144fcc0553d1f45ba94170"),
        _zenke_lab_file("ssc_valid.h5.zip", md5="b4eee3516a4a90dd0c71a6ac23a8ae43"),
        _zenke_lab_file("ssc_test.h5.zip", md5="a35ff1e9cffdd02a20eb850c17c37748"),
    ),
    licence=_CC_BY,
    citation=f"{_HEIDELBERG}; {_WARDEN}",
)

_SHD_REGENERATED = DataSource(
    name="shd_regen",
    title="SHD made again from the original audio with new random numbers, in SHD's layout",
    files=(
        SourceFile(
            name="shd_train.h5.xz",
            size=81320892,
            sha256="08e215abb56d52d11546460c5bc2dcc2ddcf1b5b49441f7450cc06dceacb9d20",
            payload_sha256="ba2493d978cf04a0e2a78524cd72546ed8ffd45ea4e88b9d80f1ac46a65cbdbd",
            payload_size=258725052,
        ),
        SourceFile(
            name="shd_test.h5.xz",
            size=23640988,
            sha256="80e32f628eb9d548857caf225419b6d2e779688080abcca4f32cac3a053436c7",
            payload_sha256="d26502aeb431145758f0c48d631bfc8a9793f83a4c766e19b6fe32dc7b403195",
            payload_size=75491936,
        ),
    ),
    licence=_CC_BY,
    citation=_HEIDELBERG,
    by_hand="These files have no public address. Ask the authors of this project for them.",
)

_HD = DataSource(
    name="hd",
    title="Heidelberg Digits, audio: 10420 recordings at 48 kHz, 20 classes",
    files=(_zenke_lab_file("hd_audio.tar.gz"),),
    licence=_CC_BY,
    citation=_HEIDELBERG,
)

_HD_SUBSET = DataSource(
    name="hd_subset",
    title="241 recordings of Heidelberg Digits: one of every digit, language and speaker",
    files=(
        SourceFile(
            name="hd_subset.tar",
            size=7956480,
            sha256="d461afe74ad497d50a6fa8497d28f720ecc5a1ff167b66b52f37528bf2dc5aed",
        ),
    ),
    licence=_CC_BY,
    citation=_HEIDELBERG,
    folder="hd",
    by_hand=(
        "This selection has no public address; the whole set has one: `core fetch hd` gets it."
    ),
)

_SC_ARCHIVE = "speech_commands_v0.02.tar.gz"
_SC = DataSource(
    name="sc",
    title="Google Speech Commands v0.02, audio: 105829 recordings at 16 kHz, 35 words",
    files=(
        SourceFile(
            name=_SC_ARCHIVE,
            size=2428923189,
            sha256="af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
            urls=(
                f"https://storage.googleapis.com/download.tensorflow.org/data/{_SC_ARCHIVE}",
                f"http://download.tensorflow.org/data/{_SC_ARCHIVE}",
            ),
            md5="6b74f3901214cb2c2934e98196829835",
        ),
    ),
    licence=_CC_BY,
    citation=_WARDEN,
    folder="speech_commands",
)

_SC_SUBSET = DataSource(
    name="sc_subset",
    title="858 recordings of Google Speech Commands v0.02, all from its official test part",
    files=(
        SourceFile(
            name="speech_commands_test_set_v0.02_subset.tar.xz",
            size=16459404,
            sha256="ca155b929bf8072ec9521a876957cd82e02a9d6741910d29e8c70d46030ce0f3",
        ),
    ),
    licence=_CC_BY,
    citation=_WARDEN,
    folder="speech_commands",
    by_hand=(
        "This selection has no public address; the whole set has one: `core fetch sc` gets it."
    ),
)

SPEECH = (_SHD, _SSC, _SHD_REGENERATED, _HD, _HD_SUBSET, _SC, _SC_SUBSET)
"""All entries of this module."""
