"""Expected expression from the table of each gene, against the integral that it tabulates."""

import numpy as np
import torch

from cradle.expression_levels import ExpectationTable, Levels
from cradle.fitting import fit
from cradle.nn.likelihoods import GammaPoisson

LOG_THETA = torch.tensor([-3.0, -0.4, 0.0, 1.3, 5.0])
SIZES = np.array([400.0, 3_000.0, 60_000.0])


def test_table_is_the_mean_over_library_sizes():
    log_rate = torch.empty(40, 5).uniform_(-16, -0.1, generator=torch.Generator().manual_seed(0))
    sizes = torch.from_numpy(SIZES)[:, None]
    exact = [
        GammaPoisson(row.double().expand(3, 5), sizes, LOG_THETA.double())
        .expected_log2_cp10k(64)
        .mean(0)
        for row in log_rate
    ]
    found = ExpectationTable(LOG_THETA, SIZES)(log_rate)
    torch.testing.assert_close(found, torch.stack(exact).float(), atol=3e-4, rtol=0)


def test_table_holds_at_its_ends():
    ends = ExpectationTable(LOG_THETA, SIZES)(torch.tensor([[-60.0] * 5, [0.0] * 5]))
    assert (ends[0] < 1e-4).all()
    assert (ends[1, 2:] > 8).all()


def test_level_of_a_draw_depends_on_no_other_draw(screen, tmp_path, monkeypatch):
    settings = {"n_latent": 8, "n_hidden": 16, "batch_size": 128, "learning_rate": 3e-3}
    run = fit(screen, "cradle_vae", settings, out=tmp_path / "run", epochs=3)
    levels = Levels.drawn(run.predictor(), n_draws=5, n_cells=6, seed=0, failed=False)
    together = levels.of(run.perturbed_genes[0])
    monkeypatch.setattr("cradle.expression_levels.MAX_VALUES", 1)
    np.testing.assert_allclose(levels.of(run.perturbed_genes[0]), together, atol=2e-6)
    assert together.shape == (5, len(run.genes))
    assert (together.std(axis=0) > 0).any()
