"""What tells a run as its configuration says from a trial of something else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.data.registry import is_embedded
from core.errors import UserError
from core.outside.shape import check, inside
from core.outside.text import read_yaml, shown
from core.records.defaults import default_settings
from core.records.runs import PLACE_KEYS

# Settings that say where, how often and how a run is done and told, not what is computed, and which
# data set it was meant for: the record itself names the one it used.
_FREE_KEYS = {
    *("seed", "device", "backend", "threads", "data", "evaluations", "log_tofile", "save_best"),
    *PLACE_KEYS,
}
PROTOCOL = {"protocol"}
"""What tables and figures tell apart by themselves: a recipe whose epoch is selected otherwise."""


def changes(line: Mapping[str, Any], paper_folder: Path) -> list[str]:
    """Settings in which the run differs from its configuration file as it is today.

    What either leaves out has its default: a setting that came later than the run was that then.
    """
    if line["config_file"] is None:
        return []
    path = inside(paper_folder, line["config_file"])
    if not path.is_file():
        return [f"{line['config_file']} (gone)"]
    written = check(read_yaml(path) or {}, {str: object}, str(path))
    defaults = default_settings(paper_folder, line["task"])
    today, then = {**defaults, **written}, {**defaults, **line["config"]}
    # what no default is known of and only the file has cannot be compared
    return sorted(
        key
        for key, value in then.items()
        if key not in _FREE_KEYS and not (key in today and _equal(today[key], value))
    )


def _equal(written: Any, used: Any) -> bool:
    if written == used:
        return True
    try:  # YAML reads 1e-3 as text
        return float(written) == float(used)
    except (TypeError, ValueError):
        return False


def refuse_trial(line: Mapping[str, Any], paper_folder: Path) -> None:
    """Keep out of the results what no configuration of the paper stands for.

    A trial is a run on embedded data, from no file in ``configs/``, or with settings changed from
    those in its file. Seed, places and protocol may always differ.

    Args:
        line: Of the run, as it would be recorded.
        paper_folder: Folder of the paper, ``papers/<paper>``.

    Raises:
        UserError: It is a trial; says why, and which flag records it all the same.
    """
    refuse_trial_data(line)
    if line["config_file"] is None:
        raise _trial(f"{line['id']} started from no file in configs/")
    if changed := [key for key in changes(line, paper_folder) if key not in PROTOCOL]:
        more = f" and {len(changed) - 5} more" if len(changed) > 5 else ""
        names = ", ".join(
            key if key.isprintable() and len(key) < 80 else shown(key) for key in changed[:5]
        )
        raise _trial(f"{line['id']} differs from {line['config_file']} in {names}{more}")


def refuse_trial_data(line: Mapping[str, Any]) -> None:
    """The same for evaluations, which have no configuration: refuse those on embedded data.

    Raises:
        UserError: They are; says which flag records it all the same.
    """
    if on_embedded_data(line):
        name = line["data"]["name"]
        raise _trial(f"{line.get('id', 'this evaluation')} is on embedded data ({name})")


def on_embedded_data(line: Mapping[str, Any]) -> bool:
    """Whether a run or an evaluation is on data that come with the code."""
    return line.get("config", {}).get("data") == "embedded" or is_embedded(line["data"]["name"])


def _trial(what: str) -> UserError:
    return UserError(
        f"{what}, so it is a trial and does not belong in results/; add --trial to record it "
        "all the same"
    )
