"""What the commands of ``core`` share."""

from __future__ import annotations

import argparse
from collections.abc import Callable

Command = Callable[[str, Callable[[argparse.Namespace], None]], argparse.ArgumentParser]
"""Name of a command and what runs it, whose docstring is its help, to the parser of its flags."""

TRIAL = "record even what is on embedded data or not as a file in configs/ says"
