"""Draw the figures that only this paper has; `core figures bsnn` draws all."""

from core.errors import run_main


def main() -> None:
    """Write ``results/figures/*.png``, print their names, and show them in results/figures.md."""
    from bsnn.config import PAPER
    from bsnn.figures import draw_all
    from core.records.pictures import figures_main

    figures_main(PAPER, draw_all)


if __name__ == "__main__":
    run_main(main)
