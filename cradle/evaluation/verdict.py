"""What a benchmark says, in words: who is ahead, by how much, and whether the seeds allow it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from cradle.evaluation.benchmark_tables import describe, pooled_spread

Name = Callable[[pd.Series], str]
#: The model that this project is about: how it stands is always said.
OWN = "cradle_vae"


class Gap(NamedTuple):
    """How far one row is ahead of another (negative: behind), and how far to trust that.

    ``spread`` is that of the paired differences over the ``n`` seeds that both have, of which
    ``better`` speak for the first; without two such seeds (``n`` = 0) it is pooled, and NaN where
    a row has a single seed.
    """

    size: float
    spread: float
    better: int
    n: int

    @property
    def sign(self) -> int:
        """1 ahead, −1 behind, 0 within the spread."""
        return 0 if abs(self.size) <= self.spread else int(np.sign(self.size))


def verdict(
    summary: pd.DataFrame, seeds: pd.DataFrame, metric: str, name: Name, unit: str = "seed"
) -> list[str]:
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
    unit
        What a seed is, such as a simulated screen of its own.

    Returns
    -------
    The models among themselves, CRADLE-VAE beside each; the best of them and CRADLE-VAE against
    the additive baseline and a simple rule that is better still. Of a pass rate, the model nearest
    to clean cells. Empty where the metric has no better end or no model has a value; no order where
    the models share no seed.
    """
    about = describe(metric)
    ranked = summary[summary["mean"].notna()]
    models, rules = ranked[ranked["kind"] == "model"], ranked[ranked["kind"] == "floor"]
    if models.empty:
        return []
    if metric.startswith("qcpr"):
        clean = ranked[ranked["model"] == "clean cells"]
        return _pass_rate(models, clean, seeds, name, unit)
    if about.higher_is_better is None:
        return []
    if not _same_seeds(models, seeds):
        return ["The models were run on different seeds, none of which all share, so their "
                "scores cannot be put in order here."]  # fmt: skip
    sign = 1 if about.higher_is_better else -1
    best, own = models.iloc[0], models[models["model"] == OWN].head(1)
    said = [
        f"**{name(best)}** has the best {about.label} of {len(models)} trained models: "
        f"{_value(best, unit)}."
        if len(models) > 1
        else f"**{name(best)}** is the only trained model here: {about.label} {_value(best, unit)}."
    ]
    if len(models) > 1:
        second = models.iloc[1]
        said.append(_against_next(best, second, gap(best, second, seeds, sign), name, unit))
        said.append(_own(models, seeds, sign, name, unit))
    takes_time = about.unit == "seconds"  # of which a rule needs hardly any
    for rule in [] if takes_time else _rules_to_name(best, rules, seeds, sign):
        words = _against_rule(best, rule, gap(best, rule, seeds, sign), name, unit)
        if not own.empty and own.index[0] != best.name:
            mine = own.iloc[0]
            words += " " + _own_against_rule(name(mine), gap(mine, rule, seeds, sign))
        said.append(words)
    return [sentence for sentence in said if sentence]


def gap(first: pd.Series, second: pd.Series, seeds: pd.DataFrame, sign: int) -> Gap:
    """The difference of two rows, seed by seed where both have them; ``sign`` of a better one."""
    a, b = (seeds[(seeds["model"] == row["model"]) & (seeds["train_cells"] == row["train_cells"])]
            .set_index("seed")["value"] for row in (first, second))  # fmt: skip
    differences = sign * (a - b).dropna()
    if len(differences) > 1:
        return Gap(float(differences.mean()), float(differences.std()),
                   int((differences > 0).sum()), len(differences))  # fmt: skip
    size = sign * (first["mean"] - second["mean"])
    return Gap(float(size), pooled_spread(first["sd"], second["sd"]), 0, 0)


def _same_seeds(models: pd.DataFrame, seeds: pd.DataFrame) -> bool:
    trained = seeds[seeds["model"].isin(models["model"])]
    found = trained.groupby(["model", "train_cells"])["seed"].agg(frozenset)
    return found.nunique() < 2


def _against_next(best: pd.Series, second: pd.Series, found: Gap, name: Name, unit: str) -> str:
    words = f"{name(second)} is next: {_value(second, unit)}, {_number(abs(found.size))} behind."
    if np.isnan(found.spread):
        return f"{words} With a single {unit} there is no spread to judge this difference by."
    short = unit.rsplit(maxsplit=1)[-1]
    if found.n:
        words += (f" Compared {short} by {short}, {name(best)} is better in {found.better} of "
                  f"{found.n}, by {_size(found)} on average")  # fmt: skip
    else:
        words += f" The pooled spread over {short}s is {_number(found.spread)}"
    return words + (": the difference **exceeds** its spread." if found.sign else
                    ": the difference is **within** its spread, so neither is ahead.")  # fmt: skip


