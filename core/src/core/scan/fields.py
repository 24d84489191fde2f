"""Which fields of a state a name means."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


def to_record(record: Sequence[str] | None, fields: Iterable[str], owner: str) -> tuple[str, ...]:
    """The names in ``record``, each once.

    Args:
        record: Names.
        fields: What there is.
        owner: Has them, for the message.

    Raises:
        ValueError: A name that is none of them, or something else than a sequence of names.
    """
    there = tuple(fields)
    names = () if record is None else record
    if isinstance(names, str) or not isinstance(names, Iterable):
        example = names if isinstance(names, str) else "potential"
        raise ValueError(f"record is a sequence of names, such as record=({example!r},)")
    names = tuple(names)
    for name in names:
        if name not in there:
            raise ValueError(f"nothing to record is called {name!r}: {known(name, there, owner)}")
    return tuple(dict.fromkeys(names))


def known(name: str, fields: Sequence[str], owner: str) -> str:
    """What ``owner`` has instead of ``name``, and the nearest of it."""
    near = difflib.get_close_matches(str(name).lower(), fields, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{owner} has {', '.join(fields) or 'no fields'}{hint}"
