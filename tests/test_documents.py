"""What the README says twice is held together with what the software does."""

import csv
import re
from pathlib import Path

from cradle.models.registry import MODELS

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def table_rows(first_heading: str) -> list[list[str]]:
    """Cells of the README table whose first column has this heading."""
    lines = iter(README.splitlines())
    next(line for line in lines if line.startswith(f"| {first_heading} |"))
    next(lines)
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return rows


def test_departures_are_those_that_the_app_lists():
    with (ROOT / "assets" / "departures.csv").open(encoding="utf-8") as file:
        listed = [[row[k] for k in ("topic", "published", "here", "why")]
                  for row in csv.DictReader(file)]  # fmt: skip
    assert table_rows("what") == listed


def test_every_switch_of_the_reference_preset_is_explained():
    explained = {row[0].strip("`") for row in table_rows("setting")}
    assert explained == set(MODELS["cradle_vae_reference"].settings)


def test_every_model_is_explained():
    named = " ".join(row[0] for row in table_rows("model")).replace("`…", "`cradle_vae")
    assert set(re.findall(r"`(\w+)`", named)) == set(MODELS)


def test_linked_files_and_pictures_exist():
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert [link for link in links if not (ROOT / link).exists()] == []
