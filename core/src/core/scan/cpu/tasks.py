"""How the threads of a kernel share its tasks, and the floating-point mode they do it in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from llvmlite import ir

from core.scan.cpu.code import I32, I64, Code, Value

#: Slots that :func:`each_task` reads. ``counters`` are the next task and the next seat: every
#: thread has a seat, and by it its own part of scratch memory.
SLOTS = ("counters", "tasks", "control")


@contextmanager
def each_task(code: Code) -> Iterator[tuple[Value, Value]]:
    """Code of one task, repeated until none is left: the task's number, and the thread's seat.

    Denormal numbers are treated as in the thread that calls, and the mode of each thread is put
    back at the end.
    """
    b = code.builder
    before = code.variable(I32(0))
    if code.machine.x86:
        _control(code, "st", before)
        _control(code, "ld", code.slot_address("control"))
    seat = b.atomic_rmw("add", code.at(code.array("counters"), 1, kind=I64), I64(1), "monotonic")
    with code.endless() as leave_if:
        task = b.atomic_rmw("add", code.array("counters"), I64(1), "monotonic")
        leave_if(b.icmp_signed(">=", task, code.slot("tasks")))
        yield task, seat
    # Streamed stores reach memory before the caller goes on.
    b.fence("seq_cst")
    if code.machine.x86:
        _control(code, "ld", before)


def _control(code: Code, direction: str, place: Value) -> None:
    """Load or store x86's control register of floating-point arithmetic."""
    kind = ir.FunctionType(ir.VoidType(), [ir.PointerType()])
    function = code.declare(f"llvm.x86.sse.{direction}mxcsr", kind)
    code.builder.call(function, [place])
