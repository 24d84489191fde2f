"""Draw the figures that only this paper has; `core figures sparch` draws all."""

from core.errors import run_main


def main() -> None:
    """Write ``results/figures/*.png``, print their names, and show them in results/figures.md."""
    from core.records.pictures import figures_main
    from plif.config import PAPER
    from plif.figures import draw_all

    figures_main(PAPER, draw_all)


if __name__ == "__main__":
    run_main(main)
