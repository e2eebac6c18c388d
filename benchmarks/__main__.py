"""``python -m benchmarks SUBJECT [--json] [--SIZE N ...]``."""

import argparse
import importlib
import inspect
import json

#: Each is a module with a function ``measure``, whose arguments are sizes.
SUBJECTS = ("step", "fit", "converge", "qc", "generate", "effects", "embed", "pages")


def main() -> None:
    """Measure a subject and print what was found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("subject", choices=SUBJECTS)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments, others = parser.parse_known_args()
    measure = importlib.import_module(f"benchmarks.{arguments.subject}").measure
    report = {"subject": arguments.subject, **measure(**vars(_sizes(measure).parse_args(others)))}
    if arguments.json:
        print(json.dumps(report))
        return
    for group in ("ratios", "figures"):
        for name, value in report[group].items():
            print(f"{name:32} {value:,.4g}")


def _sizes(measure: object) -> argparse.ArgumentParser:
    """An option for each argument of ``measure``, with its default."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks SUBJECT")
    for name, parameter in inspect.signature(measure).parameters.items():  # type: ignore[arg-type]
        parser.add_argument(f"--{name}", type=int, default=parameter.default, metavar="N")
    return parser


if __name__ == "__main__":
    main()
