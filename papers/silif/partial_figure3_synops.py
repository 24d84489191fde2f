"""Draw accuracy beside synaptic operations, from what is published and what is recorded here."""

import argparse

from core.errors import run_main


def main() -> None:
    """Write ``results/figures/figure3_synops.png`` and show it in results/figures.md."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    from core.records import load_records
    from core.records.pictures import show_figures
    from silif.config import PAPER
    from silif.figures import FOLDER
    from silif.synops import figure3

    show_figures(PAPER, [figure3(load_records(PAPER), FOLDER / "figure3_synops.png")])


if __name__ == "__main__":
    run_main(main)
