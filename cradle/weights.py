"""Weights on disk: safetensors, checked for names, shapes and values before they are used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cradle.errors import InputError
from cradle.run_tables import damaged

if TYPE_CHECKING:
    from torch import Tensor

Shapes = dict[str, tuple[int, ...]]


def network_of(factory: Callable[[Any, Any], Any], shape: Any, config: Any, path: Path) -> Any:
    """A network with the weights of a file.

    The settings of a run may ask for a network of any size; it is first laid out without memory
    and compared with what the file holds.

    Raises
    ------
    InputError
        The file is damaged or belongs to another network.
    """
    import torch

    tensors = read_tensors(path)
    with torch.device("meta"):
        _check_shapes(shapes_of(factory(shape, config).state_dict()), tensors, path)
    model = factory(shape, config)
    _fill(model, tensors, path)
    return model


def load_weights(model: Any, path: Path) -> None:
    """Put weights into a network after checking names, shapes and values.

    Raises
    ------
    InputError
        The file is damaged or belongs to another network.
    """
    tensors = read_tensors(path)
    _check_shapes(shapes_of(model.state_dict()), tensors, path)
    _fill(model, tensors, path)


def shapes_of(tensors: Mapping[str, Tensor]) -> Shapes:
    """Shape by name."""
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _check_shapes(wanted: Shapes, tensors: Mapping[str, Tensor], path: Path) -> None:
    found = shapes_of(tensors)
    if wanted != found:
        different = sorted(k for k in wanted.keys() | found.keys() if wanted.get(k) != found.get(k))
        raise InputError(
            "The weights do not fit the model.",
            f"{path}: {', '.join(name[:80] for name in different[:5])} differ.",
            "Use the run directory as it was written, or fit again.",
        )


def _fill(model: Any, tensors: Mapping[str, Tensor], path: Path) -> None:
    bad = [k for k, v in tensors.items() if not v.isfinite().all()]
    if bad:
        raise InputError(
            "The weights hold values that are not finite.",
            f"{path}: {', '.join(bad[:5])}.",
            "Fit the model again.",
        )
    model.load_state_dict(tensors)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file (InputError when it is damaged or absent)."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(path))
    except (SafetensorError, OSError, ValueError, KeyError, RuntimeError) as error:
        raise damaged(path, type(error).__name__) from error


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write a safetensors file, whole or not at all."""
    from safetensors.torch import save_file

    from cradle.files import atomic_path

    with atomic_path(path) as temporary:
        save_file({k: v.contiguous() for k, v in tensors.items()}, temporary)
