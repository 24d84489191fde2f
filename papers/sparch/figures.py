"""Draw the figures of this paper from the records; `core figures sparch` calls it."""

from core.errors import run_main


def main() -> None:
    """Write ``results/figures/*.png``, print their names, and show them in the README."""
    from core.records import update_between_markers
    from sparch.config import PAPER
    from sparch.figures import draw_all

    images = []
    for path, caption in draw_all(tell=print):
        print(path)
        images.append(f"![{caption}](results/figures/{path.name})\n\n*{caption}.*")
    block = "\n\n".join(images) or "Nothing has been drawn yet."
    update_between_markers(PAPER / "README.md", f"figures {PAPER.name}", block)


if __name__ == "__main__":
    run_main(main)