def _own(models: pd.DataFrame, seeds: pd.DataFrame, sign: int, name: Name, unit: str) -> str:
    """Where CRADLE-VAE stands among more than two models: its place, and beside each of them."""
    if OWN not in set(models["model"]) or len(models) < 3:
        return ""
    place = models["model"].tolist().index(OWN)
    row = models.iloc[place]
    words = "" if place < 2 else (
        f"{name(row)} is number {place + 1} of {len(models)}: {_value(row, unit)}, "
        f"{_size(gap(models.iloc[0], row, seeds, sign))} behind the best. ")  # fmt: skip
    others = models.drop(models.index[place])
    return (words + _beside_each(others, row, seeds, sign, name, unit)).strip()


def _beside_each(
    others: pd.DataFrame, own: pd.Series, seeds: pd.DataFrame, sign: int, name: Name, unit: str
) -> str:
    """Which models it is ahead of, level with and behind; empty without two seeds in common."""
    found = [(name(row), gap(own, row, seeds, sign)) for _, row in others.iterrows()]
    if not all(each.n for _, each in found):
        return ""
    sides = {"ahead of": 1, "level with": 0, "behind": -1}
    # names have commas in them
    parts = [f"**{words}** {' · '.join(who)}" for words, side in sides.items()
             if (who := [other for other, each in found if each.sign == side])]  # fmt: skip
    short = unit.rsplit(maxsplit=1)[-1]
    return f"Compared {short} by {short}, {name(own)} is {'; '.join(parts)}."


def _rules_to_name(
    best: pd.Series, rules: pd.DataFrame, seeds: pd.DataFrame, sign: int
) -> list[pd.Series]:
    """The additive rule, and the strongest one (the first) unless the best model is ahead of it."""
    if rules.empty:
        return []
    additive, strongest = rules[rules["model"] == "additive"], rules.iloc[0]
    named = [strongest if additive.empty else additive.iloc[0]]
    if (strongest["model"] != named[0]["model"]
            and strongest["mean"] != named[0]["mean"]
            and gap(best, strongest, seeds, sign).sign < 0):  # fmt: skip
        named.append(strongest)
    return named


def _against_rule(best: pd.Series, rule: pd.Series, found: Gap, name: Name, unit: str) -> str:
    what = (f"the simple rule “{name(rule)}”, which needs no training and has "
            f"{_value(rule, unit)}")  # fmt: skip
    if found.sign == 0:
        return (f"{name(best)} is **on a par with** {what}: their difference of {_size(found)} is "
                "within its spread.")  # fmt: skip
    how = f"{name(best)} is ahead of" if found.sign > 0 else f"**{name(best)} loses to**"
    return f"{how} {what}, by {_size(found)}."


def _own_against_rule(name: str, found: Gap) -> str:
    if found.sign == 0:
        return f"{name} is on a par with that rule: they differ by {_size(found)}."
    return f"{name} {'is ahead of' if found.sign > 0 else 'loses to'} that rule by {_size(found)}."


def _size(found: Gap) -> str:
    return _number(abs(found.size)) + (f" ± {_number(found.spread)}" if found.n else "")


def _pass_rate(
    models: pd.DataFrame, clean: pd.DataFrame, seeds: pd.DataFrame, name: Name, unit: str
) -> list[str]:
    """No model is best: the one nearest to truly clean cells, where they are known."""
    words = ("More is not better without limit: a model that is too smooth passes more often than "
             "real cells do, so read it beside the QC distance.")  # fmt: skip
    if clean.empty:
        return [f"{words} Which cells are truly clean is not known here, so no model is put first."]
    target = float(clean["mean"].iloc[0])
    nearest = models.iloc[int((models["mean"] - target).abs().argmin())]
    among = f" of {len(models)} trained models" if len(models) > 1 else ""
    said = [f"Truly clean cells of this simulation pass at {_number(target)}. "
            f"**{name(nearest)}** is nearest{among}: {_value(nearest, unit)}, "
            f"{_off(nearest, target)}."]  # fmt: skip
    own = models[models["model"] == OWN].head(1)
    if not own.empty and own.index[0] != nearest.name:
        mine, found = own.iloc[0], gap(nearest, own.iloc[0], seeds, 1)
        said.append(f"{name(mine)}: {_value(mine, unit)}, {_off(mine, target)}. The two differ by "
                    f"{_size(found)}{'' if found.sign else ', within the spread'}.")  # fmt: skip
    return [*said, words]


def _off(row: pd.Series, target: float) -> str:
    way = "above" if row["mean"] > target else "below"
    return f"{_number(abs(row['mean'] - target))} {way} them"


def _value(row: pd.Series, unit: str) -> str:
    n = int(row["n_seeds"])
    spread = "" if np.isnan(row["sd"]) else f" ± {_number(row['sd'])}"
    return f"{_number(row['mean'])}{spread} ({n} {unit}{'s' * (n > 1)})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}" if abs(value) >= 10 else (
        f"{value:.3f}")  # fmt: skip
