"""What holds for the tests of the whole house.

Importing ``core`` here lets pytest tell the package from the folder ``core/`` that its tests live
in. In importlib mode pytest names ``core/tests/test_x.py`` ``core.tests.test_x`` and would make the
folder the module ``core``, unless the package has that name already.
"""

import os
import sys
from collections.abc import Iterator

import pytest

import core  # noqa: F401

# Processes that tests start see what a user's would: with these, which build machines set, a script
# tells what it does in another order.
for name in ("PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"):
    os.environ.pop(name, None)


@pytest.fixture(autouse=True)
def _usual_arithmetic() -> Iterator[None]:
    """Undo what a training sets for its process: Hypothesis refuses to draw floats after it."""
    yield
    if torch := sys.modules.get("torch"):
        torch.set_flush_denormal(False)
        torch.set_deterministic_debug_mode("default")
