"""What a kill may have left: files that cannot be read, and runs that differ."""

import gzip
import hashlib
import io
import json
import random
from collections.abc import Callable
from pathlib import Path

import pandas as pd

#: What ``fetch`` downloads.
CONTENT = random.Random(0).randbytes(2**20)
SAME = (
    "weights.safetensors", "history.csv", "moments.safetensors", "predicted_effects.safetensors",
    "metrics.json", "split.csv.gz", "thresholds.json", "genes.csv",
)  # fmt: skip


def damaged(folder: Path) -> list[str]:
    """Files at final paths that cannot be read to their end."""
    return [str(p.relative_to(folder)) for p in folder.rglob("*")
            if p.is_file() and not p.name.startswith(".") and not whole(p)]  # fmt: skip


def whole(path: Path) -> bool:
    from safetensors.torch import load_file

    readers: dict[str, Callable[[Path], object]] = {
        ".json": lambda p: json.loads(p.read_text()),
        ".csv": lambda p: pd.read_csv(p),
        ".gz": lambda p: pd.read_csv(io.BytesIO(gzip.decompress(p.read_bytes()))),
        ".safetensors": load_file,
        ".h5ad": _cells,
    }
    try:
        readers.get(path.suffix, lambda p: p.read_bytes())(path)
    except Exception:
        return False
    return True


def _cells(path: Path) -> None:
    if path.name == "remote.h5ad":
        assert hashlib.md5(path.read_bytes()).hexdigest() == hashlib.md5(CONTENT).hexdigest()
        return
    import anndata

    assert anndata.read_h5ad(path).n_obs in (50, 200, 500)


def same(first: Path, second: Path) -> list[str]:
    """Files of two runs that differ in content."""
    from safetensors.numpy import load_file

    different = []
    for name in SAME:
        a, b = first / name, second / name
        if a.suffix == ".safetensors":  # the order of names inside the file is free
            left, right = load_file(a), load_file(b)
            equal = left.keys() == right.keys() and all(
                left[k].tobytes() == right[k].tobytes() for k in left
            )
        else:
            equal = a.read_bytes() == b.read_bytes()
        if not equal:
            different.append(name)
    return different
