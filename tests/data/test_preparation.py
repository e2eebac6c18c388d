"""A dataset made ready for training measures what counts, and nothing that costs more."""

import numpy as np
import pytest

from cradle.data import qc_metrics
from cradle.data.preparation import prepare
from cradle.data.qc import CRITERIA


@pytest.fixture
def calls(monkeypatch) -> list[int]:
    """Cells of each search for doublets."""
    search, seen = qc_metrics.call_doublets, []

    def counted(adata, **options):
        seen.append(adata.n_obs)
        return search(adata, **options)

    monkeypatch.setattr(qc_metrics, "call_doublets", counted)
    return seen


def test_doublets_that_do_not_count_are_not_looked_for(screen, calls):
    others = [name for name in CRITERIA if name != "doublet"]
    ready = prepare(screen, criteria=others)
    assert calls == []
    doublet = ready.thresholds["doublet"]
    assert (doublet.measurable, doublet.reason) == (False, "Doublets were not asked for.")
    assert np.isnan(ready.adata.obs["doublet"]).all()
    assert (ready.adata.obs["fails_doublet"] != 1).all()
    assert 0 < ready.adata.obs["qc_fail"].mean() < 1


def test_doublets_that_count_are_looked_for_once(screen, calls):
    ready = prepare(screen, criteria=["mt_percent", "doublet"])
    assert calls == [screen.n_obs]
    # this screen is too small for Scrublet, which says so itself
    assert "usable for Scrublet" in ready.thresholds["doublet"].reason
