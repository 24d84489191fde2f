r"""S4D: a diagonal state space model as one long convolution per channel.

Source: Gu, Gupta, Goel, Re, "On the parameterization and initialization of diagonal state space
models", arXiv 2206.11893, with its S4D-Lin initialisation. Channels come first in here, as in
:class:`torch.nn.Conv1d`: sequences are ``[B, H, T]``.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

DT_MIN = 0.001
"""Smallest initial step."""


class S4DKernel(nn.Module):
    r"""The response of every channel to a unit impulse.

        A = -exp(log_A_real) + i A_imag,   dt = exp(log_dt)
        K[h, l] = 2 Re sum over n of C[h, n] (exp(dt A) - 1) / A exp(dt A l)

    Args:
        channels: ``H``.
        state_size: ``N``; ``N / 2`` modes per channel stand for themselves and their conjugates.
        dt_max: Largest initial step; ``log_dt`` starts uniform between the logarithms of
            :data:`DT_MIN` and it.
        leading: Dimensions of ``C`` before ``[H, N / 2, 2]``.

    Raises:
        ValueError: An odd or no state size, or a ``dt_max`` below :data:`DT_MIN`.
    """

    #: What ``--s4_opt`` trains without weight decay and at 0.001 at most.
    SLOW = ("log_dt", "log_A_real", "A_imag")

    def __init__(
        self, channels: int, state_size: int, *, dt_max: float, leading: tuple[int, ...] = ()
    ) -> None:
        super().__init__()
        if state_size < 2 or state_size % 2:
            raise ValueError(f"the state size is even and at least 2, not {state_size}")
        if not dt_max >= DT_MIN:
            raise ValueError(f"dt_max must be at least {DT_MIN}, got {dt_max}")
        self.state_size = state_size
        modes = state_size // 2
        low, high = math.log(DT_MIN), math.log(dt_max)
        # In this order, as in the authors' code: a seed gives its values.
        log_dt = torch.rand(channels) * (high - low) + low
        C = torch.randn(*leading, channels, modes, dtype=torch.complex64)
        self.C = nn.Parameter(torch.view_as_real(C))
        self.log_dt = nn.Parameter(log_dt)
        self.log_A_real = nn.Parameter(torch.log(0.5 * torch.ones(channels, modes)))
        self.A_imag = nn.Parameter(math.pi * torch.arange(modes).float().repeat(channels, 1))

    def forward(self, steps: int) -> Tensor:
        """``K`` ``[H, steps]``.

        Powers ``l = m i + j`` are products of ``m i`` and ``j``, ``m`` the root of all steps: a
        product of small matrices per channel instead of an exponential per mode and step.
        """
        A_HN = torch.complex(-torch.exp(self.log_A_real), self.A_imag)
        dtA_HN = torch.exp(self.log_dt)[:, None] * A_HN
        C_HN = torch.view_as_complex(self.C).view(A_HN.shape)
        C_HN = C_HN * (torch.exp(dtA_HN) - 1.0) / A_HN
        m = math.isqrt(steps - 1) + 1
        lags_M = torch.arange(m, device=A_HN.device)
        fine_HNM = torch.exp(dtA_HN[..., None] * lags_M)
        coarse_HNM = C_HN[..., None] * torch.exp(dtA_HN[..., None] * (m * lags_M))
        return 2.0 * (coarse_HNM.mT @ fine_HNM).real.flatten(1)[:, :steps]

    def respond(self, x_BHT: Tensor) -> Tensor:
        """The convolution of ``K`` with ``x``."""
        return causal(x_BHT, self(x_BHT.shape[-1]))


class DropoutNd(nn.Module):
    """Dropout of whole channels: one mask per sample and channel, the same in all steps.

    Args:
        p: Chance with which a channel of a sample is zeroed in training; the others are scaled by
            ``1 / (1 - p)``.

    Raises:
        ValueError: ``p`` is not in ``[0, 1)``.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0.0 <= p < 1.0:
            raise ValueError(f"dropout is a probability from 0 to below 1, not {p}")
        self.p = p

    def forward(self, x_BHT: Tensor) -> Tensor:
        """``x`` with channels of zeros while training, ``x`` itself otherwise."""
        if not self.training or self.p == 0.0:
            return x_BHT
        kept_BH = torch.rand(x_BHT.shape[:2], device=x_BHT.device) < 1.0 - self.p
        return x_BHT * (kept_BH.to(x_BHT.dtype) / (1.0 - self.p))[..., None]


class S4D(nn.Module):
    r"""The convolution, a direct path, and a mixture of channels.

        y = K * x + D x
        output = GLU(W dropout(GELU(y)) + bias)        (W from H to 2 H channels)

    Args:
        channels: ``H``.
        state_size: See :class:`S4DKernel`, as for the next.
        dt_max: See there.
        dropout: Of :class:`DropoutNd`.
    """

    def __init__(self, channels: int, *, state_size: int, dt_max: float, dropout: float) -> None:
        super().__init__()
        self.D = nn.Parameter(torch.randn(channels))
        self.kernel = S4DKernel(channels, state_size, dt_max=dt_max)
        self.dropout = DropoutNd(dropout)
        self.output_linear = mixture(channels)

    def forward(self, x_BHT: Tensor) -> tuple[Tensor, None]:
        """The output, and no spikes."""
        y_BHT = self.kernel.respond(x_BHT) + self.D[:, None] * x_BHT
        output_BHT: Tensor = self.output_linear(self.dropout(nn.functional.gelu(y_BHT)))
        return output_BHT, None


def mixture(channels: int) -> nn.Sequential:
    """The product that every block ends with, from ``[B, H, T]`` to the same."""
    return nn.Sequential(nn.Conv1d(channels, 2 * channels, 1), nn.GLU(dim=-2))


def causal(x_BHT: Tensor, kernel_HT: Tensor) -> Tensor:
    """``y[t] = sum over l <= t of kernel[l] x[t - l]``, by fast Fourier transforms."""
    steps = x_BHT.shape[-1]
    length = 2 * steps  # of zeros enough that the end does not run into the start
    product = torch.fft.rfft(x_BHT, n=length) * torch.fft.rfft(kernel_HT, n=length)
    return torch.fft.irfft(product, n=length)[..., :steps]
