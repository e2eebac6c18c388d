"""Build the interaction tables with which the page Interactions opens.

Run after the shipped runs have changed: ``python -m scripts.build_interactions``. Writes
``assets/interactions/*.csv``, one per shipped run; a few minutes each.
"""

import argparse
import shutil

from cradle.ui import library, pair_store


def main() -> None:
    """Build the table of every shipped run anew."""
    parser = argparse.ArgumentParser(prog="python -m scripts.build_interactions",
                                     description=__doc__)  # fmt: skip
    parser.parse_args()
    shutil.rmtree(pair_store.SHIPPED, ignore_errors=True)
    for done in sorted(library.SHIPPED_RUNS.glob("*/DONE")):
        pair_store.compute(str(done.parent), folder=pair_store.SHIPPED)
        print(f"{done.parent.name}: {pair_store.find(str(done.parent))}")


if __name__ == "__main__":
    main()
