"""The two kernels of a neuron, as the source text of a Python module.

Without recurrence neither samples nor neurons touch each other: a program of the grid runs its
tile, ``[BLOCK]`` elements of samples x neurons, over all time steps with the state in registers and
waits for nobody. With recurrence a tile is ``[ROWS, COLUMNS]``, a few samples and some or all of
their neurons. The ``TILES`` programs that share their samples give each other the spikes (on the
way back the gradients of the current) of every step through the array that keeps them anyway, and
wait for each other once a step (:mod:`core.scan.gpu.meeting`). No result depends on the order in
which programs run.

The forward kernel keeps the state before every ``SEGMENT``-th step, and with recurrence the total
current of every step. The backward kernel goes through the segments from the last to the first: it
runs a segment forwards again from the kept state, into memory that only holds one segment, and
then backwards. That writes and reads a state in the cache instead of the device's memory, needs a
``SEGMENT``-th of the memory, and neither a dense product nor anything of other programs, as the
total current is known.

Both run the steps from ``begin`` to ``end`` and leave what the next launch needs in memory. One
launch runs all, where programs can wait for each other; where they cannot, as in Triton's
interpreter, which runs one after the other, a launch per step runs the same text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.scan.gpu.geometry import MOST_AHEAD, MOST_CHUNKS
from core.scan.gpu.meeting import APART, MEETING
from core.scan.gpu.module import IMPORTS
from core.scan.gpu.products import PRODUCTS
from core.scan.gpu.writer import Writer, operations
from core.scan.graph import Variant

#: Arguments that may be anything: Triton would compile kernels anew for one and multiples of 16.
PLACES = ("begin", "end", "batch_tile")
#: Constants of kernels with recurrence: ``core.scan.gpu.geometry.Geometry.tile`` and how they meet.
RECURRENT = ("ROWS", "COLUMNS", "STREAMED", "INNER", "CHUNKS", "AHEAD", "TILES", "MEET")
#: Arrays read before the first step and written after the last one: given twice, under a second
#: name, so that no thread keeps their addresses in registers all through the scan.
CARRIED = ("final", "state_gradient", "coefficient_gradient")
#: Of a kept weight: :func:`core.scan.gpu.products.parts`.
PARTS = ("high", "middle", "low")


@dataclass(frozen=True)
class GpuVariant(Variant):
    """Which kernels of a neuron.

    Attributes:
        parameters: Whether ``backward`` gives gradients of coefficients.
        traces: Fields of the state, by number, of which ``forward`` writes a sequence ``trace{f}``
            and ``backward`` reads the gradient ``gt{f}`` of one.
    """

    parameters: bool
    traces: tuple[int, ...] = ()


def before(name: str) -> str:
    """The second name of an array of :data:`CARRIED`."""
    return f"{name}_before"


def module_text(variant: GpuVariant) -> str:
    """A module with the kernels ``forward`` and ``backward``.

    All arrays are contiguous: sequences ``[T, B, N]``, states ``[states, B, N]``, coefficients
    ``[coefficients, N]``, their gradients ``[coefficients, B, N]``, kept states
    ``[segments, states, B, N]``. ``matrix`` is what spikes (gradients) are multiplied with from
    the right, or its parts; ``carried`` ``[B, N]`` the product of the spikes before the first step.
    ``final`` holds the state before ``begin`` when ``forward`` starts; ``state_gradient`` and
    ``coefficient_gradient`` those after ``end`` when ``backward`` starts, which leaves out what the
    spikes before ``begin`` did to that step's current. ``counters`` are zero.
    """
    writer = Writer()
    writer.line('"""Generated from the step of a neuron; see core.scan.gpu."""')
    writer.line(IMPORTS)
    if variant.recurrent:
        writer.line(MEETING)
        writer.line(PRODUCTS)
    _Forward(variant, writer).write()
    _Backward(variant, writer).write()
    return writer.text()


class _Kernel:
    """What both kernels share."""

    def __init__(self, variant: GpuVariant, writer: Writer) -> None:
        self.variant, self.graph, self.writer = variant, variant.graph, writer
        self.tile = "[ROWS, COLUMNS]" if variant.recurrent else "[BLOCK]"
        self.table = operations(writer, tile=self.tile, double=variant.double)
        self.fields = range(self.graph.states)

    def head(self, name: str, arrays: Sequence[str], constants: Sequence[str]) -> str:
        """The first line of a kernel."""
        recurrent = self.variant.recurrent
        arrays = [*arrays, *["mask"] * self.graph.masked, *["matrix", "counters"] * recurrent]
        sizes = RECURRENT if recurrent else ("BLOCK",)
        fixed = [f"{constant}: tl.constexpr" for constant in [*constants, "SEGMENT", *sizes]]
        places = PLACES if recurrent else PLACES[:2]
        # With the number of neurons known, addresses and masks of chunks are constants of a load
        # and take no registers.
        size = "N: tl.constexpr" if recurrent else "N"
        self.writer.line("")
        self.writer.line(f"@triton.jit(do_not_specialize={list(places)})")
        return f"def {name}({', '.join([*arrays, 'T', 'B', size, *places, *fixed])})"

    def place_tile(self) -> None:
        """Where the tile lies (``e`` in ``[B, N]``, ``n`` in ``[N]``), and its coefficients.

        ``e`` has 32 bits: 64 would take twice the registers in every address.
        """
        write = self.writer.line
        write("stride = tl.cast(B, tl.int64) * N")
        write("program = tl.program_id(0)")
        if self.variant.recurrent:
            write("batch_tile = batch_tile + program // TILES")
            write("first_row, first_column = batch_tile * ROWS, program % TILES * COLUMNS")
            write("row = first_row + tl.arange(0, ROWS)[:, None]")
            write("n = first_column + tl.arange(0, COLUMNS)[None, :]")
            write("e = row * N + n")
            write("inside = (row < B) & (n < N)")
            write(f"counter = counters + batch_tile * {APART}")
        else:
            write("e = program * BLOCK + tl.arange(0, BLOCK)")
            write("n = e % N")
            write("inside = e < stride")
        for i in range(self.graph.coefficients):
            read = f"tl.load(coefficients + {i} * N + n, mask=n < N, other=0.0)"
            write(f"c{i} = tl.broadcast_to({read}, {self.tile})")

    def load(self, address: str) -> str:
        """An expression that reads a tile of the ``[B, N]`` at ``address``."""
        return f"tl.load({address} + e, mask=inside, other=0.0)"

    def store(self, address: str, value: str) -> None:
        """Write a tile of the ``[B, N]`` at ``address``."""
        self.writer.line(f"tl.store({address} + e, {value}, mask=inside)")

    def load_fields(self, name: str, address: str) -> None:
        """Read all fields of a state; they lie ``stride`` apart."""
        for f in self.fields:
            self.writer.line(f"{name}{f} = {self.load(f'{address} + {f} * stride')}")

    def store_fields(self, address: str, name: str) -> None:
        """Write all fields of a state."""
        for f in self.fields:
            self.store(f"{address} + {f} * stride", f"{name}{f}")

    def load_step(self) -> None:
        """Current and mask of the step at ``at``."""
        self.writer.line(f"x_t = {self.load('x + at')}")
        if self.graph.masked:
            self.writer.line(f"m_t = {self.load('mask + at')}")

    def evaluate(self, outputs: Sequence[int]) -> list[str]:
        """Write a part of the graph; the variables that hold ``outputs``."""
        inputs = {f"c{i}": f"c{i}" for i in range(self.graph.coefficients)}
        inputs |= {f"s{f}": f"s{f}" for f in self.fields}
        inputs |= {f"gs{f}": f"gs{f}" for f in self.fields}
        inputs |= {"x": "x_t", "m": "m_t", "go": "go_t"}
        return list(self.graph.evaluate(outputs, inputs, self.table))

    def assign(self, name: str, values: Sequence[str]) -> None:
        """``name0, name1, ... = values``, at once."""
        if values:
            names = ", ".join(f"{name}{i}" for i in range(len(values)))
            self.writer.line(f"{names} = {', '.join(values)}")

    def for_chunk(self, chunk: int, line: str, condition: str = "") -> None:
        """Write ``line`` for a chunk of the inner dimension, if a geometry has so many."""
        if chunk < MOST_CHUNKS:
            with self.writer.block(f"if {condition}CHUNKS > {chunk}"):
                self.writer.line(line.replace("#", str(chunk)))

    def keep_columns(self) -> None:
        """Before the loop: read the columns of the matrix that this program multiplies with."""
        if self.variant.recurrent and not self.variant.double:
            for place, name in enumerate(PARTS):
                arguments = f"matrix + {place} * N * N, #, first_column, N, COLUMNS, INNER"
                for chunk in range(MOST_CHUNKS):
                    self.for_chunk(chunk, f"{name}# = kept_columns({arguments})")

    def add_product(self, to: str, source: str, live: str, *, binary: bool) -> None:
        """Add the tile of the rows at ``source`` times the matrix, nothing unless ``live``."""
        write, sums = self.writer.line, ", ".join(f"by_{name}" for name in PARTS)
        streamed = f"streamed({source}, matrix, row, n, {live}, B, N, ROWS, COLUMNS, STREAMED)"
        if self.variant.double:
            write(f"{to} = tl.where({live}, {to} + {streamed}, {to})")
            return
        with self.writer.block("if CHUNKS == 0"):
            write(f"product = {streamed}")
        with self.writer.block("else"):
            write("nothing = tl.zeros([ROWS, COLUMNS], tl.float32)")
            write(f"{sums} = nothing, nothing, nothing")
            kept = ", ".join(f"{name}#" for name in PARTS)
            left = f"left# = left_side({source}, #, first_row, {live}, B, N, ROWS, INNER)"
            # A chunk of anything but spikes takes three times the registers.
            ahead = [(f"AHEAD == {count} and ", count + binary) for count in range(MOST_AHEAD + 1)]
            for condition, count in ahead:
                for chunk in range(count):
                    self.for_chunk(chunk, left, condition)
            for chunk in range(MOST_CHUNKS):
                for condition, count in ahead:
                    self.for_chunk(chunk + count, left, condition)
                self.for_chunk(chunk, f"{sums} = add_parts(left#, {kept}, {sums}, {binary})")
            write("product = by_low + by_middle + by_high")
        # Zero times a weight that is infinite is no zero.
        write(f"{to} = tl.where({live}, {to} + product, {to})")

    def meet(self, steps: str) -> None:
        """Wait until those who share the samples have run so many steps of this launch."""
        with self.writer.block("if MEET"):
            self.writer.line(f"wait_for(counter, ({steps}) * TILES)")
        with self.writer.block("else"):
            self.writer.line("tl.debug_barrier()")  # other threads read what this one wrote

    def leave(self) -> None:
        """Tell them that this one has run a step."""
        with self.writer.block("if MEET"):
            self.writer.line("arrive(counter)")


class _Forward(_Kernel):
    def write(self) -> None:
        write, recurrent = self.writer.line, self.variant.recurrent
        arrays = ["x", "coefficients", "final", before("final"), "output", "kept"]
        arrays += [f"trace{f}" for f in self.variant.traces]
        arrays += ["total", "carried"] * recurrent
        with self.writer.block(self.head("forward", arrays, ["KEEP"])):
            self.place_tile()
            self.load_fields("s", before("final"))
            self.keep_columns()
            with self.writer.block("for t in range(begin, end)"):
                write("at = t * stride")
                with self.writer.block("if KEEP"):
                    # A mask and no branch: Triton moves layout conversions of the state into a
                    # branch, where the rest of the step does not see them, and fails to compile.
                    write(f"place = kept + (t // SEGMENT) * ({self.graph.states} * stride)")
                    write("first = inside & (t % SEGMENT == 0)")
                    for f in self.fields:
                        write(f"tl.store(place + {f} * stride + e, s{f}, mask=first)")
                self.load_step()
                if recurrent:
                    # Spikes before the first step need not be 0 or 1: theirs is given.
                    write("x_t = x_t + tl.load(carried + e, mask=inside & (t == 0), other=0.0)")
                    self.meet("t - begin")
                    spikes, binary = "output + (t - 1) * stride", self.graph.binary
                    self.add_product("x_t", spikes, "t > 0", binary=binary)
                    with self.writer.block("if KEEP"):
                        self.store("total + at", "x_t")
                *after, output = self.evaluate(self.graph.forward)
                self.assign("s", after)
                self.store("output + at", output)
                if recurrent:
                    self.leave()
                for f in self.variant.traces:
                    self.store(f"trace{f} + at", f"s{f}")
            self.store_fields("final", "s")


class _Backward(_Kernel):
    def write(self) -> None:
        write = self.writer.line
        arrays = ["x", "coefficients", "kept", "scratch", "go", "gx"]
        for name in ("state_gradient", "coefficient_gradient"):
            arrays += [name, before(name)]
        arrays += [f"gt{f}" for f in self.variant.traces]
        count = self.graph.coefficients if self.variant.parameters else 0
        with self.writer.block(self.head("backward", arrays, ["WANTS_CURRENT"])):
            self.place_tile()
            self.load_fields("gs", before("state_gradient"))
            gradient = before("coefficient_gradient")
            for i in range(count):
                write(f"gc{i} = {self.load(f'{gradient} + {i} * stride')}")
            self.keep_columns()
            write("last = (end - 1) // SEGMENT")
            with self.writer.block("for passed in range(last - begin // SEGMENT + 1)"):
                write("start = (last - passed) * SEGMENT")
                write("stop = tl.minimum(start + SEGMENT, T)")
                # A launch that starts inside a segment finds it replayed by the one before.
                write("replayed = tl.where(end < stop, 0, stop - start)")
                self.replay()
                write("tl.debug_barrier()")
                write("above = tl.minimum(stop, end)")
                with self.writer.block("for back in range(above - tl.maximum(start, begin))"):
                    self.retreat(count)
                write("tl.debug_barrier()")  # the next segment overwrites this one
            self.store_fields("state_gradient", "gs")
            for i in range(count):
                self.store(f"coefficient_gradient + {i} * stride", f"gc{i}")

    def replay(self) -> None:
        """Run a segment forwards again, keeping the state before every step."""
        write, size = self.writer.line, f"({self.graph.states} * stride)"
        self.load_fields("s", f"kept + (last - passed) * {size}")
        with self.writer.block("for k in range(replayed)"):
            self.store_fields(f"scratch + k * {size}", "s")
            write("at = (start + k) * stride")
            self.load_step()
            self.assign("s", self.evaluate(self.graph.forward[:-1]))

    def retreat(self, count: int) -> None:
        """One step backwards, with gradients of ``count`` coefficients."""
        write, graph = self.writer.line, self.graph
        write("t = above - 1 - back")
        write("at = t * stride")
        self.load_fields("s", f"scratch + (t - start) * ({graph.states} * stride)")
        self.load_step()
        write(f"go_t = {self.load('go + at')}")
        if self.variant.recurrent:
            self.meet("end - 1 - t")
            self.add_product("gs0", "gx + (t + 1) * stride", "t + 1 < T", binary=False)
        for f in self.variant.traces:
            write(f"gs{f} = gs{f} + {self.load(f'gt{f} + at')}")
        results = self.evaluate(graph.backward[:count] + graph.backward[graph.coefficients :])
        for i, value in enumerate(results[:count]):
            write(f"gc{i} = gc{i} + {value}")
        self.assign("gs", results[count:-1])
        with self.writer.block("if WANTS_CURRENT"):
            self.store("gx + at", results[-1])
        if self.variant.recurrent:
            self.leave()
