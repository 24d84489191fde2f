r"""Eigenvalues of hidden neurons: as the paper's Figure 2 has them, and of the step that runs.

The state of a neuron after a step is linear in its state before, resets and input aside. Of the
tensors of a layer, by the authors' names and in single precision, as the networks run:

=========  =====================================================  ==================================
network    the formula of the figure                              the step that runs
=========  =====================================================  ==================================
C-SiLIF    exp((-exp(log_log_alpha) +- i alpha_img) exp(log_dt))  the same
SiLIF      of [[A, A - 1], [(1 - B) a, B]]                        of [[A - (1 - A) a, -(1 - A) B],
                                                                  [a, B]]
cAdLIF     exp(1e-3 x) for x of [[-1 / m, -1 / m],                that of SiLIF, with A = alpha and
           [a / w, -1 / w]]                                       B = beta clamped
RF         exp(0.004 lambda)                                      1 + 0.004 lambda, clamped
=========  =====================================================  ==================================

with ``A = exp(-exp(alpha + dt))``, ``B = exp(-exp(beta + dt))`` and ``a`` clamped to ``[0, 1]`` of
SiLIF; ``m = -1e-3 / ln alpha`` and ``w = -1e-3 / ln beta`` of unclamped values of cAdLIF, whose
neurons so appear outside of the unit circle; ``lambda = alpha_real +- i alpha_im``. Where both
eigenvalues are nearly the same, rounding decides whether they are a complex pair: in double
precision 3 more neurons of the first SiLIF layer oscillate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from core import checkpoints
from core.data.fetch import fetch

Which = Literal["figure", "step"]
Eigenvalues = NDArray[np.complex128]

#: Networks in the order of the figure's legend -> folder of the published weights.
PUBLISHED = {
    "CadLIF": "ref_SSC_CadLIF",
    "CSiLIF": "ref_SSC_CSiLIF",
    "SiLIF": "ref_SSC_SiLIF",
    "ResonateFire": "ref_SSC_RF",
}
DT = 0.004
"""Step of RF in seconds."""


def published_weights(model: str) -> dict[str, Tensor]:
    """The state dict of one of :data:`PUBLISHED`, by the authors' names.

    Raises:
        UserError: It is not on this machine and cannot be downloaded; names the ways out.
    """
    folder = fetch("silif_published") / PUBLISHED[model]
    return checkpoints.load_foreign(folder / "checkpoints" / "best_model.pth")


def eigenvalues(model: str, weights: Mapping[str, Tensor], layer: int, which: Which) -> Eigenvalues:
    """Both eigenvalues of every neuron, ``[N, 2]``.

    Args:
        model: A key of :data:`PUBLISHED`.
        weights: State dict of the network.
        layer: Number of the hidden layer, from 0.
        which: ``figure`` for the formula of the published figure, ``step`` for the step that runs.
    """
    prefix = f"snn.{layer}."
    values = {
        name.removeprefix(prefix): tensor.numpy()
        for name, tensor in weights.items()
        if name.startswith(prefix)
    }
    if model == "CSiLIF":
        real, imaginary = -np.exp(values["log_log_alpha"]), values["alpha_img"]
        return np.exp(_pair(real, imaginary) * np.exp(values["log_dt"])[:, None]).astype(complex)
    if model == "ResonateFire":
        if which == "figure":
            return np.exp(DT * _pair(values["alpha_real"], values["alpha_im"]))
        return 1.0 + DT * _pair(np.minimum(values["alpha_real"], -0.1), values["alpha_im"])
    alpha, beta, a = values["alpha"], values["beta"], values["a"]
    if model == "CadLIF" and which == "figure":
        m, w = -1e-3 / np.log(alpha), -1e-3 / np.log(beta)
        return np.exp(1e-3 * _of_matrix(-1.0 / m, -1.0 / m, a / w, -1.0 / w))
    a = np.clip(a, 0.0, 1.0)
    if model == "CadLIF":
        A, B = np.clip(alpha, 0.36, 0.96), np.clip(beta, 0.96, 0.99)
    else:
        A, B = np.exp(-np.exp(alpha + values["dt"])), np.exp(-np.exp(beta + values["dt"]))
    if which == "figure":
        return _of_matrix(A, A - 1.0, (1.0 - B) * a, B)
    return _of_matrix(A - (1.0 - A) * a, -(1.0 - A) * B, a, B)


def summary(values: Eigenvalues) -> str:
    """How many neurons oscillate, and how many grow."""
    moduli = np.abs(values)
    return (
        f"{oscillating(values)} of {len(values)} neurons oscillate, {growing(values)} grow, "
        f"moduli {moduli.min():.4f} to {moduli.max():.4f}"
    )


def oscillating(values: Eigenvalues) -> int:
    """Neurons with a complex pair."""
    return int((np.abs(values.imag) > 1e-12).any(1).sum())


def growing(values: Eigenvalues) -> int:
    """Neurons with a modulus above 1."""
    return int((np.abs(values) > 1.0).any(1).sum())


def _pair(real: NDArray[np.float64], imaginary: NDArray[np.float64]) -> Eigenvalues:
    return np.stack([real + 1j * imaginary, real - 1j * imaginary], axis=1)


def _of_matrix(*entries: NDArray[np.float64]) -> Eigenvalues:
    """Of ``[[p, q], [r, s]]`` for every neuron."""
    matrices = np.stack(entries, axis=-1).reshape(-1, 2, 2)
    return np.linalg.eigvals(matrices).astype(np.complex128)
