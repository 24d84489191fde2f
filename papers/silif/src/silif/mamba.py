r"""Mamba: a state space model whose step, input and output matrices depend on its input.

Source: Gu, Dao, "Mamba: linear-time sequence modeling with selective state spaces", arXiv
2312.00752, for the equations and the initialisation. Written here in plain PyTorch; names and
shapes of the tensors are those of the ``mamba_ssm`` package.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

DT_MIN, DT_FLOOR = 0.001, 1e-4
"""Smallest initial steps: of the distribution, and after rounding."""


class Mamba(nn.Module):
    r"""Gated selective scan behind a short convolution.

        (x, z) = W_in input;  x = silu(conv1d(x))                          (causal)
        (d, B, C) = W_x x;    Delta = softplus(W_dt d + bias)
        h_t = exp(Delta_t A) h_{t-1} + Delta_t B_t x_t                      (A = -exp(A_log))
        y_t = C_t h_t + D x_t;  output = W_out (y silu(z))

    Args:
        channels: ``H``, of the input and of the scan alike.
        state_size: States per channel.
        width: Of the convolution.
        dt_max: Largest initial step.

    Raises:
        ValueError: A ``dt_max`` below :data:`DT_MIN`.
    """

    def __init__(
        self, channels: int, *, state_size: int = 64, width: int = 4, dt_max: float = 0.1
    ) -> None:
        super().__init__()
        if not dt_max >= DT_MIN:
            raise ValueError(f"dt_max must be at least {DT_MIN}, got {dt_max}")
        self.rank = math.ceil(channels / 16)
        self.state_size = state_size
        self.in_proj = nn.Linear(channels, 2 * channels, bias=False)
        self.conv1d = nn.Conv1d(channels, channels, width, groups=channels, padding=width - 1)
        self.x_proj = nn.Linear(channels, self.rank + 2 * state_size, bias=False)
        self.dt_proj = nn.Linear(self.rank, channels)
        _initial_step(self.dt_proj, dt_max)
        A = torch.arange(1, state_size + 1, dtype=torch.float32).repeat(channels, 1)
        self.A_log = nn.Parameter(torch.log(A))
        self.D = nn.Parameter(torch.ones(channels))
        self.out_proj = nn.Linear(channels, channels, bias=False)

    def forward(self, input_BHT: Tensor) -> tuple[Tensor, None]:
        """The output ``[B, H, T]``, and no spikes."""
        x_BTH, z_BTH = self.in_proj(input_BHT.transpose(1, 2)).chunk(2, dim=-1)
        x_BHT = self.conv1d(x_BTH.transpose(1, 2))[..., : input_BHT.shape[-1]]
        x_TBH = nn.functional.silu(x_BHT).permute(2, 0, 1)
        sizes = [self.rank, self.state_size, self.state_size]
        d_TBR, B_TBN, C_TBN = self.x_proj(x_TBH).split(sizes, dim=-1)
        delta_TBH = nn.functional.softplus(self.dt_proj(d_TBR))
        A_HN = -torch.exp(self.A_log)
        # The states of all steps are N times the input: they are computed again in the backward.
        y_TBH: Tensor = checkpoint(
            selective_scan, x_TBH, delta_TBH, A_HN, B_TBN, C_TBN, use_reentrant=False
        )
        y_TBH = (y_TBH + self.D * x_TBH) * nn.functional.silu(z_BTH.transpose(0, 1))
        return self.out_proj(y_TBH).permute(1, 2, 0), None


def selective_scan(
    x_TBH: Tensor, delta_TBH: Tensor, A_HN: Tensor, B_TBN: Tensor, C_TBN: Tensor
) -> Tensor:
    r"""``y_t = C_t h_t`` with ``h_t = exp(Delta_t A) h_{t-1} + Delta_t B_t x_t``, from ``h_0 = 0``.

    Args:
        x_TBH: Input of every channel.
        delta_TBH: Step of every channel.
        A_HN: Rates of the states.
        B_TBN: Weights of the input in the states, the same for all channels.
        C_TBN: Weights of the states in the output.

    Returns:
        ``y`` ``[T, B, H]``.
    """
    h_BHN = x_TBH.new_zeros(*x_TBH.shape[1:], A_HN.shape[1])
    y = []
    each = (sequence.unbind(0) for sequence in (delta_TBH, delta_TBH * x_TBH, B_TBN, C_TBN))
    for delta_BH, input_BH, B_BN, C_BN in zip(*each, strict=True):
        kept_BHN = torch.exp(delta_BH[..., None] * A_HN)
        h_BHN = kept_BHN * h_BHN + input_BH[..., None] * B_BN[:, None]
        y.append(torch.bmm(h_BHN, C_BN[..., None])[..., 0])
    return torch.stack(y)


@torch.no_grad()
def _initial_step(projection: nn.Linear, dt_max: float) -> None:
    """Weights ``U(+-1/sqrt(R))`` of ``[H, R]``, a bias that gives log-uniform steps."""
    channels, rank = projection.weight.shape
    nn.init.uniform_(projection.weight, -(rank**-0.5), rank**-0.5)
    low, high = math.log(DT_MIN), math.log(dt_max)
    dt = torch.exp(torch.rand(channels) * (high - low) + low).clamp(min=DT_FLOOR)
    projection.bias.copy_(dt + torch.log(-torch.expm1(-dt)))  # softplus of it is dt
