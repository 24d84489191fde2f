"""LLVM code one loop at a time: pointers, loops and vectors with a masked tail."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from llvmlite import ir

from core.scan.cpu.machine import Machine

I1, I32, I64 = ir.IntType(1), ir.IntType(32), ir.IntType(64)
Value = Any  # llvmlite's values carry no types
POINTER = ir.PointerType()


class Code:
    """A function ``void name(int64 *slots)`` under construction.

    Its arguments are 64-bit slots, addresses and numbers alike, in the order of ``slots``.

    Args:
        name: Of the function.
        slots: Names of the arguments.
        real: ``float`` or ``double`` of LLVM.
        machine: What the processor can do.
    """

    def __init__(self, name: str, slots: Sequence[str], real: ir.Type, machine: Machine) -> None:
        self.module = ir.Module(name=name)
        function = ir.Function(self.module, ir.FunctionType(ir.VoidType(), [POINTER]), name=name)
        self.entry = ir.IRBuilder(function.append_basic_block("entry"))
        self.builder = ir.IRBuilder(function.append_basic_block("start"))
        self.real, self.machine = real, machine
        self.real_bytes = 4 if isinstance(real, ir.FloatType) else 8
        self.lanes = machine.vector_bytes // self.real_bytes
        self.vector = ir.VectorType(real, self.lanes)
        self._function = function
        self._slots = {slot: place for place, slot in enumerate(slots)}
        self._values: dict[str, Value] = {}
        self._numbers: dict[str, Value] = {}
        self._start = self.builder.block

    def finish(self) -> str:
        """The text of the module, once everything is written."""
        self.builder.ret_void()
        self.entry.branch(self._start)
        return str(self.module)

    # --- numbers ----------------------------------------------------------------------------

    def slot(self, name: str) -> Value:
        """The number in a slot."""
        if name not in self._values:
            # Read in the entry block: there it is known wherever it is used.
            self._values[name] = self.entry.load(self.slot_address(name, self.entry), typ=I64)
        return self._values[name]

    def slot_address(self, name: str, builder: ir.IRBuilder | None = None) -> Value:
        """Where a slot lies."""
        place = I64(self._slots[name])
        return (builder or self.entry).gep(self._function.args[0], [place], source_etype=I64)

    def number(self, value: int | Value) -> Value:
        """A 64-bit integer."""
        return I64(value) if isinstance(value, int) else value

    def sum(self, *values: int | Value) -> Value:
        """Their sum."""
        result = self.number(values[0])
        for value in values[1:]:
            result = self.builder.add(result, self.number(value))
        return result

    def product(self, *values: int | Value) -> Value:
        """Their product."""
        result = self.number(values[0])
        for value in values[1:]:
            result = self.builder.mul(result, self.number(value))
        return result

    def smaller(self, a: int | Value, b: int | Value) -> Value:
        """The smaller of two."""
        a, b = self.number(a), self.number(b)
        return self.builder.select(self.builder.icmp_signed("<", a, b), a, b)

    # --- memory -----------------------------------------------------------------------------

    def array(self, slot: str) -> Value:
        """The address in a slot."""
        return self.builder.inttoptr(self.slot(slot), POINTER)

    def at(self, base: Value, *offset: int | Value, kind: ir.Type | None = None) -> Value:
        """The address of element ``sum(offset)``, of reals unless ``kind`` says otherwise."""
        return self.builder.gep(base, [self.sum(*offset)], source_etype=kind or self.real)

    def load(self, address: Value, mask: Value | None = None) -> Value:
        """A vector; lanes outside the mask are zero and are not read."""
        if mask is None:
            return self.builder.load(address, typ=self.vector, align=self.real_bytes)
        name = f"llvm.masked.load.v{self.lanes}f{8 * self.real_bytes}.p0"
        bits = ir.VectorType(I1, self.lanes)
        kind = ir.FunctionType(self.vector, [POINTER, I32, bits, self.vector])
        zero = ir.Constant(self.vector, None)
        return self.builder.call(
            self.declare(name, kind), [address, I32(self.real_bytes), mask, zero]
        )

    def store(
        self, value: Value, address: Value, mask: Value | None = None, *, stream: bool = False
    ) -> None:
        """Write a vector; lanes outside the mask are not touched.

        ``stream`` goes past the caches, to an address that is a multiple of a vector: memory that
        is not read again soon need not be fetched before it is overwritten.
        """
        if mask is None:
            align = self.machine.vector_bytes if stream else self.real_bytes
            written = self.builder.store(value, address, align=align)
            if stream:
                written.set_metadata("nontemporal", self.module.add_metadata([I32(1)]))
            return
        name = f"llvm.masked.store.v{self.lanes}f{8 * self.real_bytes}.p0"
        bits = ir.VectorType(I1, self.lanes)
        kind = ir.FunctionType(ir.VoidType(), [self.vector, POINTER, I32, bits])
        self.builder.call(self.declare(name, kind), [value, address, I32(self.real_bytes), mask])

    def prefetch(self, address: Value) -> None:
        """Ask for memory that will be read soon; harmless where there is none."""
        kind = ir.FunctionType(ir.VoidType(), [POINTER, I32, I32, I32])
        function = self.declare("llvm.prefetch.p0", kind)
        self.builder.call(function, [address, I32(0), I32(3), I32(1)])

    def load_one(self, address: Value, kind: ir.Type | None = None) -> Value:
        """A single number."""
        return self.builder.load(address, typ=kind or self.real)

    # --- vectors ----------------------------------------------------------------------------

    def splat(self, value: Value, kind: ir.VectorType | None = None) -> Value:
        """A vector with one number in every lane."""
        kind = kind or self.vector
        one = self.builder.insert_element(ir.Constant(kind, ir.Undefined), value, I32(0))
        lanes = ir.Constant(ir.VectorType(I32, kind.count), None)
        return self.builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), lanes)

    def repeated(self, slot: str) -> Value:
        """A vector with the one number that an array holds in every lane."""
        if slot not in self._numbers:
            # Read in the entry block, as slots are: what depends on it alone is computed once.
            address = self.entry.inttoptr(self.slot(slot), POINTER)
            self._numbers[slot] = self.entry.load(address, typ=self.real)
        return self.splat(self._numbers[slot])

    def constant(self, value: float) -> Value:
        """A vector with one known number in every lane."""
        return ir.Constant(self.vector, [value] * self.lanes)

    def multiply_add(self, a: Value, b: Value, c: Value) -> Value:
        """``a b + c``, rounded once where the processor can."""
        if not self.machine.fma:
            return self.builder.fadd(self.builder.fmul(a, b), c)
        return self.intrinsic("llvm.fma", a, b, c)

    def total(self, value: Value) -> Value:
        """The sum of a vector's lanes, by halves."""
        width = self.lanes
        while width > 1:
            width //= 2
            value = self.builder.fadd(value, self.exchanged(value, width))
        return self.builder.extract_element(value, I32(0))

    def exchanged(self, value: Value, by: int) -> Value:
        """Lanes ``i`` and ``i + by`` in each other's place, for a ``by`` that is a power of two."""
        lanes = ir.Constant(ir.VectorType(I32, self.lanes), [i ^ by for i in range(self.lanes)])
        return self.builder.shuffle_vector(value, ir.Constant(value.type, ir.Undefined), lanes)

    def places(self, i: Value) -> Value:
        """The 32-bit numbers ``i, i + 1, ...`` of the lanes of the vector at ``i``."""
        kind = ir.VectorType(I32, self.lanes)
        first = self.splat(self.builder.trunc(i, I32), kind)
        return self.builder.add(first, ir.Constant(kind, list(range(self.lanes))))

    def intrinsic(self, name: str, *values: Value) -> Value:
        """An LLVM intrinsic on vectors, such as ``llvm.fabs``."""
        kind = ir.FunctionType(self.vector, [self.vector] * len(values))
        whole = f"{name}.v{self.lanes}f{8 * self.real_bytes}"
        return self.builder.call(self.declare(whole, kind), values)

    def declare(self, name: str, kind: ir.FunctionType) -> Value:
        """A function from outside of this module, or an intrinsic by its whole name."""
        known = self.module.globals.get(name)
        return known or ir.Function(self.module, kind, name=name)

    # --- control ----------------------------------------------------------------------------

    def variable(self, initial: Value) -> Value:
        """A place for a value that changes; becomes a register."""
        place = self.entry.alloca(initial.type)
        self.builder.store(initial, place)
        return place

    def read(self, place: Value) -> Value:
        """What a variable holds."""
        return self.builder.load(place, typ=place.allocated_type)

    @contextmanager
    def loop(self, start: int | Value, stop: int | Value, step: int | Value = 1) -> Iterator[Value]:
        """``for i in range(start, stop, step)``; the step is positive."""
        place = self.variable(self.number(start))
        stop = self.number(stop)
        head, body, end = (self._function.append_basic_block(n) for n in ("head", "body", "end"))
        self.builder.branch(head)
        self.builder.position_at_end(head)
        index = self.read(place)
        self.builder.cbranch(self.builder.icmp_signed("<", index, stop), body, end)
        self.builder.position_at_end(body)
        yield index
        self.builder.store(self.sum(index, step), place)
        self.builder.branch(head)
        self.builder.position_at_end(end)

    @contextmanager
    def endless(self) -> Iterator[Callable[[Value], None]]:
        """Repeat the block; what is yielded leaves it when its argument is true."""
        body, end = (self._function.append_basic_block(n) for n in ("repeat", "left"))
        self.builder.branch(body)
        self.builder.position_at_end(body)

        def leave_if(condition: Value) -> None:
            rest = self._function.append_basic_block("stay")
            self.builder.cbranch(condition, end, rest)
            self.builder.position_at_end(rest)

        yield leave_if
        self.builder.branch(body)
        self.builder.position_at_end(end)

    @contextmanager
    def when(self, condition: Value) -> Iterator[None]:
        """``if condition:``."""
        with self.builder.if_then(condition):
            yield

    def across(self, width: Value, body: Callable[[Value, Value | None], None]) -> None:
        """Call ``body(i, mask)`` for every vector of ``range(width)``; the last may have a mask."""
        lanes = self.lanes
        full = self.builder.and_(width, I64(-lanes))
        with self.loop(0, full, lanes) as i:
            body(i, None)
        with self.when(self.builder.icmp_signed("<", full, width)):
            body(full, self.first_lanes(self.builder.sub(width, full)))

    def first_lanes(self, count: Value) -> Value:
        """A mask of the first ``count`` lanes."""
        kind = ir.VectorType(I64, self.lanes)
        places = ir.Constant(kind, list(range(self.lanes)))
        return self.builder.icmp_signed("<", places, self.splat(count, kind))

    def copy_row(
        self, source: Value, target: Value, width: Value, *, masked_source: bool,
        stream: bool = False,
    ) -> None:  # fmt: skip
        """Copy a row between memory of exactly ``width`` and padded scratch memory."""

        def one(i: Value, mask: Value | None) -> None:
            value = self.load(self.at(source, i), mask if masked_source else None)
            self.store(value, self.at(target, i), None if masked_source else mask, stream=stream)

        self.across(width, one)

    def clear(self, target: Value, count: Value) -> None:
        """Set ``count`` reals, a multiple of the lanes, to zero."""
        with self.loop(0, count, self.lanes) as i:
            self.store(ir.Constant(self.vector, None), self.at(target, i))
