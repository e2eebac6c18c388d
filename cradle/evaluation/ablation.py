"""What the counterfactual term of CRADLE-VAE changes, by the strength of the artifact."""

from __future__ import annotations

import numpy as np
import pandas as pd

#: Scores of the study by what they say; each is better the higher it is.
SCORES = {
    "held_out": "effects of held-out pairs",
    "seen": "effects of perturbations seen",
    "artifact": "the change that the artifact makes",
    "pass_rate": "nearness of the pass rate to that of clean cells",
}
WITHOUT = "cradle_vae_no_counterfactual"
_KEY = ["artifact_strength", "seed"]


def changes(table: pd.DataFrame, weight: float = 5.0) -> pd.DataFrame:
    """CRADLE-VAE with the counterfactual term minus the same without, paired by screen.

    Parameters
    ----------
    table
        Of ``python -m benchmarks.counterfactual_weight``: correlations with the simulated truth,
        and the pass rate, which counts by how near it is to that of clean cells.
    weight
        α of the model with the term.

    Returns
    -------
    artifact_strength, score, mean and sd of the differences, n screens, in the order of
    ``SCORES``; last of each score those of all strengths together (strength NaN). The sd of a
    single screen is NaN.
    """
    near = -(table["pass_rate"] - table["pass_rate_clean"]).abs()
    table = table.assign(pass_rate=near)
    has = (table["model"] == "cradle_vae") & (table["counterfactual_weight"] == weight)
    with_term = table[has].set_index(_KEY)[list(SCORES)]
    without = table[table["model"] == WITHOUT].set_index(_KEY)[list(SCORES)]
    differences = (with_term - without).dropna().reset_index()
    long = differences.melt(_KEY, var_name="score")
    both = pd.concat([long, long.assign(artifact_strength=np.nan)])
    by = both.groupby(["score", "artifact_strength"], dropna=False)["value"]
    found = by.agg(mean="mean", sd="std", n="size").reset_index()
    order = found["score"].map(list(SCORES).index)
    return found.iloc[np.lexsort((found["artifact_strength"], order))].reset_index(drop=True)


def in_words(found: pd.DataFrame) -> list[str]:
    """A sentence a score: whether the term helps, costs, or the screens do not agree."""
    return [_sentence(words, found[found["score"] == score]) for score, words in SCORES.items()]


def _sentence(words: str, rows: pd.DataFrame) -> str:
    of_all = rows["artifact_strength"].isna()
    mean, sd = rows.loc[of_all, ["mean", "sd"]].to_numpy(float)[0]
    how = "better" if mean > 0 else "worse"
    how = f"**{how}**" if abs(mean) > sd else "no clear difference"
    each = rows[~of_all][["artifact_strength", "mean"]].to_numpy(float)
    single = ", ".join(f"{_signed(value)} at strength {strength:g}" for strength, value in each)
    return f"{words[0].upper()}{words[1:]}: {how}, {_signed(mean)} ± {sd:.3f} ({single})."


def _signed(value: float) -> str:
    text = f"{value:+.3f}"
    return "0.000" if float(text) == 0 else text.replace("-", "−")
