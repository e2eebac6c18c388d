"""Moments and effects survive the disk; damaged files are refused."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from cradle.errors import InputError
from cradle.evaluation.effects import Effects
from cradle.evaluation.moments import Moments, compute_moments
from cradle.evaluation.storage import load_effects, save_effects


def test_moments_come_back_bit_for_bit(cells, tmp_path):
    moments = compute_moments(cells)
    moments.save(tmp_path / "moments.safetensors")
    loaded = Moments.load(tmp_path / "moments.safetensors")
    assert loaded.genes == moments.genes
    assert loaded.groups.astype(str).equals(moments.groups.astype(str))
    assert np.array_equal(loaded.mean, moments.mean)
    assert np.array_equal(loaded.pool().var, moments.pool().var)


def test_effects_come_back_with_their_rows_that_do_not_apply(tmp_path):
    mean = np.array([[1.5, -2.0], [np.nan, np.nan]], dtype=np.float32)
    effects = Effects(("A", "A+B"), ("x", "y"), mean, mean - 1, mean + 1)
    save_effects(effects, tmp_path / "effects.safetensors")
    loaded = load_effects(tmp_path / "effects.safetensors")
    assert (loaded.perturbations, loaded.genes) == (effects.perturbations, effects.genes)
    np.testing.assert_array_equal(loaded.mean, mean)
    np.testing.assert_array_equal(loaded.upper, mean + 1)
    assert loaded.applicable == ("A",)


@pytest.mark.parametrize("content", [b"", b"not a safetensors file", None])
def test_a_damaged_file_is_named(tmp_path, content):
    path = tmp_path / "moments.safetensors"
    if content is None:
        save_file({"mean": np.zeros((1, 1), np.float32)}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"moments\.safetensors"):
        Moments.load(path)


def test_tampered_values_are_refused(cells, tmp_path):
    moments = compute_moments(cells)
    path = tmp_path / "moments.safetensors"
    Moments(moments.groups, moments.genes, moments.mean * np.nan, moments.m2).save(path)
    with pytest.raises(InputError, match="finite"):
        Moments.load(path)
    Moments(moments.groups, moments.genes[:-1], moments.mean, moments.m2).save(path)
    with pytest.raises(InputError, match="shape"):
        Moments.load(path)


def test_partly_missing_effects_are_refused(tmp_path):
    path = tmp_path / "effects.safetensors"
    save_effects(Effects(("A",), ("x", "y"), np.array([[1.0, np.nan]])), path)
    with pytest.raises(InputError, match="partly NaN"):
        load_effects(path)


def test_an_absent_file_is_an_input_error(tmp_path):
    with pytest.raises(InputError):
        load_effects(tmp_path / "effects.safetensors")
