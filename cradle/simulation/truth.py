"""The truth of a simulated screen: effects, artifacts, and where they are kept."""

import numpy as np
import pandas as pd
from anndata import AnnData

from cradle.data.schema import SCHEMA_VERSION
from cradle.simulation.artifacts import KIND_SHARES, KINDS, ArtifactModel, Counts
from cradle.simulation.config import SimulationConfig
from cradle.simulation.design import Design, Floats


def log2_cp10k(counts: Counts, n_genes: int) -> Floats:
    """log2(1 + 1e4·x/l) of the first ``n_genes`` columns; l is the sum over all columns.

    A cell without a count has none of any gene: 0 throughout.
    """
    library_size = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return np.asarray(np.log2(1 + 1e4 * counts[:, :n_genes] / library_size))


def twin_effects(
    model: ArtifactModel, clean: Counts, n_genes: int, rng: np.random.Generator
) -> dict[str, pd.DataFrame]:
    """Mean change that each artifact makes to the cells of ``clean``, on the log2 scale.

    Returns
    -------
    ``own_depth``: each twin at its own library size. ``same_depth``: the deeper twin thinned
    to the library size of the other, which leaves the change of the profile. Each has n_genes
    rows and a column for every kind, and ``average`` over the kinds in their shares.
    """
    tables: dict[str, dict[str, Floats]] = {"own_depth": {}, "same_depth": {}}
    partners = clean[rng.permutation(len(clean))]
    for kind in KINDS:
        failed = model.implant(kind, clean, partners, rng)
        change = log2_cp10k(failed, n_genes) - log2_cp10k(clean, n_genes)
        tables["own_depth"][kind] = change.mean(axis=0)
        depth = np.minimum(failed.sum(axis=1), clean.sum(axis=1))
        thinned = [_thin(counts, depth, rng) for counts in (failed, clean)]
        change = log2_cp10k(thinned[0], n_genes) - log2_cp10k(thinned[1], n_genes)
        tables["same_depth"][kind] = change.mean(axis=0)
    frames = {name: pd.DataFrame(columns) for name, columns in tables.items()}
    for frame in frames.values():
        frame.insert(0, "average", frame[list(KINDS)].to_numpy() @ np.array(KIND_SHARES))
    return frames


def _thin(counts: Counts, depth: Counts, rng: np.random.Generator) -> Counts:
    """Keep ``depth`` of the counts of each cell on average; a cell without counts stays so."""
    return rng.binomial(counts, (depth / np.maximum(counts.sum(axis=1), 1))[:, None])


def record_truth(
    adata: AnnData, design: Design, levels: Floats, twins: dict[str, pd.DataFrame]
) -> None:
    """Write the true effects into a fresh AnnData.

    ``varm["true_effects"]``: expected treatment effect of clean cells against clean control,
    difference of E log2(1 + 1e4·x/l), a column for every label but control.
    ``varm["true_log_effects"]``: natural-log fold changes before normalisation, exactly additive
    for pairs without interaction.
    ``varm["true_artifact_effect"]``, ``varm["true_artifact_effect_same_depth"]``: see
    ``twin_effects``.
    """
    labels = list(design.labels[1:])
    effects = (levels[1:] - levels[0]).T
    adata.varm["true_effects"] = pd.DataFrame(effects, adata.var_names, labels)
    logs = design.log_effects[1:].T
    adata.varm["true_log_effects"] = pd.DataFrame(logs, adata.var_names, labels)
    for slot, name in (("", "own_depth"), ("_same_depth", "same_depth")):
        adata.varm["true_artifact_effect" + slot] = twins[name].set_index(adata.var_names)


def record(
    design: Design, toxicity: Floats, config: SimulationConfig, provenance: dict[str, str]
) -> dict[str, object]:
    """``uns["cradle"]`` of a simulated screen; its ``truth`` tells what was implanted."""
    return {
        "schema_version": SCHEMA_VERSION,
        "name": provenance["name"],
        "provenance": {key: provenance[key] for key in ("source", "notes")},
        "library_size_source": "sum over all genes of the file",
        "dropped": {"unassigned": 0, "zero_count": 0},
        "simulated": True,
        "truth": {
            "labels": np.array(design.labels, dtype=object),
            "toxic_labels": np.array(design.labels, dtype=object)[toxicity > 1],
            "singles": _columns(design.singles),
            "pairs": _columns(design.pairs),
            "artifact_kinds": np.array(KINDS, dtype=object),
            "artifact_shares": np.array(KIND_SHARES),
            "effect_scale": "log2(1 + 1e4 x / library size), clean cells, minus control",
            "log_effect_scale": "natural log, before normalisation",
            "config": config.to_json(),
        },
    }


def _columns(table: pd.DataFrame) -> dict[str, object]:
    columns = {str(name): table[name].to_numpy() for name in table.columns}
    return {"label": table.index.to_numpy(object), **columns}
