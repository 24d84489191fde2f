"""The two kernels of a neuron, as the source text of a Python module.

Samples do not touch each other, and without recurrence neither do neurons, so a program of the
grid runs its tile over all time steps with the state in registers and waits for nobody: a tile is
``[BLOCK]`` elements of samples x neurons or, with recurrence, ``[ROWS, COLUMNS]``, a few samples
and all their neurons. No result depends on the order in which programs run.

The forward kernel keeps the state before every ``SEGMENT``-th step, and with recurrence the total
current of every step. The backward kernel goes through the segments from the last to the first: it
runs a segment forwards again from the kept state, into memory that only holds one segment, and
then backwards. That writes and reads a state in the cache instead of the device's memory, needs a
``SEGMENT``-th of the memory, and no dense product, as the total current is known. The dense
products of both directions read their left side, the spikes or the gradient of the current just
written, from memory: values in registers cannot be cut along the inner dimension.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.scan.gpu.writer import Writer, operations
from core.scan.graph import Variant

_MULTIPLY = '''
@triton.jit
def multiply(source, matrix, row, column, B, N,
             ROWS: tl.constexpr, COLUMNS: tl.constexpr, INNER: tl.constexpr):
    """Rows of ``source`` ``[B, N]`` times ``matrix`` ``[N, N]``."""
    total = tl.zeros([ROWS, COLUMNS], source.dtype.element_ty)
    for first in range(0, N, INNER):
        inner = first + tl.arange(0, INNER)
        across, down = inner[None, :], inner[:, None]
        left = tl.load(source + row * N + across, mask=(row < B) & (across < N), other=0.0)
        right = tl.load(matrix + down * N + column, mask=(down < N) & (column < N), other=0.0)
        total = tl.dot(left, right, total, input_precision="ieee", out_dtype=total.dtype)
    return total
'''


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


def module_text(variant: GpuVariant) -> str:
    """A module with the kernels ``forward`` and ``backward``.

    All arrays are contiguous: sequences ``[T, B, N]``, states ``[states, B, N]``, coefficients
    ``[coefficients, N]``, their gradients ``[coefficients, B, N]``, kept states
    ``[segments, states, B, N]``. ``matrix`` is what spikes (gradients) are multiplied with from
    the right.
    """
    writer = Writer()
    writer.line('"""Generated from the step of a neuron; see core.scan.gpu."""')
    writer.line("import triton")
    writer.line("import triton.language as tl")
    if variant.recurrent:
        writer.line(_MULTIPLY)
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
        arrays = [*arrays, *["mask"] * self.graph.masked, *["matrix"] * self.variant.recurrent]
        sizes = ["ROWS", "COLUMNS", "INNER"] if self.variant.recurrent else ["BLOCK"]
        fixed = [f"{constant}: tl.constexpr" for constant in [*constants, "SEGMENT", *sizes]]
        self.writer.line("")
        self.writer.line("@triton.jit")
        return f"def {name}({', '.join([*arrays, 'T', 'B', 'N', *fixed])})"

    def place_tile(self) -> None:
        """Where the tile lies (``e`` in ``[B, N]``, ``n`` in ``[N]``), and its coefficients."""
        write = self.writer.line
        write("stride = tl.cast(B, tl.int64) * N")
        write("program = tl.program_id(0).to(tl.int64)")
        if self.variant.recurrent:
            write("row = program * ROWS + tl.arange(0, ROWS)[:, None]")
            write("n = tl.arange(0, COLUMNS)[None, :]")
            write("e = row * N + n")
            write("inside = (row < B) & (n < N)")
        else:
            write("e = program * BLOCK + tl.arange(0, BLOCK)")
            write("n = e % N")
            write("inside = e < stride")
        for i in range(self.graph.coefficients):
            read = f"tl.load(coefficients + {i} * N + n, mask=n < N, other=0.0)"
            write(f"c{i} = tl.broadcast_to({read}, {self.tile})")

    def load(self, address: str) -> str:
        """An expression that reads a tile."""
        return f"tl.load({address}, mask=inside, other=0.0)"

    def store(self, address: str, value: str) -> None:
        """Write a tile."""
        self.writer.line(f"tl.store({address}, {value}, mask=inside)")

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

    def product(self, source: str) -> str:
        """An expression: rows of ``[B, N]`` at ``source`` times the matrix."""
        return f"multiply({source}, matrix, row, n, B, N, ROWS, COLUMNS, INNER)"


class _Forward(_Kernel):
    def write(self) -> None:
        write, recurrent = self.writer.line, self.variant.recurrent
        arrays = ["x", "coefficients", "state", "final", "output", "kept"]
        arrays += [f"trace{f}" for f in self.variant.traces]
        with self.writer.block(self.head("forward", [*arrays, *["total"] * recurrent], ["KEEP"])):
            self.place_tile()
            self.load_fields("s", "state + e")
            if recurrent:
                write("spikes = state")  # [B, N]: the spike is the first field
            with self.writer.block("for t in range(T)"):
                write("at = t * stride + e")
                with self.writer.block("if KEEP"):
                    # A mask and no branch: Triton moves layout conversions of the state into a
                    # branch, where the rest of the step does not see them, and fails to compile.
                    write(f"place = kept + (t // SEGMENT) * ({self.graph.states} * stride) + e")
                    write("first = inside & (t % SEGMENT == 0)")
                    for f in self.fields:
                        write(f"tl.store(place + {f} * stride, s{f}, mask=first)")
                self.load_step()
                if recurrent:
                    write(f"x_t = x_t + {self.product('spikes')}")
                    with self.writer.block("if KEEP"):
                        self.store("total + at", "x_t")
                *after, output = self.evaluate(self.graph.forward)
                self.assign("s", after)
                self.store("output + at", output)
                for f in self.variant.traces:
                    self.store(f"trace{f} + at", f"s{f}")
                if recurrent:
                    write("spikes = output + t * stride")
                    write("tl.debug_barrier()")  # other threads read what this one wrote
            self.store_fields("final + e", "s")


class _Backward(_Kernel):
    def write(self) -> None:
        write = self.writer.line
        arrays = ["x", "coefficients", "kept", "scratch", "go", "final_gradient", "gx"]
        arrays += ["state_gradient", "coefficient_gradient"]
        arrays += [f"gt{f}" for f in self.variant.traces]
        count = self.graph.coefficients if self.variant.parameters else 0
        with self.writer.block(self.head("backward", arrays, ["WANTS_CURRENT"])):
            self.place_tile()
            self.load_fields("gs", "final_gradient + e")
            for i in range(count):
                write(f"gc{i} = tl.zeros({self.tile}, c{i}.dtype)")
            write("segments = tl.cdiv(T, SEGMENT)")
            with self.writer.block("for passed in range(segments)"):
                write("segment = segments - 1 - passed")
                write("start = segment * SEGMENT")
                write("length = tl.minimum(SEGMENT, T - start)")
                self.replay()
                write("tl.debug_barrier()")
                with self.writer.block("for back in range(length)"):
                    self.retreat(count)
                write("tl.debug_barrier()")  # the next segment overwrites this one
            self.store_fields("state_gradient + e", "gs")
            for i in range(count):
                self.store(f"coefficient_gradient + {i} * stride + e", f"gc{i}")

    def replay(self) -> None:
        """Run a segment forwards again, keeping the state before every step."""
        write, size = self.writer.line, f"({self.graph.states} * stride)"
        self.load_fields("s", f"kept + segment * {size} + e")
        with self.writer.block("for k in range(length)"):
            self.store_fields(f"scratch + k * {size} + e", "s")
            write("at = (start + k) * stride + e")
            self.load_step()
            self.assign("s", self.evaluate(self.graph.forward[:-1]))

    def retreat(self, count: int) -> None:
        """One step backwards, with gradients of ``count`` coefficients."""
        write, graph = self.writer.line, self.graph
        write("k = length - 1 - back")
        write("at = (start + k) * stride + e")
        self.load_fields("s", f"scratch + k * ({graph.states} * stride) + e")
        self.load_step()
        write(f"go_t = {self.load('go + at')}")
        for f in self.variant.traces:
            write(f"gs{f} = gs{f} + {self.load(f'gt{f} + at')}")
        results = self.evaluate(graph.backward[:count] + graph.backward[graph.coefficients :])
        for i, value in enumerate(results[:count]):
            write(f"gc{i} = gc{i} + {value}")
        self.assign("gs", results[count:-1])
        with self.writer.block("if WANTS_CURRENT"):
            self.store("gx + at", results[-1])
        if self.variant.recurrent:
            write("tl.debug_barrier()")  # other threads read what this one wrote
            write(f"gs0 = gs0 + {self.product('gx + (start + k) * stride')}")
