r"""The low-pass in modes, on a grid: what it takes to sum its output over all steps.

A filter ``H`` with poles ``p_i``, applied forwards and backwards, answers an impulse with

    f(tau) = d [tau = 0] + sum_i G_i p_i^|tau|

so that its output is ``y_t = d x_t + sum_i G_i (a_i + b_i)``, ``a_i`` from the past and ``b_i``
from the future, and both can jump over steps without input. Poles come in conjugate pairs, of
which one is kept: ``2 Re`` of half the sum.

``y`` has hardly anything above its cut-off, and the sums that are wanted are integrals of products
of two such signals. Every sixth step is enough for them, with weights that pass smoothly to every
step at both ends: correlations stay exact to about 1e-7.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import signal
from scipy.special import betainc

ORDER = 4
CUTOFF, SHORT_CUTOFF = 0.05, 0.5
"""In units of the Nyquist frequency; the latter below ``LONG`` steps."""
LONG = 1000
STRIDE, RAMP, SMOOTHNESS = 6, 128, 6
"""Of the grid inside, the length of its ends, and how smoothly its weights pass over there."""


def cutoff(steps: int) -> float:
    """Of sequences of this length."""
    return CUTOFF if steps >= LONG else SHORT_CUTOFF


def padding(steps: int) -> int:
    """Steps by which sequences are continued: SciPy's default, or what there is."""
    return min(3 * (ORDER + 1), steps - 1)


@dataclass(frozen=True)
class Grid:
    """Where the output is looked at; the last place is the end of the continued sequence.

    Attributes:
        places: int32 ``[M]``, counted from the first step of the sequence.
        gaps: int32 ``[M]``, distance from the place before, the first from before all input.
        weights: ``[M]``, how many steps a place stands for.
    """

    places: NDArray[np.int32]
    gaps: NDArray[np.int32]
    weights: NDArray[np.float64]


@lru_cache(8)
def grid(steps: int) -> Grid:
    """The grid for sequences of this length; every step of short ones. Kept: not to be changed."""
    t = np.arange(steps)
    weights = np.ones(steps)
    if steps >= LONG:
        inside = betainc(SMOOTHNESS, SMOOTHNESS, np.clip(np.minimum(t, t[::-1]) / RAMP, 0, 1))
        weights = 1 - inside + STRIDE * inside * (t % STRIDE == 0)
    kept = np.flatnonzero(weights > 1e-15)
    pad = padding(steps)
    places = np.append(kept, steps - 1 + pad).astype(np.int32)
    gaps = np.diff(places, prepend=-pad - 1).astype(np.int32)
    weights *= steps / weights[kept].sum()  # what is constant has no variance
    return Grid(places, gaps, np.append(weights[kept], 0.0))


MOST_GAP = 3 * (ORDER + 1) + 1
"""Largest distance of a place from an input that counts for it."""


@dataclass(frozen=True)
class Modes:
    """Constants of the filter; complex numbers of its two poles as four real ones.

    Attributes:
        powers: ``p^k`` for k up to ``MOST_GAP``, ``[k, 4]``.
        start: State ``a`` after a constant 1, ``[4]``.
        end: State ``b`` at the end of the continued sequence, from ``a`` and the input there,
            ``[4, 5]``: as if the forward output kept its last value.
        output: What ``a`` or ``b`` gives to ``y``, ``[4]``.
        direct: ``d``.
    """

    powers: NDArray[np.float64]
    start: NDArray[np.float64]
    end: NDArray[np.float64]
    output: NDArray[np.float64]
    direct: float

    def flat(self) -> NDArray[np.float64]:
        """All of them in a row."""
        parts = (self.powers, self.start, self.end, self.output, np.array([self.direct]))
        return np.concatenate([part.ravel() for part in parts])


@lru_cache(8)
def modes(steps: int) -> Modes:
    """The filter of sequences of this length. Kept: not to be changed."""
    b, a = signal.butter(ORDER, cutoff(steps))
    poles = signal.butter(ORDER, cutoff(steps), output="zpk")[1]
    p = np.concatenate([half := poles[poles.imag > 0], half.conj()])

    def numerator(z: NDArray[np.complex128]) -> NDArray[np.complex128]:
        return np.polyval(b[::-1], 1 / z).astype(np.complex128)

    others = np.array([np.prod(1 - np.delete(p, i) / p[i]) for i in range(ORDER)])
    residues = numerator(p) / others  # H = b_4 / a_4 + sum residue / (1 - p / z)
    gains = residues * numerator(1 / p.astype(np.complex128)) / np.polyval(a[::-1], p)
    direct = 1 - np.sum(gains * (1 + p) / (1 - p)).real
    return Modes(
        powers=_real(half[None] ** np.arange(MOST_GAP + 1)[:, None]),
        start=_real(1 / (1 - half)),
        end=np.stack([_end(p, residues, gains, b[-1] / a[-1], one) for one in np.eye(5)], 1),
        output=_real(2 * gains[:2].conj()),
        direct=float(direct),
    )


def _end(
    p: NDArray[np.complex128],
    residues: NDArray[np.complex128],
    gains: NDArray[np.complex128],
    direct: float,
    known: NDArray[np.float64],
) -> NDArray[np.float64]:
    """State ``b`` where the forward output goes on constant, instead of dying away.

    What the filter that runs backwards makes of steps beyond the end: a sum over that constant
    minus the dying modes.
    """
    state = known[0:4:2] + 1j * known[1:4:2]
    dying = residues * np.concatenate([state, state.conj()])
    last = direct * known[4] + dying.sum()
    pairs = p[:, None] * p[None]
    beyond = last * p / (1 - p) - (pairs / (1 - pairs)) @ dying
    return _real((residues * beyond / gains)[:2])


def _real(numbers: NDArray[np.complex128]) -> NDArray[np.float64]:
    """Real and imaginary parts side by side."""
    return np.stack([numbers.real, numbers.imag], -1).reshape(*numbers.shape[:-1], -1)
