"""Layer-wise recurrence inside a kernel: spikes gather rows forwards, blocks multiply backwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from llvmlite import ir
from torch import Tensor

from core.scan.cpu.code import I32, I64, Code, Value
from core.scan.cpu.machine import Machine

#: Vectors of a row that a gather holds in registers at once.
PANEL = 8
#: Rows of the weight that a product with few columns reads at once: enough sums to keep both
#: multipliers busy while each waits for its own last one.
TOGETHER = 8


@dataclass(frozen=True)
class Tile:
    """The block of a matrix product that stays in registers.

    Attributes:
        rows: Samples.
        vectors: Vectors of columns.
    """

    rows: int
    vectors: int


def tile_of(machine: Machine) -> Tile:
    """As many sums as registers hold, beside a row of the weight and one factor."""
    return Tile(8, 2) if machine.registers >= 32 else Tile(4, 2)


def panels_of(columns: int, itemsize: int, machine: Machine) -> tuple[int, int]:
    """How many panels :func:`multiply` cuts so many columns into, and columns of a panel."""
    wide = tile_of(machine).vectors * machine.vector_bytes // itemsize
    return -(-columns // wide), wide


def packed(weight: Tensor, machine: Machine) -> Tensor:
    """``weight`` ``[inner, columns]`` as :func:`multiply` reads it."""
    inner, columns = weight.shape
    panels, wide = panels_of(columns, weight.dtype.itemsize, machine)
    whole = torch.zeros(inner, panels * wide, dtype=weight.dtype)
    whole[:, :columns] = weight
    return whole.view(inner, panels, wide).transpose(0, 1).contiguous()


def list_spikes(code: Code, row: Value, width: Value, indices: Value) -> Value:
    """Write the places of what is not zero in a padded row to ``indices``; returns how many."""

    def active(i: Value, mask: Value | None) -> Value:
        return code.builder.fcmp_unordered("!=", code.load(code.at(row, i)), code.constant(0.0))

    return list_places(code, width, indices, active)


def list_places(
    code: Code, width: Value, indices: Value, active: Callable[[Value, Value | None], Value]
) -> Value:
    """Write the places where ``active(i, mask)`` is true to ``indices``; returns how many.

    Places ascend, so that sums over them always run in the same order.
    """
    b = code.builder
    count = code.variable(I64(0))
    bits_kind = ir.IntType(code.lanes)

    def one(i: Value, mask: Value | None) -> None:
        chosen = active(i, mask)
        if mask is not None:
            chosen = b.and_(chosen, mask)
        bits = code.variable(b.zext(b.bitcast(chosen, bits_kind), I64))
        with code.endless() as leave_if:
            left = code.read(bits)
            leave_if(b.icmp_signed("==", left, I64(0)))
            lane = b.cttz(left, ir.Constant(ir.IntType(1), 1))
            known = code.read(count)
            b.store(b.trunc(code.sum(i, lane), I32), code.at(indices, known, kind=I32))
            b.store(code.sum(known, 1), count)
            b.store(b.and_(left, b.sub(left, I64(1))), bits)

    code.across(width, one)
    return code.read(count)


def each_spike(
    code: Code, row: Value, indices: Value, count: Value, body: Callable[[Value, Value], None]
) -> None:
    """Call ``body(j, value)`` for every listed place ``j``; ``value`` fills a vector."""
    with code.loop(0, count) as k:
        index = code.load_one(code.at(indices, k, kind=I32), I32)
        j = code.builder.zext(index, I64)
        body(j, code.splat(code.load_one(code.at(row, j))))


def in_panels(code: Code, width: Value, body: Callable[[Value, int, Value | None], None]) -> None:
    """Call ``body(column, vectors, mask)`` for panels of PANEL vectors, then single vectors."""
    wide = PANEL * code.lanes
    full = code.builder.and_(width, I64(-wide))
    with code.loop(0, full, wide) as column:
        body(column, PANEL, None)

    def rest(i: Value, mask: Value | None) -> None:
        body(code.sum(full, i), 1, mask)

    code.across(code.builder.sub(width, full), rest)


def gather(
    code: Code,
    current: Value,
    spikes: Value,
    indices: Value,
    count: Value,
    weight: Value,
    stride: Value,
    total: Value,
    width: Value,
    *,
    exact: bool = False,
) -> None:
    """``total = current + sum over spikes j of value_j weight[j]``, row by row of the weight.

    ``current`` is exactly ``width`` long; ``spikes``, the rows of ``weight`` (``stride`` apart)
    and, unless it is ``exact`` too, ``total`` are padded.
    """

    def panel(column: Value, vectors: int, mask: Value | None) -> None:
        sums = [
            code.variable(code.load(code.at(current, column, p * code.lanes), mask))
            for p in range(vectors)
        ]

        def add(j: Value, value: Value) -> None:
            row = code.at(weight, code.product(j, stride), column)
            for p, place in enumerate(sums):
                part = code.load(code.at(row, p * code.lanes))
                code.builder.store(code.multiply_add(value, part, code.read(place)), place)

        each_spike(code, spikes, indices, count, add)
        for p, place in enumerate(sums):
            address = code.at(total, column, p * code.lanes)
            code.store(code.read(place), address, mask if exact else None)

    in_panels(code, width, panel)


def add_outer(
    code: Code,
    spikes: Value,
    indices: Value,
    count: Value,
    gradient: Value,
    sums: Value,
    stride: Value,
    width: Value,
) -> None:
    """``sums[j] += value_j gradient`` for every spike ``j``: the gradient of the weight.

    ``gradient`` is exactly ``width`` long; the rows of ``sums`` (``stride`` apart) are padded.
    """

    def panel(column: Value, vectors: int, mask: Value | None) -> None:
        parts = [code.load(code.at(gradient, column, p * code.lanes), mask) for p in range(vectors)]

        def add(j: Value, value: Value) -> None:
            row = code.at(sums, code.product(j, stride), column)
            for p, part in enumerate(parts):
                place = code.at(row, p * code.lanes)
                code.store(code.multiply_add(value, part, code.load(place)), place)

        each_spike(code, spikes, indices, count, add)

    in_panels(code, width, panel)


def multiply(
    code: Code,
    rows: Value,
    row_stride: Value,
    count: Value,
    inner: Value,
    packed: Value,
    panels: Value,
    result: Value,
    result_stride: Value,
) -> None:
    """``result = rows @ weight``, ``[count, inner] x [inner, columns]``.

    The weight comes packed: ``[panels, inner, tile.vectors * lanes]``, columns padded with zeros,
    so that a panel is read in one go and stays in the nearest cache over all rows. Rows of the
    result beyond ``count``, up to a multiple of the tile's, are overwritten with something.
    """
    tile, lanes = tile_of(code.machine), code.lanes
    wide = tile.vectors * lanes
    last = code.sum(count, -1)
    with code.loop(0, panels) as panel:
        weight = code.at(packed, code.product(panel, inner, wide))
        with code.loop(0, count, tile.rows) as first:
            sources = [
                code.at(rows, code.product(code.smaller(code.sum(first, m), last), row_stride))
                for m in range(tile.rows)
            ]
            sums = [
                [code.variable(code.constant(0.0)) for _ in range(tile.vectors)]
                for _ in range(tile.rows)
            ]
            with code.loop(0, inner) as k:
                base = code.at(weight, code.product(k, wide))
                parts = [code.load(code.at(base, v * lanes)) for v in range(tile.vectors)]
                for source, row in zip(sources, sums, strict=True):
                    factor = code.splat(code.load_one(code.at(source, k)))
                    for part, place in zip(parts, row, strict=True):
                        total = code.multiply_add(factor, part, code.read(place))
                        code.builder.store(total, place)
            for m, row in enumerate(sums):
                target = code.at(
                    result,
                    code.product(code.sum(first, m), result_stride),
                    code.product(panel, wide),
                )
                for v, place in enumerate(row):
                    code.store(code.read(place), code.at(target, v * lanes))


def multiply_listed(
    code: Code,
    row: Value,
    weight: Value,
    stride: Value,
    indices: Value,
    count: Value,
    result: Value,
    width: Value,
) -> None:
    """``result[j] = sum over i of weight[j, i] row[i]`` for every listed ``j``.

    ``row`` is exactly ``width`` long; ``result`` and the rows of ``weight`` are padded.
    """

    def some(first: Value, how_many: int) -> None:
        places = [
            code.builder.zext(code.load_one(code.at(indices, first, m, kind=I32), I32), I64)
            for m in range(how_many)
        ]
        rows = [code.at(weight, code.product(place, stride)) for place in places]
        sums = [code.variable(code.constant(0.0)) for _ in places]

        def one(i: Value, mask: Value | None) -> None:
            part = code.load(code.at(row, i), mask)
            for source, place in zip(rows, sums, strict=True):
                product = code.multiply_add(part, code.load(code.at(source, i)), code.read(place))
                code.builder.store(product, place)

        code.across(width, one)
        for place, total in zip(places, sums, strict=True):
            code.builder.store(code.total(code.read(total)), code.at(result, place))

    full = code.builder.and_(count, I64(-TOGETHER))
    with code.loop(0, full, TOGETHER) as first:
        some(first, TOGETHER)
    with code.loop(full, count) as first:
        some(first, 1)
