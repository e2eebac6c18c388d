"""Build what the app shows at once: the maps with which the page Embeddings opens.

Run after the shipped runs have changed: ``python -m scripts.build_maps``. Writes
``assets/maps/*.npz``, one per shipped run, and puts the quality values that the demo's run was
trained with into ``assets/demo.h5ad``, so that the app does not call doublets again.
"""

import argparse
import shutil

from cradle.data.qc import annotate, cell_metrics
from cradle.data.sources import data_hash, load
from cradle.files import write_h5ad
from cradle.runs import Run
from cradle.ui import embedding, embedding_view, library, map_store
from cradle.ui.navigation import ROOT
from cradle.ui.sidebar import Choices

DEMO = ROOT / "assets" / "demo.h5ad"


def main() -> None:
    """Store the demo's quality values, then the default map of every shipped run."""
    parser = argparse.ArgumentParser(prog="python -m scripts.build_maps", description=__doc__)
    parser.parse_args()
    store_quality("demo_cradle_vae")
    store_maps()


def store_maps() -> None:
    """The map with which Embeddings opens, for every shipped run."""
    shutil.rmtree(map_store.SHIPPED, ignore_errors=True)
    for name in sorted(path.parent.name for path in library.SHIPPED_RUNS.glob("*/DONE")):
        build_map(name)


def store_quality(run_name: str) -> None:
    """Put the quality columns into the demo; its data hash stays: it covers no such columns."""
    adata, run = load("demo"), Run.load(library.SHIPPED_RUNS / run_name)
    reference = run.split.reindex(adata.obs_names).isin(["train", "val"]).to_numpy(bool)
    metrics = cell_metrics(adata, reference_cells=reference, hb_genes=run.thresholds.hb_genes)
    flagged = annotate(adata, run.thresholds, metrics=metrics)
    failed = flagged.obs["qc_fail"] & (run.split.reindex(adata.obs_names) == "train").to_numpy()
    assert failed.sum() == run.perturbations["n_fail_train"].sum(), "not the flags of the training"
    assert run.provenance["data"]["hash"] == data_hash(adata), "not the data of the training"
    write_h5ad(DEMO, flagged)


def build_map(run_name: str) -> None:
    """Compute the map with which the page opens for a shipped run."""
    request = first_request(run_name)
    stored = embedding.computed(request)
    map_store.write(embedding.map_name(request), stored, map_store.SHIPPED)
    print(f"{run_name}: a map of {len(stored.obs):,} cells")


def first_request(run_name: str) -> embedding.MapRequest:
    """What the form asks for before anyone touches it, where only shipped cells are there."""
    run = Run.load(library.SHIPPED_RUNS / run_name)
    data = run.provenance["data"]
    source = "demo" if data["simulated"] else None
    dataset = library.DatasetEntry(data["name"], "", source, data["simulated"])
    entry = library.RunEntry(run_name, run.path, data["name"], data["hash"])
    return embedding_view.default_request(Choices(dataset, 3.0, (), entry))


if __name__ == "__main__":
    main()
