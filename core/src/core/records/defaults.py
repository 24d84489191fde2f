"""What the settings of a paper are where neither a file nor a record says."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.config_fields import config_fields, to_plain


@functools.cache
def default_settings(paper_folder: Path, task: str) -> Mapping[str, Any]:
    """Default of every setting of a task by key, in types that JSON knows.

    They stand in ``CONFIGS`` of the paper's ``src/<paper>/config.py``, by task; a folder without
    that file has none.

    Args:
        paper_folder: Folder of the paper, ``papers/<paper>``.
        task: Name of the task.
    """
    sources = paper_folder.resolve() / "src"
    if not (sources / paper_folder.name / "config.py").is_file():
        return {}
    if str(sources) not in sys.path:  # not installed here
        sys.path.append(str(sources))
    settings = importlib.import_module(f"{paper_folder.name}.config")
    config_class = settings.CONFIGS.get(task)
    if config_class is None:
        return {}
    fields = config_fields(config_class).values()
    return {field.key: to_plain(field.default, field.kind) for field in fields}
