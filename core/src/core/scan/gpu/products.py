"""The product of a recurrent scan's step, as text of a Triton module, and its right side.

A tile ``[ROWS, COLUMNS]`` of the product of ``source`` ``[B, N]``, which programs have just
written, and ``matrix`` ``[N, N]``. Values in registers cannot be cut along the inner dimension, so
the left side always comes from memory (``.cg``: not from the cache of one processor, which may
hold what stood there before).

The right side either comes from memory as well, ``STREAMED`` rows at a time, in IEEE arithmetic; or
the program reads its columns before the first step and keeps them, as three numbers of bfloat16
whose sum is the weight (:func:`parts`), for the units for dense products:

- Spikes that are 0 or 1 are exact in bfloat16: three products, each exact; only the order of sums
  in single precision differs, and how these units round them.
- Gradients, and spikes of other values, are cut into three parts as well. Of the nine products six
  are made; those left out are below 2^-24 of the whole. Infinite ones become NaN.

The inner dimension is cut into chunks, so that registers hold no more of the left side than the
chunk of a product and one or two that are on their way.
"""

from __future__ import annotations

import torch
from torch import Tensor

PRODUCTS = '''
@triton.jit
def streamed(source, matrix, row, column, live, B, N: tl.constexpr,
             ROWS: tl.constexpr, COLUMNS: tl.constexpr, STREAMED: tl.constexpr):
    """A tile of the product, zero where not ``live``."""
    total = tl.zeros([ROWS, COLUMNS], source.dtype.element_ty)
    for first in range(0, N, STREAMED):
        inner = first + tl.arange(0, STREAMED)
        across, down = inner[None, :], inner[:, None]
        left = tl.load(source + row * N + across, mask=live & (row < B) & (across < N), other=0.0,
                       cache_modifier=".cg")
        right = tl.load(matrix + down * N + column, mask=(down < N) & (column < N), other=0.0)
        total = tl.dot(left, right, total, input_precision="ieee", out_dtype=total.dtype)
    return total


@triton.jit
def kept_columns(matrix, chunk, column,
                 N: tl.constexpr, COLUMNS: tl.constexpr, INNER: tl.constexpr):
    """``INNER`` rows, those of the chunk, of the columns from ``column`` on."""
    down = chunk * INNER + tl.arange(0, INNER)[:, None]
    across = column + tl.arange(0, COLUMNS)[None, :]
    return tl.load(matrix + down * N + across, mask=(down < N) & (across < N), other=0.0)


@triton.jit
def left_side(source, chunk, row, live, B,
              N: tl.constexpr, ROWS: tl.constexpr, INNER: tl.constexpr):
    """What they are multiplied with, of the rows from ``row`` on; zero where not ``live``."""
    down = row + tl.arange(0, ROWS)[:, None]
    across = tl.arange(0, INNER)[None, :]
    here = live & (down < B) & (across < N - chunk * INNER)
    return tl.load(source + (down * N + across) + chunk * INNER, mask=here, other=0.0,
                   cache_modifier=".cg")


@triton.jit
def add_parts(left, high, middle, low, by_high, by_middle, by_low, BINARY: tl.constexpr):
    """Add the products with three parts to a sum each: sums that do not wait for each other.

    Their order decides whether the assembler finds enough registers, not what comes out.
    """
    first = left.to(high.dtype)
    if not BINARY:
        rest = left - first.to(tl.float32)
        second = rest.to(high.dtype)
        third = (rest - second.to(tl.float32)).to(high.dtype)
        by_low = tl.dot(third, high, by_low, input_precision="ieee", out_dtype=tl.float32)
        by_low = tl.dot(second, middle, by_low, input_precision="ieee", out_dtype=tl.float32)
        by_middle = tl.dot(second, high, by_middle, input_precision="ieee", out_dtype=tl.float32)
    by_high = tl.dot(first, high, by_high, input_precision="ieee", out_dtype=tl.float32)
    by_middle = tl.dot(first, middle, by_middle, input_precision="ieee", out_dtype=tl.float32)
    by_low = tl.dot(first, low, by_low, input_precision="ieee", out_dtype=tl.float32)
    return by_high, by_middle, by_low
'''


def parts(weight: Tensor) -> Tensor:
    """Three arrays of bfloat16, the largest first, whose sum is ``weight`` (float32).

    Each holds 8 of the 24 bits. The sum is exact for ``2^-110 <= |w| < 3.39e38`` and zero; smaller
    ones are off by at most 2^-134, larger ones are infinite.
    """
    high = weight.bfloat16()
    rest = torch.where(high.isinf(), 0.0, weight - high.float())
    middle = rest.bfloat16()
    return torch.stack([high, middle, (rest - middle.float()).bfloat16()])
