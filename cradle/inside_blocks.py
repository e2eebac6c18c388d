"""Inside a PerturbedVAE: its graph, its programs, and what its two blocks tell of the label."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp
import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from cradle.batches import Conditions
from cradle.data.schema import CONTROL
from cradle.evaluation.probes import probe_accuracy, probe_r2
from cradle.generated import check_genes, slices_of
from cradle.models.perturbed_vae import PerturbedVAE
from cradle.nn.likelihoods import ln_cp10k

if TYPE_CHECKING:
    from collections.abc import Collection

    from anndata import AnnData

    from cradle.prediction import Predictor

#: Edges whose weight is smaller are left out of the graph (Jiang 2026, figure 8).
EDGE_THRESHOLD = 0.25
#: An invariant latent whose mean KL is below tells next to nothing of a cell.
IN_USE = 0.05  # nats
N_BACKGROUND = 512  # control states over which programs and shifts are averaged
#: Of the probes: cells of a perturbation at least and at most, perturbations at most, repetitions.
MIN_CELLS, MAX_CELLS, MAX_LABELS, N_REPEATS = 10, 100, 30, 3

FloatArray = npt.NDArray[np.floating]


def block_model(predictor: Predictor) -> PerturbedVAE:
    """The network; its caller asked the registry for ``has_blocks`` before."""
    assert isinstance(predictor.model, PerturbedVAE), "only PerturbedVAE has blocks"
    return predictor.model


@torch.no_grad()
def edge_table(predictor: Predictor, label: str = CONTROL) -> pd.DataFrame:
    """Every entry of Λ_νν(u) below the diagonal, the strongest first.

    Returns
    -------
    DataFrame
        source, target (responsive latents, from 1), weight (units of the target for one unit of
        the source).
    """
    terms = block_model(predictor).mechanism(_dosage(predictor, label))
    edges = terms.edges[0].numpy()
    target, source = np.tril_indices(len(edges), -1)
    table = pd.DataFrame(
        {"source": source + 1, "target": target + 1, "weight": edges[target, source]}
    )
    order = table["weight"].abs().sort_values(ascending=False, kind="stable").index
    return table.loc[order].reset_index(drop=True)


@torch.no_grad()
def shift_table(predictor: Predictor, seed: int = 0) -> pd.DataFrame:
    """How far each perturbed gene moves the mean of each responsive latent.

    What other latents pass on is included. Background and noise are those of the same
    ``N_BACKGROUND`` control states throughout.

    Returns
    -------
    DataFrame
        Index: perturbed genes; columns: responsive latents, from 1; values: standard deviations
        of the latent in control cells.
    """
    model = block_model(predictor)
    before, _ = _control_states(predictor, seed)
    spread = before.std(0)
    rows = [
        (_states(predictor, label, seed)[0].mean(0) - before.mean(0)) / spread
        for label in predictor.design.columns
    ]
    values = torch.stack(rows).numpy() if rows else np.empty((0, model.n_responsive))
    columns = pd.RangeIndex(1, model.n_responsive + 1, name="latent")
    return pd.DataFrame(values, pd.Index(predictor.design.columns, name="perturbation"), columns)


def strongest(shifts: pd.DataFrame) -> pd.DataFrame:
    """Of each responsive latent the gene that moves it most: latent, gene, shift."""
    values = shifts.to_numpy()
    row, columns = np.abs(values).argmax(axis=0), np.arange(values.shape[1])
    return pd.DataFrame(
        {"latent": shifts.columns, "gene": shifts.index[row], "shift": values[row, columns]}
    )


@torch.no_grad()
def program_table(predictor: Predictor, seed: int = 0) -> pd.DataFrame:
    """What each responsive latent does to the genes: the decoder's answer to one step up.

    Returns
    -------
    DataFrame
        latent (from 1), gene, change: mean of log2(1 + 1e4·x/ℓ) with the latent one standard
        deviation of control cells higher, minus without, over ``N_BACKGROUND`` control states;
        of each latent the strongest gene first.
    """
    model = block_model(predictor)
    responsive, invariant = _control_states(predictor, seed)
    base, spread = model.decoded(responsive, invariant), responsive.std(0)
    parts = []
    for j in range(model.n_responsive):
        step = torch.zeros(model.n_responsive)
        step[j] = spread[j]
        change = (model.decoded(responsive + step, invariant) - base).mean(0) / np.log(2.0)
        part = pd.DataFrame({"latent": j + 1, "gene": predictor.genes, "change": change.numpy()})
        order = part["change"].abs().sort_values(ascending=False, kind="stable").index
        parts.append(part.loc[order])
    return pd.concat(parts, ignore_index=True)


class BlockStates(NamedTuple):
    """Posterior means of cells, one row a cell.

    Attributes
    ----------
    responsive, unlabelled, invariant
        z_ν ``(n, d_ν)``, which is told of the perturbation; the same with every cell declared a
        control; z_ι ``(n, d_ι)``.
    expression
        ln(1 + 1e4·x/ℓ), ``(n, G)``.
    kl
        Mean KL of each invariant latent to its prior, ``(d_ι,)``, nats.
    """

    responsive: FloatArray
    unlabelled: FloatArray
    invariant: FloatArray
    expression: FloatArray
    kl: FloatArray


@torch.no_grad()
def block_states(predictor: Predictor, cells: AnnData) -> BlockStates:
    """Both blocks of observed cells over the modelled genes (InputError for other genes)."""
    check_genes(cells.var_names, predictor.genes)
    model = block_model(predictor)
    latents, _ = model.global_posterior(1)
    parts: list[tuple[Tensor, ...]] = []
    for rows in slices_of(cells.n_obs):
        obs = cells.obs.iloc[rows]
        size = torch.from_numpy(obs["library_size"].to_numpy(np.float32)[:, None])
        counts = torch.from_numpy(sp.csr_matrix(cells.X[rows], dtype=np.float32).toarray())
        dosage = torch.from_numpy(predictor.design.rows(obs["perturbation"].astype(str).tolist()))
        told = Conditions(dosage, torch.zeros(len(size), 1), size)
        hidden = told._replace(dosage=torch.zeros_like(dosage))
        lifted = model.lift(counts, size)
        z_nu, z_nu_hidden = (
            model.responsive(model.cell_posterior(lifted, each, latents).loc, each)[0]
            for each in (told, hidden)
        )
        invariant = model.invariant_posterior(lifted)
        prior = Normal(torch.zeros(()), torch.ones(()), validate_args=False)
        own_kl = kl_divergence(invariant, prior)
        parts.append((z_nu, z_nu_hidden, invariant.loc, ln_cp10k(counts, size), own_kl))
    told_z, hidden_z, z_iota, expression, kl = (
        torch.cat(each).numpy() for each in zip(*parts, strict=True)
    )
    return BlockStates(told_z, hidden_z, z_iota, expression, kl.mean(axis=0))


def probed_cells(labels: pd.Series, expressible: Collection[str], seed: int = 0) -> npt.NDArray[
    np.intp
]:  # fmt: skip
    """Rows of the cells to probe: at most ``MAX_CELLS`` of a perturbation, drawn by the seed.

    Of the ``MAX_LABELS`` perturbations with most cells (control among them) that the model can
    be told of and that have ``MIN_CELLS``. Cells of every split: a probe that has few cells to
    learn from finds nothing, and that would look like invariance.
    """
    counts = labels[labels.isin(list(expressible))].value_counts(sort=False)
    counts = counts[counts >= MIN_CELLS].sort_index().sort_values(ascending=False, kind="stable")
    order = sorted(counts.index, key=lambda name: name != CONTROL)[:MAX_LABELS]
    rng = np.random.default_rng(seed)
    rows = [rng.permutation(np.flatnonzero(labels == name))[:MAX_CELLS] for name in sorted(order)]
    return np.sort(np.concatenate(rows)) if rows else np.empty(0, np.intp)


def components(expression: FloatArray, n: int) -> FloatArray:
    """Principal components of expression, ``(n_cells, at most n)``."""
    from sklearn.decomposition import PCA

    n = min(n, *(size - 1 for size in expression.shape))
    return np.asarray(PCA(n, random_state=0).fit_transform(expression))


def probe(
    features: FloatArray, labels: npt.NDArray[np.str_], depth: FloatArray
) -> dict[str, float]:
    """What straight lines read off a block, on the half of the cells they were not fitted on.

    Parameters
    ----------
    features, labels
        ``(n_cells, n_features)``; the perturbation of each cell.
    depth
        Library sizes, ``(n_cells,)``.

    Returns
    -------
    accuracy, low, high (balanced; mean, least and greatest of ``N_REPEATS`` halvings),
    shuffled (the same mean with labels dealt at random), depth_r2 (of log library size).
    """
    found = [probe_accuracy(features, labels, seed) for seed in range(N_REPEATS)]
    dealt = np.random.default_rng(0).permutation(labels)
    return {
        "accuracy": float(np.mean(found)),
        "low": min(found),
        "high": max(found),
        "shuffled": probe_accuracy(features, dealt),
        "depth_r2": probe_r2(features, np.log(depth)[:, None]),
    }


def _dosage(predictor: Predictor, label: str) -> Tensor:
    return torch.from_numpy(predictor.design.rows([label]))


def _control_states(predictor: Predictor, seed: int) -> tuple[Tensor, Tensor]:
    return _states(predictor, CONTROL, seed)


def _states(predictor: Predictor, label: str, seed: int) -> tuple[Tensor, Tensor]:
    """z_ν and z_ι of predicted cells, ``(N_BACKGROUND, d)``; the seed sets all but the label."""
    model, generator = block_model(predictor), torch.Generator().manual_seed(seed)
    noise = torch.randn((1, N_BACKGROUND, model.n_latent), generator=generator)
    one = torch.ones(1, 1)
    conditions = Conditions(_dosage(predictor, label), 0 * one, one)
    state = model.sample_basal(noise, conditions, {})
    return model.responsive(state, conditions)[0], model.blocks(state)[1][0]
