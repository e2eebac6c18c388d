"""Linear probes: what can be read off a latent space by a straight line."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating]


def probe_accuracy(features: FloatArray, labels: npt.NDArray[np.generic], seed: int = 0) -> float:
    """Balanced accuracy of a logistic regression on cells that it was not fitted on.

    Chance is one over the number of labels, whatever their sizes.

    Parameters
    ----------
    features
        ``(n_cells, n_features)``.
    labels
        ``(n_cells,)``, at least two of each.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import train_test_split

    scaled = standardized(features)
    fitted, held, known, true = train_test_split(
        scaled, labels, test_size=0.5, random_state=seed, stratify=labels
    )
    probe = LogisticRegression(max_iter=2000, class_weight="balanced").fit(fitted, known)
    return float(balanced_accuracy_score(true, probe.predict(held)))


def probe_r2(features: FloatArray, targets: FloatArray, seed: int = 0) -> float:
    """R² of a linear regression on cells that it was not fitted on, mean over targets.

    Parameters
    ----------
    features, targets
        ``(n_cells, n_features)``, ``(n_cells, n_targets)``.
    """
    from sklearn.linear_model import Ridge
    from sklearn.metrics import r2_score
    from sklearn.model_selection import train_test_split

    scaled = standardized(features)
    fitted, held, known, true = train_test_split(scaled, targets, test_size=0.5, random_state=seed)
    return float(r2_score(true, Ridge(alpha=1e-3).fit(fitted, known).predict(held)))


def standardized(features: FloatArray) -> FloatArray:
    """Features with mean zero and variance one; a constant one stays zero."""
    sd = features.std(axis=0)
    return np.asarray((features - features.mean(axis=0)) / np.where(sd > 1e-8, sd, 1.0))
