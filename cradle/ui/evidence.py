"""What speaks for and against a run's effects: coverage of its intervals, and the known truth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from cradle.ui import store
from cradle.ui.labels import safe_label

CARD = 205  # pixels
_TRUTH = {
    "effect_correlation_seen": (
        "seen", "Perturbations whose cells the model was trained on."),
    "effect_correlation_heldout": (
        "held-out pairs", "Pairs that it never saw, whose true effect is the sum of the singles."),
    "effect_correlation_heldout_interacting": (
        "interacting pairs",
        "Pairs that it never saw and whose genes interact: the interaction cannot be known from "
        "the single genes."),
}  # fmt: skip


def coverage(run_path: str, split: str, words: str) -> None:
    """How many observed effects lie in the intervals of the model.

    Parameters
    ----------
    run_path, split
        Of the stored evaluation; nothing is drawn where it has no intervals.
    words
        What the split is called on the page.
    """
    found = (store.scores_at(run_path).get("coverage") or {}).get(split)
    if not found:
        return
    level = f"{100 * found['level']:.0f} %"
    st.markdown(f"**Do the {level} intervals hold what they promise?**")
    with st.container(horizontal=True, gap="small"):
        st.metric(
            "Observed effects inside", _percent(found["with_sampling_error"]), border=True,
            width=CARD, delta=f"{level} promised", delta_color="off", delta_arrow="off",
            help="Of the intervals of the prediction, widened by the sampling noise of the "
            "observed effect itself. Well below the promise: the model is too sure.",
        )  # fmt: skip
        st.metric(
            "Inside, as drawn", _percent(found["posterior"]), border=True, width=CARD,
            delta="of the true mean", delta_color="off", delta_arrow="off",
            help="Of the intervals as drawn in the figures. They are about the true mean and "
            "know nothing of the noise of the observed one, so fewer observed effects lie inside.",
        )  # fmt: skip
    st.caption(
        f"{found['n']:,} effects of {found['n_perturbations']} perturbations, {words}, all cells, "
        f"against control; {found['n_left_out']:,} without a count on either side left out."
    )


def truth(run_path: str) -> None:
    """Correlation of predicted and true effects; nothing where no truth is known."""
    found = store.scores_at(run_path).get("truth")
    if not found:
        return
    st.subheader("Against the truth")
    with st.container(horizontal=True, gap="small"):
        for name, (words, explanation) in _TRUTH.items():
            st.metric(f"ρ, {words}", _two(found, name), border=True, width=CARD,
                      help=explanation)  # fmt: skip
        st.metric(
            "ρ, artifact", _two(found, "artifact_correlation"), border=True, width=CARD,
            help="What the artifact switch changes in each gene, against what the simulated "
            "artifacts change on average.",
        )  # fmt: skip
    pairs = ", ".join(map(safe_label, found.get("interacting_pairs", [])))
    st.caption(
        "This screen is simulated, so the true effects are known. Correlation over perturbations "
        "and genes of the predicted effects with the true ones, not the observed ones."
        + (f" Pairs whose genes interact: {pairs}." if pairs else "")
    )


def _two(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    return "–" if value is None else f"{value:.2f}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
