"""Generated cells as an annotated table, judged like observed ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse

from cradle.errors import InputError, check_seed
from cradle.nn.likelihoods import GammaPoisson

if TYPE_CHECKING:
    import scipy.sparse as sp
    from anndata import AnnData
    from torch import Tensor

    from cradle.data.qc import QCThresholds
    from cradle.models.base import Likelihood


MAX_BLOCK = 1024  # cells decoded at once
ArtifactSwitch = Literal["off", "on", "twins"]


def check_request(n_cells: int, artifact: str, library_size: float | None, seed: int) -> None:
    """Refuse numbers, switches and seeds that make no sense (InputError)."""
    check_seed(seed)
    if not 1 <= n_cells <= 1_000_000:
        raise InputError(
            "The number of cells is out of range.", f"{n_cells}.", "Ask for 1 to 1,000,000."
        )
    if artifact not in ("off", "on", "twins"):
        raise InputError(
            "The artifact switch has no such position.", repr(artifact), "Use off, on or twins."
        )
    if library_size is not None and not 1 <= library_size <= 1e7:
        raise InputError(
            "The library size is out of range.",
            f"{library_size}.",
            "Give 1 to 10,000,000 counts.",
        )


def check_artifact(has_artifact: bool, library_sizes: pd.DataFrame) -> None:
    """Refuse to switch an artifact that the model lacks or never saw (InputError)."""
    if not has_artifact:
        raise InputError(
            "This model has no artifact to switch.",
            "a model without a latent artifact.",
            "Use a CRADLE-VAE, or leave the artifact off.",
        )
    if not (library_sizes["artifact"] == 1).any():
        raise InputError(
            "This run has not learned an artifact.",
            "no training cell that failed quality control: it was trained on passing cells only, "
            "or none fails at its threshold.",
            "Train on all cells, at a stricter threshold, or leave the artifact off.",
        )


def of_counts(likelihood: Likelihood) -> GammaPoisson:
    """The likelihood, refused (InputError) where no counts can be drawn from it."""
    if not isinstance(likelihood, GammaPoisson):
        raise InputError(
            "This model predicts effects but generates no cells.",
            "its likelihood is of normalised expression, ln(1 + 1e4·x/library size), from which "
            "no counts can be drawn.",
            "Use a model of counts, or ask for effects.",
        )
    return likelihood


def check_genes(found: Sequence[str], modelled: Sequence[str]) -> None:
    """Refuse cells over other genes, or the same in another order (InputError)."""
    if list(found) != list(modelled):
        raise InputError(
            "The cells do not hold the modelled genes in their order.",
            f"{len(found)} genes, the model has {len(modelled)}.",
            "Select them: cells[:, list(run.genes)].",
        )


def generated_cells(
    counts: sp.csr_matrix,
    means: npt.NDArray[np.float32],
    *,
    genes: Sequence[str],
    labels: Sequence[str] | pd.Series[str],
    artifact: npt.NDArray[np.str_],
    library_size: npt.NDArray[np.float64],
    thresholds: QCThresholds,
) -> AnnData:
    """Counts with their conditions and their quality columns.

    Parameters
    ----------
    counts, means
        Drawn and expected counts, ``(n_cells, n_genes)``.
    labels, artifact, library_size
        Of each cell: canonical label, ``off`` or ``on``, counts.
    thresholds
        Of the training cells; only generable criteria are judged.
    """
    from anndata import AnnData

    from cradle.data.qc import judge_generated

    obs = pd.DataFrame(
        {
            "perturbation": pd.Categorical(list(labels)),
            "artifact": pd.Categorical(artifact, categories=["off", "on"]),
            "library_size": library_size,
        },
        index=[f"generated_{i}" for i in range(len(library_size))],
    )
    cells = AnnData(counts, obs, pd.DataFrame(index=list(genes)), layers={"mean": means})
    cells.obs = cells.obs.join(judge_generated(cells, thresholds))
    return cells


def draw_sizes(
    library_sizes: pd.DataFrame, n: int, *, failed: bool, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Library sizes of training cells that failed quality control, or passed, ``(n,)`` counts.

    Of all training cells where there are none of that kind.
    """
    return rng.choice(size_pool(library_sizes, failed=failed), n)


def size_pool(library_sizes: pd.DataFrame, *, failed: bool) -> npt.NDArray[np.float64]:
    """The training cells' library sizes that :func:`draw_sizes` draws from, counts."""
    pool = library_sizes.query("artifact == @failed")["library_size"].to_numpy(float)
    return pool if len(pool) else library_sizes["library_size"].to_numpy(float)


def slices_of(n: int, size: int = MAX_BLOCK) -> list[slice]:
    """Consecutive slices of at most ``size`` rows, and never more than ``MAX_BLOCK``."""
    step = min(size, MAX_BLOCK)
    return [slice(start, min(start + step, n)) for start in range(0, n, step)]


def sparse_counts(counts: Tensor) -> sp.csr_matrix:
    """Drawn counts ``(n_cells, n_genes)`` as CSR."""
    return scipy.sparse.csr_matrix(counts.numpy())
