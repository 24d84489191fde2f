"""What is made on first use: once, by one thread while the others wait, and never during a fork.

LLVM's compiler and the loading of libraries are no business of two threads at once, and a process
that forks while a thread of it compiles leaves its child a half-made compiler and a lock that
nobody opens. So there is one lock for everything that is compiled or loaded lazily.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import update_wrapper
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")

#: Reentrant: what is made needs other things that are made on first use.
LOCK = threading.RLock()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=LOCK.acquire, after_in_parent=LOCK.release, after_in_child=LOCK.release
    )


class once(Generic[Result]):
    """:func:`functools.cache`, but ``make`` runs once per arguments in whichever threads.

    What raises is tried again.
    """

    def __init__(self, make: Callable[..., Result]) -> None:
        self._make = make
        self._made: dict[tuple[Any, ...], Result] = {}
        update_wrapper(self, make)

    def __call__(self, *arguments: Any) -> Result:
        """What was made for these arguments."""
        try:
            return self._made[arguments]
        except KeyError:
            pass
        with LOCK:
            if arguments not in self._made:
                self._made[arguments] = self._make(*arguments)
            return self._made[arguments]

    def cache_clear(self) -> None:
        """Forget everything."""
        self._made.clear()
