"""The metrics of the field, as the packages `scperteval` and `scperturb` compute them.

Profiles are on the scale ln(1 + 1e4·x/library size), one vector over genes for each perturbation;
populations are cells in the space of principal components. What each metric answers to, and what
not, was read from the code of the packages and stands in its explanation.
"""

from __future__ import annotations

import os
from importlib import import_module
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt

from cradle.evaluation.metrics import Metric

FloatArray = npt.NDArray[np.floating]

#: Genes with the highest mean in control cells (Ahlmann-Eltze et al. 2025).
N_TOP_GENES = 1000
#: Profiles that vary by less are constant up to rounding (effects are stored as float32).
FLAT = 1e-6
PACKAGES = ("scperteval", "scperturb")

_INFINITE = float("inf")
_CONSTANT = "one side has the same value for every gene, so there is nothing to correlate"
_FEW_CELLS = "no perturbation has enough cells"

_ROWS = (
    Metric(
        "pearson_delta", "Pearson-Δ", True, (-1.0, 1.0), "correlation", "means",
        "Correlation of predicted and observed change against control over the top expressed "
        "genes, averaged over perturbations. What all perturbations share scores high here.",
        _CONSTANT,
    ),
    Metric(
        "pearson_delta_perturbed", "Pearson-Δ (reference: perturbed)", True, (-1.0, 1.0),
        "correlation", "means",
        "The same against the mean of the training perturbations (Systema): what sets a "
        "perturbation apart from the others.",
        _CONSTANT,
    ),
    Metric(
        "l2", "L2", False, (0.0, _INFINITE), "ln units", "means",
        "Euclidean distance of predicted and observed mean profile over the top expressed genes, "
        "averaged over perturbations.",
        "there are no perturbations to compare",
    ),
    Metric(
        "weighted_mse", "Weighted MSE", False, (0.0, _INFINITE), "ln units squared", "means",
        "Squared error of the mean profile, genes weighted by the squared strength of their "
        "observed difference from the other perturbations (Mejia 2025).",
        "no perturbation has two cells and others to compare with",
    ),
    Metric(
        "centroid_rank", "Centroid rank", True, (0.0, 1.0), "normalized inverse rank", "means",
        "How near each predicted profile is to its own observed one among those of all scored "
        "perturbations: 1 nearest, 0.5 chance. A model that predicts the same for all gets 0.5.",
        "it needs two perturbations",
    ),
    Metric(
        "e_distance", "E-distance (scPerturb)", False, (-_INFINITE, _INFINITE), "ln units squared",
        "means",
        "scPerturb's E-distance of generated and observed cells, with squared Euclidean distances "
        "of principal components. The spreads cancel: in expectation it is twice the squared "
        "distance of the means, and knows nothing else of the distributions.",
        _FEW_CELLS,
    ),
    Metric(
        "energy_distance", "Energy distance", False, (-_INFINITE, _INFINITE), "ln units",
        "distributions",
        "Energy distance (Székely and Rizzo, Euclidean) of generated cells and all observed cells "
        "in the space of principal components; zero in expectation for equal distributions.",
        _FEW_CELLS,
    ),
    Metric(
        "energy_distance_passing", "Energy distance, passing", False, (-_INFINITE, _INFINITE),
        "ln units", "distributions",
        "The same to the observed cells that pass quality control: what a model with its artifact "
        "off should be compared with.",
        _FEW_CELLS,
    ),
    Metric(
        "mmd", "MMD²", False, (-_INFINITE, _INFINITE), "squared kernel distance", "distributions",
        "Unbiased squared maximum mean discrepancy to all observed cells, with a Gaussian kernel "
        "as wide as the median distance of both populations together. The kernel follows the "
        "prediction too, so far-off predictions look less bad than they are.",
        _FEW_CELLS,
    ),
    Metric(
        "mmd_passing", "MMD², passing", False, (-_INFINITE, _INFINITE), "squared kernel distance",
        "distributions",
        "The same to the observed cells that pass quality control.",
        _FEW_CELLS,
    ),
)  # fmt: skip

