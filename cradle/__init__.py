"""CRADLE-VAE and its rivals: predictions of single-cell gene perturbations.

The public names load on first use, so that ``import cradle`` stays cheap.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "load": "cradle.data.sources",
    "fit": "cradle.fitting",
    "Run": "cradle.runs",
    "InputError": "cradle.errors",
}
__all__ = [*_PUBLIC, "__version__"]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'cradle' has no attribute {name!r}")
