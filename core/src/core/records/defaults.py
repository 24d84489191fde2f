"""What the settings of a paper are where neither a file nor a record says."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.config_fields import config_fields, to_plain
from core.errors import UserError
from core.outside.text import reason


@functools.cache
def default_settings(paper_folder: Path, task: str) -> Mapping[str, Any]:
    """Default of every setting of a task by key, in types that JSON knows.

    They stand in ``CONFIGS`` of the paper's ``src/<paper>/config.py``, by task; a folder without
    that file has none.

    Args:
        paper_folder: Folder of the paper, ``papers/<paper>``.
        task: Name of the task.

    Raises:
        UserError: The file cannot be imported, or has no such ``CONFIGS``.
    """
    sources = paper_folder.resolve() / "src"
    file = sources / paper_folder.name / "config.py"
    if not file.is_file():
        return {}
    if str(sources) not in sys.path:  # not installed here
        sys.path.append(str(sources))
    try:
        config_class = importlib.import_module(f"{paper_folder.name}.config").CONFIGS.get(task)
        fields = config_fields(config_class).values() if config_class else ()
        return {field.key: to_plain(field.default, field.kind) for field in fields}
    except Exception as error:  # whatever a module that somebody is writing makes of it
        raise UserError(
            f"{file} does not say the settings of {task} ({type(error).__name__}: "
            f"{reason(error)}); it has to define CONFIGS, a dictionary from the name of each task "
            "to the class of its settings"
        ) from error
