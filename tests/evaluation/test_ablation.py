"""What the counterfactual term changes, from a table of fits."""

import pandas as pd
import pytest

from cradle.evaluation.ablation import changes, in_words


@pytest.fixture
def table():
    rows = []
    for strength, gain in ((0.5, 0.0), (2.0, 0.1)):
        for seed, noise in ((1, 0.01), (2, 0.03)):
            without = {"held_out": 0.5, "seen": 0.9, "artifact": 0.7, "pass_rate": 0.95}
            with_term = {
                "held_out": 0.5 + gain + (noise if gain else noise - 0.02),
                "seen": 0.9,
                "artifact": 0.7 - gain,
                "pass_rate": 0.95 - gain / 2,
            }
            for model, weight, scores in (
                ("cradle_vae_no_counterfactual", 0.0, without),
                ("cradle_vae", 5.0, with_term),
                ("cradle_vae", 50.0, dict.fromkeys(without, 0.0)),
            ):
                key = {"artifact_strength": strength, "model": model, "seed": seed}
                key["counterfactual_weight"] = weight
                rows.append({**key, **scores, "pass_rate_clean": 0.9})
    return pd.DataFrame(rows)


def test_differences_are_paired_by_screen(table):
    found = changes(table).set_index(["score", "artifact_strength"])
    strong = found.loc[("held_out", 2.0)]
    assert strong["mean"] == pytest.approx(0.12)
    assert strong["sd"] == pytest.approx(0.02 / 2**0.5)
    assert strong["n"] == 2
    # the pass rate counts by how near it is to that of clean cells
    assert found.loc[("pass_rate", 2.0), "mean"] == pytest.approx(0.05)
    assert found.loc[("artifact", 2.0), "mean"] == pytest.approx(-0.1)


def test_words_tell_help_from_cost_and_from_noise(table):
    strong = table[table["artifact_strength"] == 2.0]
    held_out, seen, artifact, pass_rate = in_words(changes(strong))
    assert (
        held_out == "Effects of held-out pairs: **better**, +0.120 ± 0.014 (+0.120 at strength 2)."
    )
    assert "no clear difference, 0.000" in seen
    assert "**worse**, −0.100" in artifact
    assert "**better**, +0.050" in pass_rate


def test_all_strengths_together_come_last(table):
    found = changes(table)
    together = found[found["artifact_strength"].isna()].set_index("score")
    assert (together["n"] == 4).all()
    assert together.loc["held_out", "mean"] == pytest.approx(0.06)
    # help at one strength alone is no help
    assert "no clear difference, +0.060" in in_words(found)[0]


def test_one_screen_says_nothing(table):
    said = in_words(changes(table[(table["seed"] == 1) & (table["artifact_strength"] == 2)]))
    assert not any("better" in sentence or "worse" in sentence for sentence in said)
