"""What a map can hold, and that the shipped maps are of the shipped cells."""

import numpy as np
import pytest
import scipy.sparse as sp

from cradle.embedding import principal_components
from cradle.errors import InputError
from cradle.ui import embedding, library, map_store
from cradle.ui.embedding import within_limit


@pytest.mark.parametrize(
    ("asked", "drawn"), [((2000, 100, 12), (2000, 100)), ((30_000, 1250, 24), (15_000, 625))]
)
def test_a_map_holds_no_more_than_its_limit(
    asked: tuple[int, int, int], drawn: tuple[int, int]
) -> None:
    assert within_limit(*asked, limit=30_000) == drawn
    assert drawn[0] + drawn[1] * asked[2] <= 30_000


def test_shipped_maps_are_of_the_shipped_runs() -> None:
    from scripts.build_maps import first_request

    runs = sorted(library.SHIPPED_RUNS.glob("*/DONE"))
    if not runs:
        pytest.skip("no run is shipped")
    requests = [first_request(path.parent.name) for path in runs]
    names = {f"{embedding.map_name(request)}.npz" for request in requests}
    assert {path.name for path in map_store.SHIPPED.glob("*.npz")} == names, (
        "run python -m scripts.build_maps"
    )
    for request in requests:
        stored = map_store.read(embedding.map_name(request))
        assert stored is not None
        assert set(stored.obs["perturbation"]) == set(request.perturbations)


def test_projected_cells_do_not_move_the_map_of_the_observed_ones() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 6))
    x[60:, 5] += 50  # the projected cells lie elsewhere
    observed = np.arange(80) < 60
    alone, _ = principal_components(sp.csr_matrix(x[:60]), 0)
    projected, _ = principal_components(sp.csr_matrix(x), 0, observed)
    np.testing.assert_allclose(projected[:60], alone, atol=1e-4)
    joint, shares = principal_components(sp.csr_matrix(x), 0)
    assert shares.sum() <= 1
    np.testing.assert_allclose(shares, joint.var(axis=0) / x.var(axis=0).sum(), rtol=1e-4)
    # taking part, they pull the centre away from every observed cell
    assert np.abs(joint[:60, 0]).min() > np.abs(alone[:, 0]).max()


def test_a_map_that_cannot_be_made_is_refused_with_what_to_do() -> None:
    request = embedding.MapRequest("demo", None, ("control",), 500, 0, False, "t-SNE", 0)
    embedding.check_basis(request)
    with pytest.raises(InputError, match="t-SNE"):
        embedding.check_basis(request._replace(basis="observed cells"))
    with pytest.raises(InputError, match="too few observed"):
        embedding.check_basis(request._replace(basis="observed cells", method="UMAP", n_observed=3))
