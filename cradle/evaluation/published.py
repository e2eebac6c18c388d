"""Scores as the papers print them, beside ours and never mixed with them.

``assets/published_results.csv`` is transcribed from Baek et al. 2025 (AAAI, tables 2 and 3) and
Jiang et al. 2026 (arXiv 2605.19343); its column ``source`` names the table of each number. They are
of the full screens, other splits and other preprocessing: a value of ours on a subset differs for
these reasons too.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pandas as pd

FILE = Path(__file__).resolve().parents[2] / "assets" / "published_results.csv"
COLUMNS = ("model", "published", "published_sd", "published_source")
#: Names in the papers and ours.
DATASETS = {"norman": "Norman", "norman_subset": "Norman", "dixit": "Dixit",
            "replogle": "Replogle", "adamson": "Adamson"}  # fmt: skip
MODELS = {
    "CRADLE-VAE": "cradle_vae", "CRADLE-VAE w/o CF": "cradle_vae_no_counterfactual",
    "CRADLE-VAE w/o Causal": "cradle_vae_no_causal", "SAMS-VAE": "sams_vae",
    "CPA-VAE": "cpa_vae", "sVAE+": "svae_plus", "Conditional VAE": "conditional_vae",
    "PerturbedVAE": "perturbed_vae", "Additive": "additive",
    "PerturbedVAE w/o alignment": "perturbed_vae_no_alignment",
}  # fmt: skip
METRICS = {"ATE-rho": "ate_rho", "ATE-R2": "ate_r2", "Jaccard-50": "jaccard_50",
           "QCPR_percent": "qcpr", "Pearson-delta": "pearson_delta", "L2": "l2",
           "cell RMSE": "cell_rmse"}  # fmt: skip
#: Where the paper trains on single perturbations and predicts all pairs.
ZERO_SHOT = ("Jiang 2026 doubles", "Jiang 2026 latent 105, doubles", "Jiang 2026 Table 14, doubles")
#: There, but for the last table, RMSE is that of cells and R2 that of mean profiles.
_DOUBLES = {"RMSE": "cell_rmse", "R2": "profile_r2"}


def published(dataset: str, metric: str, mad: float) -> pd.DataFrame:
    """What the papers print for a dataset, metric and threshold (``COLUMNS``, maybe empty).

    A pass rate ``qcpr_k`` is looked up at its own k, as a share; a metric without a threshold in
    the paper stands at any.
    """
    table = _table()
    plain = dataset.removesuffix("_rotation").removesuffix("_zero_shot")
    name, own = DATASETS.get(plain), metric.partition("qcpr_")[2]
    wanted = "qcpr" if own else metric
    k = float(own) if own else mad
    rows = table[(table["dataset"] == name) & (table["metric"] == wanted)]
    rows = rows[rows["qc_mad"].isna() | (rows["qc_mad"] == k)]
    if dataset.endswith("_zero_shot"):
        rows = rows[rows["published_source"].isin(ZERO_SHOT)]
    # Table 3 repeats rows of table 2; of several settings of one paper, the first.
    return rows.drop_duplicates("model")[list(COLUMNS)].reset_index(drop=True)


@cache
def _table() -> pd.DataFrame:
    table = pd.read_csv(FILE)
    percent = (table["metric"] == "QCPR_percent").map({True: 0.01, False: 1.0})
    doubles = table["metric"].map(_DOUBLES).where(table["source"].isin(ZERO_SHOT[:2]))
    metric = table["metric"].map(METRICS).fillna(doubles)
    ours = pd.DataFrame(
        {"dataset": table["dataset"], "model": table["model"].map(MODELS),
         "metric": metric, "qc_mad": table["qc_mad"],
         "published": table["mean"] * percent, "published_sd": table["sd"] * percent,
         "published_source": table["source"]}
    )  # fmt: skip
    return ours.dropna(subset=["model", "metric"])
