"""Where weights of published networks come from that a paper needs and nobody may put into git."""

from __future__ import annotations

from core.data.brf_weights import BRF_LANDSCAPES, BRF_PUBLISHED
from core.data.sources import DataSource, SourceFile

_SILIF = (
    "M. Fabre, L. Dudchenko, E. Neftci, Structured state space model dynamics and parametrization "
    "for spiking neural networks, arXiv:2506.06374, 2025"
)
# A pinned commit: the address can vanish, but what it serves cannot change.
_SILIF_REPOSITORY = (
    "https://raw.githubusercontent.com/Maxtimer97/SSM-inspired-LIF/"
    "20a53db153facbac4f19c302f0e889f860211f0f/reference_models/"
)


def _silif_file(model: str, size: int, sha256: str) -> SourceFile:
    name = f"ref_SSC_{model}/checkpoints/best_model.pth"
    return SourceFile(name=name, size=size, sha256=sha256, urls=(_SILIF_REPOSITORY + name,))


_SILIF_PUBLISHED = DataSource(
    name="silif_published",
    title="four networks of the SiLIF paper, trained on SSC: SiLIF, C-SiLIF, cAdLIF, RF",
    files=(
        _silif_file(
            "SiLIF",
            1453571,
            "df61832c3e83bd906175b186e3b0f1eda6142db996d71219647d9f8ac5fff6fc",
        ),
        _silif_file(
            "CSiLIF",
            1448961,
            "62aaae480fdfe0dce36edecc31f2c75d9d01674c4fffda15a311ba305a3c78d9",
        ),
        _silif_file(
            "CadLIF",
            1448897,
            "d60c44b6eb16192ccadbc17f101b7e97d7ca4c4b58a6fece5980a08235ef528d",
        ),
        _silif_file(
            "RF",
            1439741,
            "28116a9ddc386d424de73a4d0d1ab2f4a7112213cb648287b39147b49ee5b997",
        ),
    ),
    licence="MIT, derived from BSD-3-Clause",
    citation=_SILIF,
    folder="published/silif",
    stands_in="",
)

_SDN_PREDICTOR = DataSource(
    name="sdn_predictor",
    title="the fixed network inside of SS4D that predicts membranes: 153 weights",
    files=(
        SourceFile(
            name="sdn_predictor.npz",
            size=2158,
            sha256="51de362df85aa182007be4e4da0d9e5e9de1b4ec1a115c5fa02cee9f3ee69052",
        ),
    ),
    licence="MIT",
    citation=(
        "S. Shen, C. Wang, R. Huang, Y. Zhong, Q. Guo, Z. Lu, J. Zhang, L. Leng, SpikingSSMs: "
        "learning long sequences with sparse and parallel spiking state space models, "
        "arXiv:2408.14909, 2024"
    ),
    folder="published/silif",
    by_hand=(
        "This file has no public address: it holds the arrays of src/models/spike/"
        "mem_pred_d8k8_c3(relu(c2(c1(x))+c1(x)))_125.pkl of github.com/shenshuaijie/SDN. Ask the "
        "authors of this project for it."
    ),
    stands_in="",
)

WEIGHTS = (BRF_PUBLISHED, BRF_LANDSCAPES, _SILIF_PUBLISHED, _SDN_PREDICTOR)
"""All entries of this module."""
