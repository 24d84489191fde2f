"""What the processor can do, and machine code for it: compiled once, kept on disk."""

from __future__ import annotations

import ctypes
import hashlib
import itertools
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import llvmlite
import llvmlite.binding as llvm

from core.once import LOCK, once
from core.scan.cpu import cache

logger = logging.getLogger("core.scan")
Function = Callable[[Any], None]


@dataclass(frozen=True)
class Machine:
    """A processor.

    Attributes:
        name: As LLVM calls it.
        features: As LLVM's code generator takes them.
        vector_bytes: Width of its vectors.
        registers: How many vectors it holds at once.
        fma: Whether it multiplies and adds in one instruction.
        x86: Whether its control register for denormal numbers is that of x86.
    """

    name: str
    features: str
    vector_bytes: int
    registers: int
    fma: bool
    x86: bool


def _triple() -> str:
    return str(llvm.get_process_triple())


@once
def this_machine() -> Machine:
    """The processor we run on."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    try:
        features = llvm.get_host_cpu_features()
    except RuntimeError:  # a processor that LLVM does not know: what all of its kind can do
        features = llvm.FeatureMap()
    wide = features.get("avx512f", False) and features.get("avx512vl", False)
    x86 = _triple().startswith(("x86_64", "i686"))
    if wide:
        # Our vectors are explicit; by default LLVM splits them on processors whose clock once
        # suffered from wide ones.
        features["prefer-256-bit"] = False
    return Machine(
        name=llvm.get_host_cpu_name(),
        features=features.flatten(),
        vector_bytes=64 if wide else 32 if features.get("avx2", False) else 16,
        registers=32 if wide or not x86 else 16,
        fma=not x86 or bool(features.get("fma", False)),
        x86=x86,
    )


class _Compiler:
    """LLVM's just-in-time compiler, one per process."""

    def __init__(self) -> None:
        machine = this_machine()
        target = llvm.Target.from_default_triple()
        self.target = target.create_target_machine(
            cpu=machine.name, features=machine.features, opt=3, reloc="default", jit=True
        )
        self.jit = llvm.create_lljit_compiler(self.target)
        self.numbers = itertools.count()
        self.kept: list[Any] = []  # a tracker frees its code when it is collected

    def compile(self, text: str) -> bytes:
        """Optimised machine code for a module, as an object file."""
        module = llvm.parse_assembly(text)
        module.verify()
        options = llvm.create_pipeline_tuning_options(speed_level=3)
        # Loops are vectorised by hand already; doing it again only costs compile time.
        options.loop_vectorization = options.slp_vectorization = False
        options.loop_unrolling = False
        passes = llvm.create_pass_builder(self.target, options)
        passes.getModulePassManager().run(module, passes)
        return bytes(self.target.emit_object(module))

    def load(self, name: str, image: bytes) -> Function:
        """The function ``name`` of an object file."""
        library = f"{name}_{next(self.numbers)}"
        tracker = llvm.JITLibraryBuilder().add_object_img(image).export_symbol(name)
        loaded = tracker.add_current_process().link(self.jit, library)
        self.kept.append(loaded)
        return ctypes.CFUNCTYPE(None, ctypes.c_void_p)(loaded[name])


@once
def compiler() -> _Compiler:
    """The compiler of this process; raises RuntimeError where LLVM knows no such machine."""
    return _Compiler()


def function(name: str, text: str, what: str) -> Function:
    """The function ``name`` of the module ``text``, from the cache or freshly compiled.

    Says in one line how long that took: as a warning when it compiled (a user waits for it), for
    debugging alone when it loaded.
    """
    machine = this_machine()
    key = "\n".join((llvmlite.__version__, _triple(), machine.name, machine.features, text))
    file = f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:32]}.o"
    started = time.perf_counter()
    with LOCK:
        if (image := cache.read(file)) is not None:
            # What cannot be loaded although it is what was kept is made anew.
            with suppress(RuntimeError):
                loaded = compiler().load(name, image)
                logger.debug("%s: loaded from the cache in %.2f s", what, _since(started))
                return loaded
        image = compiler().compile(text)
        loaded = compiler().load(name, image)
    taken, refused = _since(started), cache.keep(file, image)
    logger.warning("%s: compiled in %.2f s%s", what, taken, ", not kept" if refused else "")
    if refused:
        _say_once(f"kernels are not kept: {refused}")
    return loaded


@once
def _say_once(message: str) -> None:
    logger.warning("%s", message)


def _since(started: float) -> float:
    return time.perf_counter() - started


@once
def _control_reader() -> Function | None:
    if not this_machine().x86:
        return None
    text = """
declare void @llvm.x86.sse.stmxcsr(ptr)
define void @read_control(ptr %place) {
  call void @llvm.x86.sse.stmxcsr(ptr %place)
  ret void
}
"""
    image = compiler().compile(text)
    return compiler().load("read_control", image)


def denormals() -> int:
    """How this thread treats denormal numbers: its control register; 0 where that is not x86's."""
    place = ctypes.c_uint32(0)
    reader = _control_reader()
    if reader is not None:
        reader(ctypes.byref(place))
    return place.value
