"""How pairs stand against the sum of their singles, and whether a model foresees it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cradle.evaluation.interactions import MIN_GENES

#: Distance from the sum that the whole interval of a pair must exceed to stand out. Means of
#: logarithms flatten large changes, so pairs that add up exactly fall short of 1: in four
#: simulated screens 48 of them lie between 0.87 and 1.02, 16 interacting ones below 0.74 or
#: above 1.21.
MARGIN = 0.2
MORE, LESS, OTHER = "more than the sum", "less than the sum", "something else"
NEAR, UNCLEAR = "near the sum", "unclear"
STANDS_OUT = (MORE, LESS, OTHER)
MIN_PAIRS = 5  # held-out pairs below which a model's skill is an accident


def standing(table: pd.DataFrame, side: str) -> pd.Series:
    """What each pair does beside the sum of its singles; absent where the side has no class.

    Parameters
    ----------
    table
        Of ``cradle.pairs.interaction_table``.
    side
        ``observed`` or ``predicted``.
    """
    low, high = (table[f"{side}_scale_{end}"].astype(float) for end in ("low", "high"))
    known, kind = table[f"{side}_class"].notna(), table[f"{side}_class"]
    enough = table[f"{side}_n_genes"].astype(float) >= MIN_GENES
    found = np.select(
        [~enough, low > 1 + MARGIN, high < 1 - MARGIN, kind.eq("neomorphic"),
         (low >= 1 - MARGIN) & (high <= 1 + MARGIN)],
        [UNCLEAR, MORE, LESS, OTHER, NEAR], default=UNCLEAR,
    )  # fmt: skip
    return pd.Series(found, table.index, dtype=object).where(known, None)


def judged(table: pd.DataFrame) -> pd.DataFrame:
    """Measured pairs that can check a prediction: a size on both sides, enough genes respond."""
    sizes = table[["observed_scale", "predicted_scale"]].notna().all(axis=1)
    return pd.DataFrame(table[sizes & (table["observed_n_genes"].astype(float) >= MIN_GENES)])


def held_out(table: pd.DataFrame) -> pd.DataFrame:
    """The rows whose pair was kept from training."""
    return pd.DataFrame(table[table["support"] != "seen"])


def skill(rows: pd.DataFrame) -> float:
    """1 − squared error / squared distance from the plain sum; at most 0 is no skill."""
    error = (rows["observed_scale"] - rows["predicted_scale"]).pow(2).sum()
    return float(1 - error / (rows["observed_scale"] - 1).pow(2).sum())
