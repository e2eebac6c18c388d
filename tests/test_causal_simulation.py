"""The causal simulation: its worlds, and a table that is added to and never done again."""

import sys

import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks import causal_simulation as simulation
from benchmarks.causal_world import GENES, TRAINED, World, sample


@pytest.fixture
def world():
    return World.drawn(0)


def _cells(world, label, n=4000):
    dosage = torch.zeros(n, len(GENES))
    dosage[:, [GENES.index(gene) for gene in label]] = 1
    return world.latents(dosage, torch.Generator().manual_seed(1))


def test_the_background_knows_nothing_of_the_perturbation(world):
    (before, background), (after, same) = _cells(world, ""), _cells(world, "A")
    torch.testing.assert_close(same, background)
    assert (after - before)[:, 0].abs().min() > 2, "the latent of A is shifted"


def test_worlds_differ_in_what_their_names_say(world):
    responsive, background = _cells(world, "")
    doubled = world.linear().expression(2 * responsive, 2 * background) - 6
    torch.testing.assert_close(doubled, 2 * (world.linear().expression(responsive, background) - 6))
    apart, _ = _cells(world.apart(), "")
    correlation = np.corrcoef(apart.T.numpy(), background.T.numpy())[:5, 5:]
    assert np.abs(correlation).max() < 0.08
    share = [
        float((w.invariant**2).sum() / (w.responsive**2).sum()) for w in (world, world.dominant())
    ]
    assert share[1] > 5 * share[0]


def test_samples_hold_control_and_single_perturbations(world):
    found = sample(world, 900, 0)
    counts = np.bincount(found.labels, minlength=len(TRAINED))
    assert counts[0] > 2 * counts[1:].max()
    assert (counts > 0).all()


def test_rows_that_are_there_are_not_made_again(tmp_path, monkeypatch):
    made = []

    def carried_out(circumstances, alignment, seed):
        made.append((alignment, seed))
        return {"invariant_r2": 0.5}

    monkeypatch.setattr(simulation, "FILE", tmp_path / "table.csv")
    monkeypatch.setattr(simulation, "carried_out", carried_out)
    asked = ["x", "--tries", "matched KL", "--alignments", "none;means, 0.5", "--seeds"]
    for seeds in ("0", "0,1"):
        monkeypatch.setattr(sys, "argv", [*asked, seeds])
        simulation.main()
    assert made == [("none", 0), ("means, 0.5", 0), ("none", 1), ("means, 0.5", 1)]
    table = pd.read_csv(tmp_path / "table.csv")
    assert len(table) == 4
    assert list(table.columns) == ["try", "alignment", "seed", "metric", "value"]


def test_every_alignment_and_try_is_a_setting_that_exists():
    from cradle.models.registry import model_spec

    for name, settings in simulation.ALIGNMENTS.values():
        for circumstances in simulation.TRIES.values():
            model_spec(name).config({**simulation.SETTINGS, **circumstances.settings, **settings})


def test_the_committed_table_shows_what_the_readme_says():
    """Aligned means keep more of the background and tell less of the perturbation; cells do not."""
    table = pd.read_csv(simulation.FILE)
    own = table[(table["try"] == "matched KL") & (table["seed"] == 0)]
    found = own.pivot_table(index="alignment", columns="metric", values="value")
    for means in ("means, 0.05", "means, 0.5"):
        assert found.loc[means, "invariant_r2"] > found.loc["none", "invariant_r2"] + 0.05
        assert found.loc[means, "probe_z_invariant"] < found.loc["none", "probe_z_invariant"] - 0.3
    assert found.loc["cells, 0.05", "invariant_r2"] < found.loc["none", "invariant_r2"]
    assert found.loc["cells, 0.05", "probe_z_invariant"] > found.loc["none", "probe_z_invariant"]
