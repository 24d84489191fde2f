"""Generated modules: written to the kernel cache and imported from there."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from types import ModuleType

from core.errors import UserError
from core.files import write_text_atomically
from core.once import once
from core.scan.cpu.machine import cache_folder


def imported(text: str) -> ModuleType:
    """The module with the source ``text``.

    Triton reads the source of a kernel from the file it was defined in, so there is one, named
    after its content. What Triton compiles it keeps in a cache of its own.

    Raises:
        UserError: The folder is not writable.
    """
    name = f"gpu_{hashlib.sha256(text.encode()).hexdigest()[:32]}"
    return _imported(cache_folder() / f"{name}.py", text)


@once
def _imported(path: Path, text: str) -> ModuleType:
    if not _holds(path, text):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text_atomically(path, text)
        except OSError as error:
            if not _holds(path, text):  # another process may have been faster
                raise UserError(
                    f"cannot write the GPU kernel {path} ({error.strerror or error}); set "
                    "XDG_CACHE_HOME to a writable folder, or use backend=reference"
                ) from error
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"Python cannot import {path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _holds(path: Path, text: str) -> bool:
    try:
        return path.read_bytes() == text.encode()
    except OSError:
        return False
