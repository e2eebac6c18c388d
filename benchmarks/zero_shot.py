"""All pairs of a screen from its single perturbations: the benchmark of Jiang et al. 2026.

    python -m benchmarks.zero_shot --studies norman_subset_zero_shot --seeds 0
    python -m benchmarks.zero_shot --models perturbed_vae,conditional_vae --seeds 0,1,2

Models learn from control and single perturbations; every combination is held out. Pairs with a
gene that was never perturbed alone are not scored. To the scores of every benchmark come those of
``cradle.evaluation.unpaired``. What a model *draws*: counts, brought to ln(1 + 1e4·x/ℓ); of a
model of expression its decoded means, as the paper takes them, without the noise of the likelihood;
of a baseline the control cells of training, moved by the predicted effect. By default both studies,
every model and baseline, seed 0, 3 MAD; tables as ``benchmarks.study`` writes them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from benchmarks import study
from cradle.benchmark.scores import Row
from cradle.data.schema import CONTROL
from cradle.errors import InputError
from cradle.evaluation.field_cells import N_CELLS, Space
from cradle.evaluation.field_metrics import energy_distance
from cradle.evaluation.moments import log2_expression
from cradle.evaluation.report import cells_of_run
from cradle.evaluation.unpaired import UNPAIRED_METRICS, VARIANCE, unpaired_scores
from cradle.models.base import draw_of
from cradle.nn.likelihoods import GaussianExpression

if TYPE_CHECKING:
    from anndata import AnnData

    from cradle.prediction import Predictor
    from cradle.runs import Run

STUDIES = ("norman_subset_zero_shot", "simulated_zero_shot")
FloatArray = npt.NDArray[np.floating]


def zero_shot_rows(run: Run, adata: AnnData) -> Iterator[Row]:
    """Scores of a run on the held-out pairs, means over pairs, and those of perfect predictions.

    ``replicate``: one random half of the observed cells as the drawn ones. ``ceiling``: the
    observed cells themselves.
    """
    cells = cells_of_run(run, adata)
    label = cells.obs["perturbation"].astype(str).to_numpy()
    train = (cells.obs["split"] == "train").to_numpy()
    space = Space.fitted(cells, np.flatnonzero(train))
    control = _expression(cells[train & (label == CONTROL)])
    tables: dict[str, list[dict[str, float]]] = {run.model_name: [], "replicate": [], "ceiling": []}
    pairs = [p for p in run.held_out if run.support(p) == "held-out combination"]
    for i, pair in enumerate(sorted(pairs)):
        seen = _expression(cells[label == pair])
        order = np.random.default_rng(i).permutation(len(seen))
        others = {"replicate": (seen[order[::2]], seen[order[1::2]]), "ceiling": (seen, seen)}
        drawn = drawn_cells(run, pair, control, i)
        if drawn is not None:
            others[run.model_name] = (seen, drawn)
        for name, (observed, told) in others.items():
            found = unpaired_scores(observed, told, control)
            if name != "ceiling":
                found["drawn_energy_distance"] = energy_distance(
                    space.locate(observed[:N_CELLS]), space.locate(told[:N_CELLS])
                )
            tables[name].append(found)
    for name, rows in tables.items():
        for metric in (*UNPAIRED_METRICS, VARIANCE):
            values = [row[metric] for row in rows if metric in row]
            yield name, "test", metric, float(np.mean(values)) if values else None


def drawn_cells(
    run: Run, label: str, control: FloatArray, seed: int, n_cells: int = 512
) -> FloatArray | None:
    """What a model draws for a perturbation, ln units; None where it is not applicable.

    Parameters
    ----------
    control
        Control cells of training, ``(n_cells, n_genes)``, ln units.
    """
    predictor: Any = run.predictor()
    if not run.spec.is_network:
        effect = predictor.treatment_effects([label]).mean[0]
        return control + np.log(2.0) * effect if np.isfinite(effect).all() else None
    if not run.design.expresses(label):
        return None
    if run.spec.generates:
        return _expression(predictor.generate(label, n_cells, seed=seed))
    return _decoded(predictor, label, n_cells, seed)


@torch.no_grad()
def _decoded(predictor: Predictor, label: str, n_cells: int, seed: int) -> FloatArray:
    """Means of the likelihood of expression over drawn states, ``(n_cells, n_genes)``."""
    generator = torch.Generator().manual_seed(seed)
    latents, _ = predictor.model.global_posterior(1, generator)
    basal = torch.randn((1, n_cells, predictor.model.n_latent), generator=generator)
    found = predictor.likelihood(label, basal, np.full(1, 1e4), 0.0, draw_of(latents, 0))
    assert isinstance(found, GaussianExpression)
    return found.location[0].double().numpy()


def _expression(cells: AnnData) -> FloatArray:
    size = cells.obs["library_size"].to_numpy(float)
    return np.asarray(log2_expression(cells.X, size).toarray() * np.log(2.0))


def main() -> None:
    """Carry out the studies; exit code 2 when the arguments are at fault."""
    from cradle.models.baselines import BASELINES

    parser = study.parser(some=True)
    parser.prog, parser.description = "python -m benchmarks.zero_shot", __doc__
    parser.add_argument("--studies", type=study.listed(str), default=STUDIES)
    parser.set_defaults(
        models=(*study.default_models(), *BASELINES), seeds=(0,), mad=(3.0,), name=None
    )
    arguments = parser.parse_args()
    try:
        for name in arguments.studies:
            arguments.study = name
            study.carry_out(arguments, further=zero_shot_rows)
    except InputError as error:
        print(f"{error.what}\n  Found: {error.found}\n  Do: {error.do}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
