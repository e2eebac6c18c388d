"""What a benchmark says, in words: who is ahead, by how much, and whether the seeds allow it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from cradle.evaluation.benchmark_tables import describe, pooled_spread

Name = Callable[[pd.Series], str]
#: The model that this project is about: how it stands is always said.
OWN = "cradle_vae"


def verdict(summary: pd.DataFrame, seeds: pd.DataFrame, metric: str, name: Name) -> list[str]:
    """Sentences about one metric.

    Parameters
    ----------
    summary
        Of ``summarise``, best first.
    seeds
        Of ``seed_values``.
    metric
        Its metric.
    name
        Words for a row of the summary.

    Returns
    -------
    The models among themselves; the best of them against the additive baseline and the other
    simple rules. Empty where the metric has no better end or no model has a value; no order
    where the models share no seed.
    """
    about = describe(metric)
    ranked = summary[summary["mean"].notna()]
    models, rules = ranked[ranked["kind"] == "model"], ranked[ranked["kind"] == "floor"]
    if about.higher_is_better is None or models.empty:
        return []
    best = models.iloc[0]
    if not _same_seeds(models, seeds):
        return ["The models were run on different seeds, none of which all share, so their "
                "scores cannot be put in order here."]  # fmt: skip
    said = [
        f"**{name(best)}** has the best {about.label} of {len(models)} trained models: "
        f"{_value(best)}."
        if len(models) > 1
        else f"**{name(best)}** is the only trained model here: {about.label} {_value(best)}."
    ]
    if len(models) > 1:
        said.append(_against_next(best, models.iloc[1], seeds, name))
        said.append(_own(models, name))
    sign = 1 if about.higher_is_better else -1
    said += [_against_rules(best, rules, sign, name)] if not rules.empty else []
    if metric.startswith("qcpr"):
        said.append(_of_clean_cells(ranked, best, name))
    return [sentence for sentence in said if sentence]


def _same_seeds(models: pd.DataFrame, seeds: pd.DataFrame) -> bool:
    trained = seeds[seeds["model"].isin(models["model"])]
    found = trained.groupby(["model", "train_cells"])["seed"].agg(frozenset)
    return found.nunique() < 2


def _against_next(best: pd.Series, second: pd.Series, seeds: pd.DataFrame, name: Name) -> str:
    gap = abs(best["mean"] - second["mean"])
    words = f"{name(second)} is next, {_number(gap)} behind ({_value(second)})."
    spread = pooled_spread(best["sd"], second["sd"])
    if np.isnan(spread):
        return f"{words} With a single seed there is no spread to judge this difference by."
    if gap > spread:
        words += f" The difference **exceeds** the pooled seed spread of {_number(spread)}"
    else:
        words += (f" The difference is **within** the pooled seed spread of {_number(spread)}: "
                  "no model is ahead")  # fmt: skip
    a, b = (seeds[(seeds["model"] == row["model"]) & (seeds["train_cells"] == row["train_cells"])]
            .set_index("seed")["value"] for row in (best, second))  # fmt: skip
    both = a.index.intersection(b.index)
    if len(both) > 1:
        sign = np.sign(best["mean"] - second["mean"])
        ahead = int((sign * (a[both] - b[both]) > 0).sum())
        words += f"; it is ahead in {ahead} of {len(both)} seeds"
    return words + "."


def _own(models: pd.DataFrame, name: Name) -> str:
    """Where CRADLE-VAE stands, if it is neither the best model nor the next."""
    place = models["model"].tolist().index(OWN) if OWN in set(models["model"]) else 0
    if place < 2:
        return ""
    row = models.iloc[place]
    return f"{name(row)} is number {place + 1} of {len(models)}: {_value(row)}."


def _against_rules(best: pd.Series, rules: pd.DataFrame, sign: int, name: Name) -> str:
    """The summary is sorted, so the first rule is the strongest; additive is always named."""
    additive = rules[rules["model"] == "additive"]
    rule = additive.iloc[0] if not additive.empty else rules.iloc[0]
    first = _one_rule(best, rule, sign, name)
    strongest = rules.iloc[0]
    if strongest["model"] == rule["model"] or _ahead(best, strongest, sign) >= 0:
        return first
    return f"{first} {_one_rule(best, strongest, sign, name)}"


def _one_rule(best: pd.Series, rule: pd.Series, sign: int, name: Name) -> str:
    gap, ahead = abs(best["mean"] - rule["mean"]), _ahead(best, rule, sign)
    what = f"the simple rule “{name(rule)}”, which needs no training"
    if ahead == 0:
        return (f"It is **on a par with** {what} ({_value(rule)}): they differ by {_number(gap)}, "
                "within the seed spread.")  # fmt: skip
    if ahead > 0:
        return f"It is ahead of {what} ({_value(rule)}), by {_number(gap)}."
    return f"**It loses to** {what}: {_value(rule)}, better by {_number(gap)}."


def _ahead(best: pd.Series, rule: pd.Series, sign: int) -> int:
    """1 ahead, −1 behind, 0 within the pooled seed spread; ``sign`` of a better difference."""
    gap = best["mean"] - rule["mean"]
    spread = pooled_spread(np.nan_to_num(best["sd"]), np.nan_to_num(rule["sd"]))
    if abs(gap) <= spread:
        return 0
    return int(np.sign(gap)) * sign


def _of_clean_cells(ranked: pd.DataFrame, best: pd.Series, name: Name) -> str:
    words = "More is not better without limit: a model that is too smooth passes more often than "
    words += "real cells do, so read it beside the QC distance."
    clean = ranked.loc[ranked["model"] == "clean cells", "mean"]
    if not clean.empty:
        words += f" Truly clean cells of this simulation pass at {_number(clean.iloc[0])}"
        words += ", less often than the best model." if clean.iloc[0] < best["mean"] else "."
    return words


def _value(row: pd.Series) -> str:
    n = int(row["n_seeds"])
    spread = "" if np.isnan(row["sd"]) else f" ± {_number(row['sd'])}"
    return f"{_number(row['mean'])}{spread} ({n} seed{'s' * (n > 1)})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}" if abs(value) >= 10 else (
        f"{value:.3f}")  # fmt: skip
