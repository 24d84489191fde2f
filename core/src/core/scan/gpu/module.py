"""Generated modules, in memory."""

from __future__ import annotations

import hashlib
import linecache
from types import ModuleType

from core.once import once

#: What every module begins with.
IMPORTS = "import triton\nimport triton.language as tl\n"


@once
def imported(text: str) -> ModuleType:
    """The module with the source ``text``.

    Triton asks Python for the source of a kernel, which is kept where Python looks for that of any
    module without a file. What Triton compiles it keeps in a cache of its own.
    """
    name = f"gpu_{hashlib.sha256(text.encode()).hexdigest()[:32]}"
    file = f"<{name}>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    module = ModuleType(name)
    module.__file__ = file
    exec(compile(text, file, "exec"), module.__dict__)
    return module
