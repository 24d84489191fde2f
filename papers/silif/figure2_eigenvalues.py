"""Draw the eigenvalues of the four published networks, and print what they say."""

import argparse

from core.errors import run_main


def main() -> None:
    """Write ``results/figures/figure2_eigenvalues.png`` and show it in results/figures.md."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    from core.records.pictures import show_figures
    from silif import figures
    from silif.config import PAPER
    from silif.eigenvalues import PUBLISHED, eigenvalues, published_weights, summary

    for model in PUBLISHED:
        weights = published_weights(model)
        for layer in (0, 1):
            for which, title in figures.TITLES.items():
                found = summary(eigenvalues(model, weights, layer, which))
                print(f"{figures.LABELS[model]}, layer {layer}, {title}: {found}")
    show_figures(PAPER, [figures.figure2()])


if __name__ == "__main__":
    run_main(main)
