"""Score the published networks where SSC is at hand, and draw accuracy beside operations."""

import argparse

from core.errors import run_main
from core.paths import user_path


def main() -> None:
    """Write ``results/figures/figure3_synops.png`` and show it in results/figures.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data_folder",
        type=user_path,
        help="folder with the files of SSC, if not fetched",
    )
    folder = parser.parse_args().data_folder
    from core.data.fetch import is_present
    from core.records import load_records
    from core.records.pictures import show_figures
    from silif.config import PAPER
    from silif.figures import FOLDER
    from silif.synops import SSC, evaluate_published, figure3

    if folder is not None or is_present(SSC):
        evaluate_published(folder)
    else:
        print(
            "the published networks are not run: SSC is not on this machine; core fetch ssc gets "
            "it, or name its folder with --data_folder"
        )
    show_figures(PAPER, [figure3(load_records(PAPER), FOLDER / "figure3_synops.png")])


if __name__ == "__main__":
    run_main(main)
