"""What the model's own control does to its scores.

An effect is what the model predicts of a perturbation minus what it predicts of control, so an
error in its control counts again for every perturbation; the simple rules take control as observed.
Where many observed cells are flawed the comparison says little: a model that leaves the flaws out
has another control, and is right.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cradle.evaluation.effects import FloatArray
from cradle.evaluation.metrics import EFFECT_METRICS
from cradle.evaluation.moments import pooled_control
from cradle.evaluation.scores import score
from cradle.evaluation.sections import SPLITS, Scoring


def own_control(scoring: Scoring, control: FloatArray | None) -> dict[str, Any] | None:
    """How far the model's control is off, and its scores where observed control stands for it.

    Parameters
    ----------
    control
        Predicted mean of log2(1 + 1e4·x/ℓ) of control cells without artifact, ``(n_genes,)``; None
        for a rule, which has no control of its own.

    Returns
    -------
    None without ``control``. By split, None where it has no score: ``squared_error``, the sum over
    genes of (predicted − observed control)²; ``sampling_error``, what that would be on average for
    the true control, from the variance of the observed cells; and the ``EFFECT_METRICS`` of
    predicted means minus observed control.
    """
    if control is None:
        return None
    return {split: _of_split(scoring, split, control) for split in SPLITS}


def _of_split(scoring: Scoring, split: str, control: FloatArray) -> dict[str, Any] | None:
    rows, observed = scoring.answered(split), scoring.observed(split)
    if observed is None or not rows:
        return None
    cells = pooled_control(scoring.moments, split, scoring.side)
    off = control - cells.mean[0]
    model = scoring.predicted.rows(rows)
    scores = score(observed.rows(rows), replace(model, mean=model.mean + off)) or {}
    return {
        "squared_error": float((off**2).sum()),
        # of one cell there is no variance
        "sampling_error": float((cells.var[0] / cells.n[0]).sum()) if cells.n[0] > 1 else None,
        **{name: scores.get(name) for name in EFFECT_METRICS},
    }
