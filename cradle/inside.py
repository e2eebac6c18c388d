"""Inside a trained model: its masks, its artifact, one cell with the artifact undone."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp
import torch
from torch import Tensor
from torch.distributions import Normal

from cradle.data.qc import judge_generated
from cradle.data.schema import CONTROL
from cradle.errors import InputError
from cradle.evaluation.effects import draw_margin
from cradle.expression_levels import Levels
from cradle.generated import check_artifact, slices_of
from cradle.models.base import CountVAE
from cradle.prediction import N_BASAL, N_DRAWS

if TYPE_CHECKING:
    from anndata import AnnData

    from cradle.prediction import Predictor

Z95 = 1.959963984540054  # of the standard normal, two-sided


@torch.no_grad()
def mask_table(predictor: Predictor, *, n_draws: int = N_DRAWS, seed: int = 0) -> pd.DataFrame:
    """Posterior of every mask and the shift behind it; empty where the model has no mask.

    Returns
    -------
    DataFrame
        perturbation, latent (from 1), probability (that the mask is on), shift (mean of
        dosage · mask · embedding over ``n_draws``, latent units: the basal state has standard
        deviation 1). A combination with an effect of its own is a perturbation beside its genes.
    """
    names = ["perturbation", "latent", "probability", "shift"]
    probability = predictor.model.mask_probability()
    if probability is None:
        return pd.DataFrame(columns=names)
    generator = torch.Generator().manual_seed(seed)
    latents, _ = predictor.model.global_posterior(n_draws, generator)
    shift = latents["effect"].mean(0) * torch.from_numpy(predictor.design.dosages)[:, None]
    n_rows, n_latent = probability.shape
    columns = (
        np.repeat(predictor.design.columns, n_latent),
        np.tile(np.arange(1, n_latent + 1), n_rows),
        probability.flatten().numpy(),
        shift.flatten().numpy(),
    )
    return pd.DataFrame(dict(zip(names, columns, strict=True)))


@torch.no_grad()
def artifact_vector(predictor: Predictor) -> pd.DataFrame:
    """The artifact in latent space, each kind of it, the most common first.

    Returns
    -------
    DataFrame
        kind (from 1), share (of failed cells), latent (from 1), mean, sd, lower, upper (95 %).

    Raises
    ------
    InputError
        The model has no artifact, or has not learned one.
    """
    check_artifact(predictor.has_artifact, predictor.library_sizes)
    posterior, shares = _kinds(predictor)
    order = shares.argsort(descending=True, stable=True)
    mean, sd = posterior.loc[order].numpy(), posterior.scale[order].numpy()
    n_kinds, n_latent = mean.shape
    table = pd.DataFrame(
        {"kind": np.repeat(np.arange(1, n_kinds + 1), n_latent),
         "share": np.repeat(shares[order].numpy(), n_latent),
         "latent": np.tile(np.arange(1, n_latent + 1), n_kinds),
         "mean": mean.ravel(), "sd": sd.ravel()}
    )  # fmt: skip
    return table.assign(
        lower=table["mean"] - Z95 * table["sd"], upper=table["mean"] + Z95 * table["sd"]
    )


def _kinds(predictor: Predictor) -> tuple[Normal, Tensor]:
    """Posterior of each kind of artifact, and how common each is."""
    posterior, shares = predictor.model.artifact_posterior(), predictor.model.artifact_shares()
    assert posterior is not None, "a model with an artifact tells its posterior"
    assert shares is not None, "a model with an artifact tells how common its kinds are"
    return posterior, shares


@torch.no_grad()
def artifact_genes(
    predictor: Predictor, *, n_draws: int = N_DRAWS // 2, n_cells: int = N_BASAL, seed: int = 0
) -> pd.DataFrame:
    """What switching the artifact on changes in control cells, strongest gene first.

    Basal states and library sizes (of QC-passing training cells) are shared between off and on,
    and the expectation over counts is integrated.

    Returns
    -------
    DataFrame
        kind, gene, direction, change, lower, upper: mean of log2(1 + 1e4·x/ℓ), on minus off, with
        the 95 % interval of a further posterior draw. Kinds count from 1, the most common first;
        kind 0 is their mean, each as common as among failed cells.
    """
    check_artifact(predictor.has_artifact, predictor.library_sizes)
    levels = Levels.drawn(predictor, n_draws=n_draws, n_cells=n_cells, seed=seed, failed=False)
    _, shares = _kinds(predictor)
    order = shares.argsort(descending=True, stable=True)
    off = levels.of(CONTROL, 0.0)
    per_kind = [
        levels.of(CONTROL, 1.0, {"kind": kind.expand(1, n_cells, -1)}) - off
        for kind in torch.eye(len(shares))[order]
    ]
    mean = np.average(per_kind, axis=0, weights=shares[order].numpy())
    tables = [_by_size(_changes(predictor.genes, changes)) for changes in (mean, *per_kind)]
    return pd.concat(
        [table.assign(kind=kind) for kind, table in enumerate(tables)], ignore_index=True
    )[["kind", *tables[0].columns]]


@torch.no_grad()
def kinds_of(
    predictor: Predictor, cells: AnnData, *, n_draws: int = 25, seed: int = 0
) -> npt.NDArray[np.int64]:
    """The kind of artifact that each cell most often is in draws of its posterior.

    Parameters
    ----------
    cells
        QC-failed observed cells of the run's genes, with ``qc_fail``.

    Returns
    -------
    (n_cells,), from 1, in the order of :func:`artifact_vector`.

    Raises
    ------
    InputError
        The model has no artifact or has not learned one, or the genes are not those of the run.
    """
    check_artifact(predictor.has_artifact, predictor.library_sizes)
    _, shares = _kinds(predictor)
    rank = shares.argsort(descending=True, stable=True).argsort()
    generator, found = torch.Generator().manual_seed(seed), []
    for rows in slices_of(cells.n_obs):
        inferred, _ = predictor.model.infer_cells(
            *predictor.lifted(cells, rows), n_draws, generator
        )
        found.append(rank[inferred["kind"].mean(0).argmax(-1)].numpy() + 1)
    return np.concatenate(found)


class WithoutArtifact(NamedTuple):
    """An observed QC-failed cell, and what the model says it would be without the artifact.

    ``before`` is the model's own reconstruction, the fair comparison of ``after``.

    Attributes
    ----------
    genes
        gene, observed, before, after, all log2(1 + 1e4·x/ℓ), of counts or expected counts;
        direction, change (after minus before), lower, upper; strongest change first.
    criteria
        One row a generable criterion, in its own unit: criterion, threshold, side, median, mad,
        observed, and for ``before`` and ``after`` the median, ``_low`` and ``_high`` (95 %) and
        ``_percent_failing`` of cells drawn in that state.
    """

    genes: pd.DataFrame
    criteria: pd.DataFrame


def without_artifact(
    predictor: Predictor, cell: AnnData, *, n_draws: int = N_DRAWS, n_counts: int = 8, seed: int = 0
) -> WithoutArtifact:
    """The counterfactual of one QC-failed cell, over posterior draws of the global variables.

    Parameters
    ----------
    cell
        One cell over the modelled genes; ``perturbation``, ``library_size`` and ``qc_fail`` in
        ``obs``. Library size and perturbation are kept.
    n_draws, n_counts
        Posterior draws, and cells drawn in each of them for the criteria.

    Raises
    ------
    InputError
        Not one QC-failed cell, or the model has no artifact to switch.
    """
    if cell.n_obs != 1 or not bool(cell.obs["qc_fail"].iloc[0]):
        raise InputError(
            "The counterfactual is of one cell that failed quality control.",
            f"{cell.n_obs} cells, {int(cell.obs['qc_fail'].sum())} of them failed.",
            "Choose one failed cell.",
        )
    told = [predictor.counterfactual(cell, seed=seed + k) for k in range(n_draws)]
    expected = {
        "before": np.concatenate([each.layers["reconstruction"] for each in told]),
        "after": np.concatenate([each.layers["mean"] for each in told]),
    }
    size = float(cell.obs["library_size"].iloc[0])
    counts = np.asarray(sp.csr_matrix(cell.X).toarray()).ravel()
    levels = {state: _log2(mean, size) for state, mean in expected.items()}
    genes = _changes(predictor.genes, levels["after"] - levels["before"])
    genes.insert(1, "observed", _log2(counts, size))
    genes.insert(2, "before", levels["before"].mean(axis=0))
    genes.insert(3, "after", levels["after"].mean(axis=0))
    drawn = {
        state: _draw_cells(predictor, cell, mean, n_counts, np.random.default_rng(seed))
        for state, mean in expected.items()
    }
    return WithoutArtifact(_by_size(genes), _criteria(predictor, cell, drawn))


def _log2(counts: npt.NDArray[np.floating], size: float) -> npt.NDArray[np.floating]:
    return np.asarray(np.log2(1 + 1e4 * counts / size))


def _changes(genes: tuple[str, ...], per_draw: npt.NDArray[np.floating]) -> pd.DataFrame:
    """gene, direction, change, lower, upper; from changes ``(n_draws, n_genes)``."""
    mean = per_draw.mean(axis=0)
    margin = draw_margin(per_draw)
    return pd.DataFrame(
        {"gene": list(genes), "direction": np.where(mean > 0, "up", "down"), "change": mean,
         "lower": mean - margin, "upper": mean + margin}
    )  # fmt: skip


def _by_size(table: pd.DataFrame) -> pd.DataFrame:
    order = table["change"].abs().sort_values(ascending=False, kind="stable").index
    return table.loc[order].reset_index(drop=True)


@torch.no_grad()
def _draw_cells(
    predictor: Predictor,
    cell: AnnData,
    mean: npt.NDArray[np.float32],
    n_counts: int,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """QC values and flags of cells drawn about expected counts ``(n_draws, n_genes)``."""
    from anndata import AnnData

    assert isinstance(predictor.model, CountVAE), "cells of counts need a likelihood of counts"
    theta = np.exp(predictor.model.log_theta.numpy().astype(float))
    rate = np.repeat(mean, n_counts, axis=0)
    counts = rng.poisson(rate * rng.gamma(theta, 1 / theta, rate.shape))
    size = np.full(len(rate), float(cell.obs["library_size"].iloc[0]))
    obs = pd.DataFrame({"library_size": size}, index=[f"drawn_{i}" for i in range(len(rate))])
    drawn = AnnData(
        sp.csr_matrix(counts, dtype=np.float32), obs, pd.DataFrame(index=cell.var_names)
    )
    return judge_generated(drawn, predictor.thresholds)


def _criteria(predictor: Predictor, cell: AnnData, drawn: dict[str, pd.DataFrame]) -> pd.DataFrame:
    bare = cell.copy()
    bare.obs = cell.obs[["library_size"]].copy()
    observed = judge_generated(bare, predictor.thresholds)
    rows = []
    for criterion in predictor.thresholds.generable:
        limit = predictor.thresholds.generated[criterion]
        row: dict[str, object] = {
            "criterion": criterion, "threshold": limit.threshold, "side": limit.side,
            "median": limit.median, "mad": limit.mad,
            "observed": float(observed[criterion].iloc[0]),
            "observed_fails": bool(observed[f"fails_{criterion}"].iloc[0] == 1),
        }  # fmt: skip
        for state, cells in drawn.items():
            low, middle, high = np.quantile(cells[criterion], [0.025, 0.5, 0.975])
            row |= {state: middle, f"{state}_low": low, f"{state}_high": high}
            row[f"{state}_percent_failing"] = 100 * cells[f"fails_{criterion}"].mean()
        rows.append(row)
    return pd.DataFrame(rows)
