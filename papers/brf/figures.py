"""Draw the figures of this paper from the records; `core figures brf` calls it."""

from core.errors import run_main


def main() -> None:
    """Write ``results/figures/*.png`` and print their names."""
    from brf.figures import draw_all

    for path in draw_all():
        print(path)


if __name__ == "__main__":
    run_main(main)
