"""Good files and run directories, small, from which the mutations start."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# In a process of its own: the campaign forks for every file and must stay small.
_MAKE = """
import sys
from pathlib import Path
import anndata as ad, numpy as np, pandas as pd, scipy.sparse as sp
from cradle.data.preparation import prepare
from cradle.fitting import fit
from cradle.simulation import SimulationConfig, simulate

folder, what = Path(sys.argv[1]), sys.argv[2]
folder.mkdir(parents=True, exist_ok=True)
screen = simulate(SimulationConfig(n_cells=400, n_genes=250, n_perturbations=4, n_pairs=3,
                                   n_batches=2))
if what == "files":
    def small(layout, dtype="f4"):
        draw = np.random.default_rng(0)
        x = draw.poisson(2.0, (40, 25)).astype(dtype)
        obs = pd.DataFrame(
            {"guide": pd.Categorical(["ctrl", "KLF1", "MAP2K6", "KLF1_MAP2K6"] * 10),
             "batch": ["a", "b"] * 20, "ncounts": x.sum(1) + 5.0,
             "flag": pd.array([True, None] * 20, dtype="boolean")},
            index=[f"cell{i}" for i in range(40)])
        genes = ["KLF1", "MAP2K6", "MT-ND1", "RPS3", *(f"GENE{i}" for i in range(21))]
        var = pd.DataFrame({"symbol": genes}, index=[f"ENSG{i:011d}" for i in range(25)])
        return ad.AnnData(layout(x), obs=obs, var=var, uns={"note": "a", "deep": {"b": 1}})

    small(sp.csr_matrix).write_h5ad(folder / "csr.h5ad")
    small(sp.csc_matrix, "i8").write_h5ad(folder / "csc.h5ad", compression="gzip")
    small(np.asarray, "f8").write_h5ad(folder / "dense.h5ad", compression="lzf")
    layered = small(sp.csr_matrix)
    layered.layers["counts"] = layered.X.copy()
    layered.raw = layered.copy()
    layered.X = layered.X.log1p()
    layered.obsm["X_pca"] = np.zeros((40, 2))
    layered.obsp["near"] = sp.identity(40, format="csr")
    layered.write_h5ad(folder / "layers.h5ad")
    prepare(screen).adata[:120].copy().write_h5ad(folder / "standard.h5ad", compression="gzip")
elif what == "stores":
    import warnings
    warnings.simplefilter("ignore")  # what zarr says of its own future
    for path in sorted((folder.parent / "files").glob("*.h5ad")):
        for version, shards in ((2, False), (3, False), (3, True)):
            name = f"{path.stem}{version}{'s' * shards}.zarr"
            with ad.settings.override(zarr_write_format=version, auto_shard_zarr_v3=shards):
                ad.read_h5ad(path).write_zarr(folder / name)
else:
    quick = {"n_latent": 4, "n_hidden": 8}
    fit(screen, "cradle_vae", quick, out=folder / "cradle_vae", epochs=2)
    fit(screen, "additive", out=folder / "additive")
"""


def files(folder: Path) -> list[Path]:
    """CSR, CSC, dense, layered and standard `.h5ad` files."""
    _make(folder / "files", "files")
    return sorted((folder / "files").glob("*.h5ad"))


def stores(folder: Path) -> list[Path]:
    """The same datasets as Zarr stores of format 2, 3, and 3 with shards; after ``files``."""
    _make(folder / "stores", "stores")
    return sorted((folder / "stores").glob("*.zarr"))


def runs(folder: Path) -> list[Path]:
    """A network's run directory and a baseline's; the network three times as often."""
    _make(folder / "runs", "runs")
    return [folder / "runs" / name for name in ("cradle_vae", "cradle_vae", "cradle_vae",
                                                "additive")]  # fmt: skip


def _make(folder: Path, what: str) -> None:
    subprocess.run([sys.executable, "-c", _MAKE, str(folder), what], cwd=ROOT, check=True)
