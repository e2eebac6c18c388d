"""Gene programs of Norman et al. 2019, for colouring."""

from functools import cache

import pandas as pd

from cradle.data.dosage import canonical, is_control
from cradle.ui.navigation import ROOT

OTHER = "no program"


def program_of(label: str) -> str:
    """Program of a canonical label; ``no program`` where Norman 2019 gives none."""
    return _programs().get(label, OTHER)


def known(labels: pd.Series) -> bool:
    """Whether any of the labels has a program."""
    return not _programs().keys().isdisjoint(set(labels))


@cache
def _programs() -> dict[str, str]:
    table = pd.read_csv(ROOT / "assets" / "norman_programs.csv", keep_default_na=False)
    return {
        canonical(str(name).split("+")): str(program)
        for name, program in zip(table["perturbation"], table["program"], strict=True)
        if not is_control(str(name))
    }
