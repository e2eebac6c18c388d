"""Where the parts of a small Zarr store lie, of format 2 or 3."""

import json
from pathlib import Path


def metadata(folder: Path, name: str) -> Path:
    """The file that says what an array is."""
    return next(
        path for kind in ("zarr.json", ".zarray") if (path := folder / name / kind).exists()
    )


def change(path: Path, **values) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def block(folder: Path, name: str) -> Path:
    """The first block of a vector."""
    return next(path for part in ("0", "c/0") if (path := folder / name / part).is_file())
