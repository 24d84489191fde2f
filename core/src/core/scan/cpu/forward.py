"""The forward kernel: all steps, and now and then the state is kept."""

from __future__ import annotations

from core.scan.cpu.code import I64, Value
from core.scan.cpu.kernel import CpuVariant, Kernel, forward_slots
from core.scan.cpu.machine import Machine


def forward_text(variant: CpuVariant, machine: Machine) -> str:
    """LLVM code of the forward kernel, called ``forward``."""
    return _Forward("forward", forward_slots(variant), variant, machine).text()


class _Forward(Kernel):
    keeps_all = True

    def text(self) -> str:
        code = self.code
        self.winners = self.graph.winners(self.graph.forward)
        with self.tasks():
            coupled, padded = self.variant.coupled, code.slot("padded")
            total = {
                k: code.at(self.scratch, code.product(place, padded))
                for place, k in enumerate(coupled)
            }
            base = code.at(self.scratch, code.product(len(coupled), padded))
            states = code.product(code.slot("rows"), self.states, code.slot("padded"))
            self.sent = code.at(base, states)
            self.count = code.variable(I64(0))
            with code.loop(0, self.rows) as r:
                for f, row in enumerate(self.state(base, r)):
                    if f in self.variant.read:
                        source = self.field(f"state{f}", r)
                        code.copy_row(source, row, self.width, masked_source=True)
            with code.loop(0, code.slot("segments")) as segment:
                self.keep(base, segment)
                start = code.product(segment, code.slot("segment"))
                stop = code.smaller(code.sum(start, code.slot("segment")), code.slot("T"))
                with code.loop(start, stop) as t:
                    self.send(self.state(base, I64(0)))
                    with code.loop(0, self.rows) as r:
                        state = self.state(base, r)
                        self.advance(t, r, state, state, total, self.written(t, r))
            with code.loop(0, self.rows) as r:
                for f, row in enumerate(self.state(base, r)):
                    target, stream = self.stacked(f"final{f}", 0, r), self.variant.stream
                    code.copy_row(row, target, self.width, masked_source=False, stream=stream)
            if self.variant.recurrent:
                place = code.at(code.array("spikes"), self.task, kind=I64)
                code.builder.store(code.read(self.count), place)
        return code.finish()

    def state(self, base: Value, r: Value) -> list[Value]:
        code = self.code
        start = code.product(r, self.states, code.slot("padded"))
        return [
            code.at(base, start, code.product(f, code.slot("padded"))) for f in range(self.states)
        ]

    def keep(self, base: Value, segment: Value) -> None:
        code = self.code
        wanted = code.builder.icmp_signed("!=", code.slot("kept"), I64(0))
        later = code.builder.icmp_signed("!=", segment, I64(0))
        with code.when(code.builder.and_(wanted, later)), code.loop(0, self.rows) as r:
            for f, row in enumerate(self.state(base, r)):
                code.copy_row(row, self.kept(segment, f, r), self.width, masked_source=False)

    def written(self, t: Value, r: Value) -> dict[int, Value]:
        traces = {f: self.stacked(f"trace{f}", t, r) for f in self.variant.traces}
        return {-1: self.stacked("output", t, r), **traces}

    def counted(self, count: Value) -> None:
        known = self.code.read(self.count)
        self.code.builder.store(self.code.sum(known, count), self.count)
