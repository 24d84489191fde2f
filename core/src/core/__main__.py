"""``python -m core``: the ``core`` command where the package is on the path and not installed."""

from core.cli import main

if __name__ == "__main__":
    main()
