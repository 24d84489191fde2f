"""Lets pytest tell the package ``core`` from the folder ``core/`` that its tests live in.

In importlib mode pytest names ``core/tests/test_x.py`` ``core.tests.test_x`` and would make the
folder the module ``core``, unless the package has that name already.
"""

import core  # noqa: F401
