"""An uploaded file becomes a dataset under a name of ours, or one plain error."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from cradle.data.schema import validate
from cradle.data.standardize import InputSpec
from cradle.errors import InputError
from cradle.ui import library, store
from cradle.ui.uploads import accept


@pytest.fixture
def file(tmp_path: "object") -> bytes:
    rng = np.random.default_rng(0)
    counts = sp.csr_matrix(rng.poisson(1.0, (30, 12)).astype(np.float32))
    obs = pd.DataFrame(
        {"perturbation": np.repeat(["control", "KLF1", "KLF1+MAP2K6"], 10)},
        index=[f"c{i}" for i in range(30)],
    )
    var = pd.DataFrame(index=["KLF1", "MAP2K6", *(f"GENE{i}" for i in range(10))])
    path = tmp_path / "own.h5ad"  # type: ignore[operator]
    ad.AnnData(counts, obs=obs, var=var).write_h5ad(path)
    return bytes(path.read_bytes())


def test_own_file_is_kept_in_standard_form_under_our_name(file: bytes) -> None:
    name = accept(file, "../../own")
    assert library._UPLOAD.fullmatch(name)
    assert accept(file, "again") == name
    adata = store.cells_of(str(library.upload_path(name)))
    assert adata.shape == (30, 12)
    assert validate(adata) == []
    assert sorted(library.upload_path(name).parent.iterdir()) == [library.upload_path(name)]


@pytest.mark.parametrize("content", [b"", b"not a file", b"\x89HDF\r\n\x1a\n" + b"\0" * 50])
def test_what_is_no_dataset_is_refused_and_leaves_nothing(content: bytes) -> None:
    with pytest.raises(InputError):
        accept(content, "bad")
    folder = library.upload_path("upload-000000000000").parent
    assert not folder.exists() or not list(folder.iterdir())


def test_the_way_of_reading_is_part_of_the_name(file: bytes) -> None:
    plain = accept(file, "own")
    whole = accept(file, "own", InputSpec(separator="none", batch=""))
    assert plain != whole
    assert accept(file, "own", InputSpec()) == plain
    assert store.cells_of(str(library.upload_path(whole))).n_obs == 30


def test_an_upload_says_what_it_is_called_and_whether_it_was_simulated(
    file: bytes, screen_file, monkeypatch
) -> None:
    measured, simulated = accept(file, "own"), accept(screen_file.read_bytes(), "theirs")
    monkeypatch.setattr(library.st, "session_state", {"uploads": {measured: None, simulated: None}})
    listed = library.datasets()
    assert (listed[measured].simulated, listed[simulated].simulated) == (False, True)
    assert [name for name, entry in listed.items() if entry.uploaded] == [measured, simulated]
    assert listed[measured].option == f"own · {measured}"
    # a visitor who follows the link has uploaded nothing, and is told the same
    assert library._recorded(str(library.upload_path(measured))) == ("own", False)


def test_a_standard_file_without_a_name_is_offered_all_the_same(screen_file, tmp_path) -> None:
    screen = ad.read_h5ad(screen_file)
    for key in ("name", "simulated"):
        del screen.uns["cradle"][key]
    path = tmp_path / "nameless.h5ad"
    screen.write_h5ad(path)
    name = accept(path.read_bytes(), "own")
    assert library._recorded(str(library.upload_path(name))) == ("Uploaded file", False)
