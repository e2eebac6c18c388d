"""What a trained model says: generated cells, twins, counterfactuals, treatment effects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp
import torch
from torch import Tensor

from cradle.batches import Conditions
from cradle.data.dosage import Design
from cradle.effect_draws import effect_draws, mean_and_margin
from cradle.evaluation.effects import POSTERIOR_ALONE, Effects, Widening
from cradle.generated import (
    ArtifactSwitch,
    check_artifact,
    check_genes,
    check_request,
    draw_sizes,
    generated_cells,
    of_counts,
    slices_of,
    sparse_counts,
)
from cradle.models.base import CountVAE, Latents, Likelihood, PerturbationVAE, Plate, draw_of
from cradle.nn.likelihoods import sample_coupled

if TYPE_CHECKING:
    from anndata import AnnData

    from cradle.data.qc import QCThresholds

N_DRAWS = 32  # posterior draws of the global variables
N_BASAL = 32  # basal states of an effect, in pairs z and −z
#: Particles at least, where no draw of a shared variable adds to them (SPEC 7).
N_PARTICLES = 1024


@dataclass(frozen=True)
class Predictor:
    """A trained model with what it needs to answer for its screen.

    Parameters
    ----------
    model
        In evaluation mode.
    genes, design
        Columns of the counts, columns that tell of the perturbation.
    library_sizes, thresholds
        Of training cells: ``artifact`` (0 or 1) and ``library_size`` (counts); what judges every
        generated cell.
    default_library_size
        Fixed size at generation, or ``None`` to draw one from the training cells.
    has_artifact, widening
        Whether the model has an artifact to switch; how much wider than in the posterior
        intervals are (:func:`cradle.evaluation.scores.widening`).
    """

    model: PerturbationVAE
    genes: tuple[str, ...]
    design: Design
    library_sizes: pd.DataFrame
    thresholds: QCThresholds
    default_library_size: float | None
    has_artifact: bool
    widening: Widening = POSTERIOR_ALONE

    def generate(
        self,
        query: str,
        n_cells: int,
        *,
        artifact: ArtifactSwitch = "off",
        seed: int = 0,
        library_size: float | None = None,
    ) -> AnnData:
        """Cells of a perturbation that may never have been measured (Baek 2025, algorithm 3).

        ``z_basal ~ N(0, I)``; the global variables come from ``N_DRAWS`` posterior draws.
        Twins share ``z_basal``, the draw, the library size and the count noise, and differ
        in the artifact alone: rows ``0 … n_cells-1`` are off, the rest are their twins.

        Parameters
        ----------
        query
            Genes, as ``KLF1+MAP2K6``; ``control`` for none.
        n_cells
            Number of cells, or of pairs of twins.
        library_size
            Counts per cell; by default drawn from training cells, see ``draw_sizes``.

        Returns
        -------
        AnnData
            ``X`` counts (CSR, ``(n, n_genes)``), ``layers["mean"]`` expected counts, ``obs``
            perturbation, artifact, library_size, twin and the QC columns.

        Raises
        ------
        InputError
            The model cannot be told of the perturbation (an unknown gene; one-hot, any
            treatment that it was not trained on), a number is out of range, it has no
            artifact to switch on, or it models expression, of which no counts can be drawn.
        """
        label = self.design.parse(query)
        check_request(n_cells, artifact, library_size, seed)
        if artifact != "off":
            check_artifact(self.has_artifact, self.library_sizes)
        rng = np.random.default_rng(seed)
        sizes = self.draw_sizes(n_cells, failed=artifact == "on", fixed=library_size, rng=rng)
        states = {"off": [0.0], "on": [1.0], "twins": [0.0, 1.0]}[artifact]
        counts, means = self._sample(label, sizes, states, seed)
        cells = generated_cells(
            counts,
            means,
            genes=self.genes,
            labels=[label] * counts.shape[0],
            artifact=np.repeat(["on" if state else "off" for state in states], n_cells),
            library_size=np.tile(sizes, len(states)),
            thresholds=self.thresholds,
        )
        if artifact == "twins":
            cells.obs["twin"] = np.tile(np.arange(n_cells), 2)
        cells.uns["cradle"] = {"generated": {"perturbation": label, "seed": seed}}
        return cells

    @torch.no_grad()
    def treatment_effects(
        self,
        query: Sequence[str] | str,
        *,
        n_draws: int = N_DRAWS,
        n_cells: int = N_BASAL,
        seed: int = 0,
        artifact: Literal["off", "on"] = "off",
        interval: float = 0.95,
    ) -> Effects:
        """Average treatment effects against control, log2(1 + 1e4·x/ℓ), with intervals.

        Basal states, library sizes and posterior draws are common to treated and control
        cells, and the expectation over counts and sizes is integrated, not sampled, so that
        what is left of the noise is shared and cancels; see :mod:`cradle.expression_levels`.

        Parameters
        ----------
        query
            Labels that the model's design expresses; InputError for any other.
        n_draws, n_cells
            Posterior draws of the global variables, basal states common to all of them.
        interval
            Mass of the Student interval of a further draw, wider by ``widening``; there
            is none where cells share no variable.
        """
        labels = [self.design.parse(q) for q in ([query] if isinstance(query, str) else query)]
        if artifact == "on":
            check_artifact(self.has_artifact, self.library_sizes)
        shared = set(self.model.plates.values()) != {Plate.CELL}
        if not isinstance(self.model, CountVAE):
            n_cells = max(n_cells, N_PARTICLES)
        in_turn = effect_draws(self, labels, n_draws=n_draws if shared else 1, n_cells=n_cells,
                               seed=seed, artifact=artifact)  # fmt: skip
        mean, margin = mean_and_margin(in_turn, (len(labels), len(self.genes)), interval)
        if not shared:
            return Effects(tuple(labels), self.genes, mean)
        margin = self.widening.of(margin)
        return Effects(tuple(labels), self.genes, mean, mean - margin, mean + margin)

    @torch.no_grad()
    def embed(self, adata: AnnData) -> npt.NDArray[np.float32]:
        """Posterior mean of the basal state of observed cells, ``(n_cells, n_latent)``, given one
        draw of masks, effects and artifact."""
        generator = torch.Generator().manual_seed(0)
        latents, _ = self.model.global_posterior(1, generator)
        blocks = slices_of(adata.n_obs)
        found = [self._posterior(adata, rows, latents, generator)[0].loc[0] for rows in blocks]
        return np.asarray(torch.cat(found).numpy())

    @torch.no_grad()
    def counterfactual(self, adata: AnnData, *, seed: int = 0) -> AnnData:
        """Observed cells as if their artifact state were the opposite.

        Infers ``z_basal`` from the counts, the perturbation and ``obs["qc_fail"]``, then
        decodes with the artifact flipped.

        Returns
        -------
        AnnData
            Like :meth:`generate`; ``layers["reconstruction"]`` holds the expected counts
            in the cell's own state, the fair comparison for ``layers["mean"]``.
        """
        check_artifact(self.has_artifact, self.library_sizes)
        generator = torch.Generator().manual_seed(seed)
        latents, _ = self.model.global_posterior(1, generator)
        counts, flipped, own = [], [], []
        for rows in slices_of(adata.n_obs):
            posterior, latents_of_cells = self._posterior(adata, rows, latents, generator)
            basal = posterior.loc
            conditions = self._observed_conditions(adata, rows)
            other = conditions._replace(artifact=1 - conditions.artifact)
            likelihood = of_counts(self.model.likelihood(basal, other, latents_of_cells))
            counts.append(sparse_counts(likelihood.sample(generator)[0]))
            flipped.append(likelihood.mean[0].numpy())
            factual = of_counts(self.model.likelihood(basal, conditions, latents_of_cells))
            own.append(factual.mean[0].numpy())
        result = generated_cells(
            sp.vstack(counts, format="csr"),
            np.concatenate(flipped),
            genes=self.genes,
            labels=adata.obs["perturbation"].astype(str),
            artifact=np.where(adata.obs["qc_fail"], "off", "on"),
            library_size=adata.obs["library_size"].to_numpy(float),
            thresholds=self.thresholds,
        )
        result.obs_names = adata.obs_names
        result.layers["reconstruction"] = np.concatenate(own)
        return result

    def draw_sizes(
        self, n: int, *, failed: bool, rng: np.random.Generator, fixed: float | None = None
    ) -> npt.NDArray[np.float64]:
        """Library sizes ``(n,)`` of generated cells: of passing or failed training cells."""
        fixed = fixed if fixed is not None else self.default_library_size
        if fixed is not None:
            return np.full(n, float(fixed))
        return draw_sizes(self.library_sizes, n, failed=failed, rng=rng)

    @torch.no_grad()
    def _sample(
        self, label: str, sizes: npt.NDArray[np.float64], states: list[float], seed: int
    ) -> tuple[sp.csr_matrix, npt.NDArray[np.float32]]:
        """Counts and expected counts; the states one below the other."""
        # streams of their own, so that a cell does not depend on how many states it is drawn in
        generator = torch.Generator().manual_seed(seed)
        count_noise = torch.Generator().manual_seed(2**40 + seed)
        kinds = torch.Generator().manual_seed(2**41 + seed)
        latents, _ = self.model.global_posterior(N_DRAWS, generator)
        counts: list[list[sp.csr_matrix]] = [[] for _ in states]
        means: list[list[npt.NDArray[np.float32]]] = [[] for _ in states]
        for i, rows in enumerate(slices_of(len(sizes), -(-len(sizes) // N_DRAWS))):
            n = len(sizes[rows])
            draw = {**draw_of(latents, i % N_DRAWS), **self.model.draw_cells(n, kinds)}
            basal = torch.randn((1, n, self.model.n_latent), generator=generator)
            likelihoods = [
                of_counts(self.likelihood(label, basal, sizes[rows], state, draw))
                for state in states
            ]
            for j, x in enumerate(sample_coupled(likelihoods, count_noise)):
                counts[j].append(sparse_counts(x[0]))
                means[j].append(likelihoods[j].mean[0].numpy())
        return (
            sp.vstack([block for state in counts for block in state], format="csr"),
            np.concatenate([block for state in means for block in state]),
        )

    def likelihood(
        self,
        label: str,
        basal: Tensor,
        sizes: npt.NDArray[np.float64],
        state: float,
        latents: Latents,
    ) -> Likelihood:
        """Cells of a label from noise ``(1, n, D)``, in an artifact state, under one draw."""
        dosage = torch.from_numpy(self.design.rows([label]))
        given = torch.from_numpy(sizes.astype(np.float32)[:, None])
        conditions = Conditions(dosage, torch.full((1, 1), state), given)
        basal = self.model.sample_basal(basal, conditions, latents)
        return self.model.likelihood(basal, conditions, latents)

    def _observed_conditions(self, adata: AnnData, rows: slice) -> Conditions:
        obs = adata.obs.iloc[rows]
        return Conditions(
            torch.from_numpy(self.design.rows(obs["perturbation"].astype(str).tolist())),
            torch.from_numpy(obs["qc_fail"].to_numpy(np.float32)[:, None]),
            torch.from_numpy(obs["library_size"].to_numpy(np.float32)[:, None]),
        )

    def _posterior(
        self, adata: AnnData, rows: slice, latents: Latents, generator: torch.Generator
    ) -> tuple[torch.distributions.Normal, Latents]:
        """Posterior of the basal states of some cells, and what was inferred before it."""
        lifted, conditions = self.lifted(adata, rows)
        of_cells, _ = self.model.infer_cells(lifted, conditions, 1, generator)
        latents = {**latents, **of_cells}
        return self.model.cell_posterior(lifted, conditions, latents), latents

    def lifted(self, adata: AnnData, rows: slice) -> tuple[Tensor, Conditions]:
        """What the encoder makes of some cells' counts, and what is known of the cells."""
        check_genes(adata.var_names, self.genes)
        conditions = self._observed_conditions(adata, rows)
        counts = sp.csr_matrix(adata.X[rows], dtype=np.float32)
        dense = torch.from_numpy(counts.toarray())
        return self.model.lift(dense, conditions.library_size), conditions
