"""A file as a user may bring it, and when two standard datasets are the same."""

import anndata
import numpy as np
import pandas as pd
import scipy.sparse as sp

COUNTS = np.array([[1, 0, 2], [0, 3, 0], [4, 0, 1], [1, 1, 1], [2, 2, 0]], dtype=np.float32)
LABELS = ["control", "A", "B", "A+B", "control"]


def raw_file(counts=COUNTS, labels=LABELS, genes=("A", "B", "C"), **obs) -> anndata.AnnData:
    table = pd.DataFrame(
        obs if labels is None else {"perturbation": labels, **obs},
        index=[f"cell{i}" for i in range(counts.shape[0])],
    )
    return anndata.AnnData(sp.csr_matrix(counts), obs=table, var=pd.DataFrame(index=[*genes]))


def same(first: anndata.AnnData, second: anndata.AnnData) -> bool:
    return (
        (first.X != second.X).nnz == 0
        and first.X.dtype == second.X.dtype
        and first.obs.equals(second.obs)
        and first.var_names.equals(second.var_names)
    )
