"""What a map can hold, and that the shipped maps are of the shipped cells."""

import pytest

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
