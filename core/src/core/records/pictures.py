"""The figures of a paper, and the page that shows them.

``core figures PAPER`` draws what every paper has from its records: a dot per claim
(``results/figures/claims.png``) and the convergence on every task. A paper's ``figures.py`` draws
what only it has, through :func:`draw_figures`. All stand in ``results/figures.md`` with their
captions; a figure that cannot be drawn again (its data are not here) stays as it is.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from core.files import write_text_atomically
from core.outside.text import read_text
from core.records.changes import PROTOCOL
from core.records.claims import Claim, load_claims, load_titles
from core.records.store import Record, load_records
from core.records.verdicts import Row, table

PAGE = "figures.md"
_ENTRY = re.compile(r"!\[[^\]]*\]\(figures/([\w.-]+)\)\n\n\*(.+?)\*(?:\n|$)")
_COLORS = {
    "reproduced": "#009E73",
    "consistent": "#56B4E9",
    "lower": "#D55E00",
    "higher": "#E69F00",
    "too few runs": "#CC79A7",
    "other data": "#0072B2",
}


class Drawn(NamedTuple):
    """A figure and what to say below it."""

    path: Path
    caption: str


def figures_main(paper: Path, draw: Callable[[Callable[[str], None]], Iterable[Drawn]]) -> None:
    """What a paper's ``figures.py`` does: draw, print the names, bring the page up to date.

    Args:
        paper: Folder of the paper.
        draw: Draws the figures; is given a function that tells what could not be drawn, and why.
    """
    argparse.ArgumentParser(
        description=f"Draw the figures that only this paper has; `core figures {paper.name}` "
        "draws all."
    ).parse_args()
    show_figures(paper, draw(print))


def show_figures(paper: Path, drawn: Iterable[Drawn]) -> None:
    """Print the names of figures as they are drawn, and put them into ``results/figures.md``."""
    page = paper / "results" / PAGE
    entries = dict(_ENTRY.findall(read_text(page))) if page.is_file() else {}
    entries = {name: caption for name, caption in entries.items() if _file(paper, name).is_file()}
    for path, caption in drawn:
        print(path)
        entries[path.name] = caption
    if entries:
        blocks = [
            f"![{caption.partition(':')[0]}](figures/{name})\n\n*{caption}*"
            for name, caption in sorted(entries.items())
        ]
        head = f"# Figures of [{paper.name}](../README.md)\n\nDrawn by `core figures {paper.name}`."
        write_text_atomically(page, "\n\n".join([head, *blocks]) + "\n")


def draw_shared(paper: Path) -> Iterable[Drawn]:
    """Figures that every paper has: a dot per claim, and convergence on every task."""
    file, folder = paper / "claims.yaml", paper / "results" / "figures"
    claims, records = load_claims(file), load_records(paper)
    yield draw_claims([paper], folder / "claims.png")
    yield from draw_convergence(claims, records, folder, load_titles(file))


def draw_claims(papers: Sequence[Path], path: Path) -> Drawn:
    """One dot per claim: how far ours is from the published value, coloured by verdict.

    The unit is the published standard deviation; where none is known, the margin that the claim
    declared (diamonds). Equal exact numbers stand at 0 and unequal ones at the edge.
    """
    from core.plots import Dot, Lane, dot_plot  # matplotlib takes a second to import

    lanes = []
    for paper in papers:
        rows = table(load_claims(paper / "claims.yaml"), load_records(paper))
        for source in dict.fromkeys(row.claim.source for row in rows):
            these = [row for row in rows if row.claim.source == source]
            name = source if len(papers) == 1 else f"{paper.name}: {source}"
            dots = [Dot(row.verdict, _distance(row), not row.claim.spread) for row in these]
            lanes.append(Lane(_shortened(name), dots))
    about = papers[0].name if len(papers) == 1 else "all papers"
    dot_plot(lanes, path, colors=_COLORS, title=f"Claims of {about}: one dot each")
    return Drawn(
        path,
        "Every published number, one dot each: ours minus published, in published standard "
        "deviations (round) or, where none is known, in the margins declared before the runs "
        "(diamonds); dots at one place stand side by side, and triangles are further away than the "
        "axis shows. Grey: not run; the right column holds what has no distance.",
    )


def _distance(row: Row) -> float | None:
    difference = row.difference
    if difference is None and row.ours_mean is not None and row.verdict == "other data":
        difference = row.ours_mean - row.claim.value
    if difference is None:
        return None
    if unit := row.claim.spread or row.claim.tolerance:
        return difference / unit
    return 0.0 if difference == 0 else difference * float("inf")


def _shortened(name: str, width: int = 44) -> str:
    return name if len(name) <= width else name[: width - 1] + "…"


def draw_convergence(
    claims: Sequence[Claim],
    records: Sequence[Record],
    folder: Path,
    titles: Mapping[str, str] | None = None,
) -> Iterable[Drawn]:
    """Test accuracy per epoch of all unchanged runs: one figure per task, data and protocol.

    Args:
        claims: A network is called as its claim calls it.
        records: Of the paper.
        folder: Of the pictures.
        titles: Names of networks without a claim, by configuration.
    """
    from core.plots import convergence

    tasks = {claim.task.name: claim.task.title for claim in claims}

    about: dict[str, Claim] = {}
    for claim in sorted(claims, key=lambda claim: not claim.main):
        if claim.config and claim.metric == "test_accuracy":
            about.setdefault(claim.config, claim)
    order = list(about)
    # what repeats a measured epoch or two has no convergence to show
    repeats = {claim.config for claim in claims if claim.config and claim.kind == "exact"}
    repeats -= {claim.config for claim in claims if claim.kind != "exact"}
    shown = [run for run in records if run.fields.get("config_file") not in repeats]
    for name, groups in _by_place(shown).items():
        configs = sorted(groups, key=lambda c: (order.index(c) if c in order else len(order), c))
        label = _labels({c: about[c].model for c in configs if c in about}, configs, titles or {})
        longest = max(len(run.curve) for runs in groups.values() for run in runs)
        known = [c for c in configs if c in about]
        first = groups[configs[0]][0].fields
        data = str(first["data"]["name"])
        elsewhere = {about[c].task.title for c in known if about[c].task.data != data}
        where = f", on {', '.join(sorted(elsewhere))} itself" if elsewhere else ""
        protocol = str(first.get("config", {}).get("protocol") or "")
        path = convergence(
            {label[c]: [run.curve for run in groups[c]] for c in configs},
            folder / f"convergence_{name}.png",
            title=f"{tasks.get(first['task'], first['task'])} on {data}"
            + (f", protocol {protocol}" if protocol else ""),
            # as far as our runs are: an unfinished one is looked at beside its equals
            published={
                label[c]: {e: a for e, a in about[c].published_curve.items() if e < longest}
                for c in known
                if about[c].published_curve
            },
            goals={label[c]: about[c].value for c in known},
            goals_label=f"published value{where}",
            selected={label[c]: _selected(groups[c]) for c in configs},
            bottom=_bottom(groups.values()),
        )
        yield Drawn(path, _caption(data, protocol, groups))


def _labels(
    models: Mapping[str, str], configs: Sequence[str], titles: Mapping[str, str]
) -> dict[str, str]:
    """A name for each configuration; the file tells apart what would be called the same."""
    names = {config: models.get(config) or titles.get(config, "") for config in configs}
    many = {name for name, count in Counter(names.values()).items() if name and count > 1}
    stems = {config: Path(config).stem for config in configs}
    return {
        config: f"{name} ({stems[config]})" if name in many else name or stems[config]
        for config, name in names.items()
    }


def _by_place(records: Sequence[Record]) -> dict[str, dict[str, list[Record]]]:
    """Runs of unchanged recipes by task, data and protocol, and there by configuration."""
    places: dict[str, dict[str, list[Record]]] = {}
    for run in records:
        if run.kind != "train" or not run.curve or set(run.changes) - PROTOCOL:
            continue
        protocol = str(run.fields.get("config", {}).get("protocol") or "")
        parts = filter(None, [str(run.fields["task"]), str(run.fields["data"]["name"]), protocol])
        name = re.sub(r"[^\w.-]+", "-", "_".join(dict.fromkeys(parts)))
        groups = places.setdefault(name, {})
        groups.setdefault(str(run.fields["config_file"]), []).append(run)
    return places


def _selected(runs: Sequence[Record]) -> list[int]:
    return [int(run.fields["best"]["epoch"]) for run in runs if run.fields.get("best")]


def _bottom(groups: Iterable[Sequence[Record]]) -> float:
    """Where the axis starts: a good way below the worst end."""
    ends = [run.curve[-1].get("test_accuracy") for runs in groups for run in runs]
    worst = min((end for end in ends if end is not None), default=0.0)
    return max(0.0, 10.0 * (worst // 10 - 3))


def _caption(data: str, protocol: str, groups: dict[str, list[Record]]) -> str:
    runs = [run for group in groups.values() for run in group]
    epochs = sorted({int(run.fields["epochs_done"]) for run in runs})
    counts = sorted({len(group) for group in groups.values()})
    by = {str(run.fields.get("selects", "val_loss")) for run in runs}
    what = "validation accuracy" if by == {"val_accuracy"} else "validation loss"
    return (
        f"Convergence on {data}{', protocol ' + protocol if protocol else ''}: mean and standard "
        f"deviation over seeds (n = {_range(counts)}; {_range(epochs)} epochs), dashed the mean of "
        "the published curves, a dot where 95 % of the last value is reached, a diamond at the "
        f"published value. A bar at the bottom is the epoch that a run selected by its {what}, "
        "from which its accuracy in the tables comes; a published value is of selected epochs, "
        "too, and need not lie on a curve. Below: the difference from the first network, with its "
        "standard error."
    )


def _range(values: Sequence[int]) -> str:
    return " to ".join(str(value) for value in dict.fromkeys([values[0], values[-1]]))


def _file(paper: Path, name: str) -> Path:
    return paper / "results" / "figures" / name