FIELD_METRICS: dict[str, Metric] = {metric.name: metric for metric in _ROWS}
MEAN_METRICS = tuple(m.name for m in _ROWS if m.of == "means")
DISTRIBUTION_METRICS = tuple(m.name for m in _ROWS if m.of == "distributions")


def pearson(observed: FloatArray, predicted: FloatArray) -> float:
    """Mean over rows of the correlation over genes, (n_perturbations, n_genes) both.

    A constant prediction says nothing of its row and counts 0; rows that are constant on the
    observed side are left out. NaN where every prediction, or every observation, is constant.
    """
    varied = np.ptp(observed, axis=1) > FLAT
    told = np.ptp(predicted, axis=1) > FLAT
    if not (varied & told).any():
        return float("nan")
    correlation = _scperteval().pearson
    found = [
        correlation(o, p, None) if said else 0.0
        for o, p, use, said in zip(observed, predicted, varied, told, strict=True)
        if use
    ]
    return float(np.mean(found))


def l2(observed: FloatArray, predicted: FloatArray) -> float:
    """Mean over rows of the Euclidean distance."""
    distance = _scperteval().l2
    return float(np.mean([distance(o, p, None) for o, p in zip(observed, predicted, strict=True)]))


def weighted_mse(observed: FloatArray, predicted: FloatArray, weights: FloatArray) -> float:
    """Mean over rows of Σ_g w_g (o_g − p_g)²; rows without weights (NaN) are left out."""
    usable = np.isfinite(weights).all(axis=1)
    if not usable.any():
        return float("nan")
    squared = (observed[usable] - predicted[usable]) ** 2
    return float((weights[usable] * squared).sum(axis=1).mean())


def effect_weights(
    group: tuple[FloatArray, FloatArray, int], others: tuple[FloatArray, FloatArray, int]
) -> FloatArray:
    """Weights of genes by Welch's t of a perturbation against the others, squared (Mejia 2025).

    Parameters
    ----------
    group, others
        Mean and sample variance over cells, (n_genes,), and the number of cells.
    """
    de = import_module("scperteval.blocks.de")
    strength = de.ttest_from_moments(*group, *others).statistic
    return np.asarray(de.mejia_weights(strength, exp=2.0), dtype=np.float64)


def centroid_rank(observed: FloatArray, predicted: FloatArray) -> float:
    """Mean over rows of 1 − rank/(n − 1) of the own observed row by distance to the prediction."""
    if len(observed) < 2:
        return float("nan")
    return float(np.mean(_scperteval().nir(list(observed), list(predicted), None)))


def energy_distance(observed: FloatArray, predicted: FloatArray) -> float:
    """2 E‖X − Y‖ − E‖X − X'‖ − E‖Y − Y'‖ of two populations, (n_cells, n_dimensions) each."""
    return float(_scperteval().energy_distance(observed, predicted, None))


def mmd(observed: FloatArray, predicted: FloatArray) -> float:
    """Unbiased squared maximum mean discrepancy, Gaussian kernel, median heuristic."""
    return float(_scperteval().unbiased_mmd_median(observed, predicted, None))


def e_distance(observed: FloatArray, predicted: FloatArray) -> float:
    """scPerturb's E-distance: 2 E‖X − Y‖² − E‖X − X'‖² − E‖Y − Y'‖²."""
    import pandas as pd
    from anndata import AnnData

    side = np.repeat(["observed", "predicted"], [len(observed), len(predicted)])
    obs = pd.DataFrame({"side": side}, index=[str(i) for i in range(len(side))])
    both = AnnData(obs=obs, obsm={"X_pca": np.vstack([observed, predicted]).astype(np.float64)})
    table = import_module("scperturb").edist(both, obs_key="side", verbose=False)
    return float(table.loc["observed", "predicted"])


def package_versions() -> dict[str, str]:
    """Version of each package that computes."""
    return {name: version(name) for name in PACKAGES}


def _scperteval() -> Any:
    """Its metrics. Importing it sets the thread count of later processes; that is undone."""
    before = dict(os.environ)
    module = import_module("scperteval.protocols.metrics")
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    return module
