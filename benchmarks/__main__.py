"""``python -m benchmarks SUBJECT [--json]``."""

import argparse
import json

from benchmarks import pages, step

SUBJECTS = {"step": step.measure, "pages": pages.measure}


def main() -> None:
    """Measure a subject and print what was found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("subject", choices=SUBJECTS)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    report = {"subject": arguments.subject, **SUBJECTS[arguments.subject]()}
    if arguments.json:
        print(json.dumps(report))
        return
    for group in ("ratios", "figures"):
        for name, value in report[group].items():
            print(f"{name:24} {value:,.4g}")


if __name__ == "__main__":
    main()
