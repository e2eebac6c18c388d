"""From a screen to a run directory: what is in it, and what must never be."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from cradle.data.preparation import perturbation_table, prepare
from cradle.errors import InputError
from cradle.evaluation.moments import Moments
from cradle.fitting import fit
from cradle.processes import Processes
from cradle.runs import Run

QUICK = {"n_latent": 8, "n_hidden": 16, "batch_size": 128, "learning_rate": 3e-3}
FILES = {
    "config.json", "weights.safetensors", "genes.csv", "perturbations.csv", "thresholds.json",
    "split.csv.gz", "history.csv", "provenance.json", "library_sizes.csv",
    "observed_effects.csv", "metrics.json", "resume", "DONE",
}  # fmt: skip


@pytest.fixture(scope="module")
def run(_small_screen, tmp_path_factory):
    return fit(
        _small_screen.copy(),
        "cradle_vae",
        QUICK,
        out=tmp_path_factory.mktemp("runs") / "run",
        epochs=3,
    )


def test_the_run_directory_holds_what_the_interface_says(run):
    assert {p.name for p in run.path.iterdir()} >= FILES
    assert run.provenance["data"]["hash"] == run.config["data_hash"]
    assert run.provenance["data"]["simulated"] is True
    assert run.provenance["data"]["gene_selection"]["n_genes"] == len(run.genes)
    assert {"torch", "cradle", "python"} <= run.provenance["versions"].keys()


def test_tables_agree_with_the_cells(run, screen):
    cells = screen.obs.join(run.split.rename("split"))
    table = run.perturbations.set_index("perturbation")
    for label, row in table.iterrows():
        here = cells[cells["perturbation"] == label]
        for split in ("train", "val", "test"):
            assert row[f"n_{split}"] == (here["split"] == split).sum()
    assert set(run.held_out) == set(table.index[(table["n_train"] == 0) & (table["n_test"] > 0)])
    assert len(run.held_out) >= 1
    assert run.library_sizes["artifact"].isin([0, 1]).all()
    assert len(run.library_sizes) == (cells["split"] == "train").sum()


def test_support_follows_the_split(run):
    assert run.support(run.held_out[0]) == "held-out combination"
    seen = run.perturbations.query("n_train > 0 and perturbation != 'control'")["perturbation"]
    assert run.support(seen.iloc[0]) == "seen"


def test_what_was_measured_but_not_trained_on_is_not_called_never_measured(run, monkeypatch):
    table = run.perturbations
    pair = next(p for p in table.query("n_train > 0")["perturbation"] if "+" in p)
    none = table.assign(n_train=table["n_train"].where(table["perturbation"] != pair, 0))
    monkeypatch.setitem(run.__dict__, "perturbations", none)
    assert run.support(pair) == "held-out combination"


def test_changing_held_out_cells_changes_nothing_that_is_fitted(screen, tmp_path):
    """Thresholds, genes, encoder statistics, counterfactuals, weights: all from training cells."""
    first = fit(screen, "cradle_vae", QUICK, out=tmp_path / "first", epochs=2)
    split = first.split.reindex(screen.obs_names)
    changed = screen.copy()
    counts = changed.X.tolil()
    counts[np.flatnonzero((split == "test").to_numpy()), 0] = 500
    changed.X = counts.tocsr()
    changed.obs["library_size"] = np.asarray(changed.X.sum(1)).ravel()
    second = fit(changed, "cradle_vae", QUICK, out=tmp_path / "second", epochs=2)
    for name in ("thresholds.json", "genes.csv", "library_sizes.csv", "history.csv"):
        assert (first.path / name).read_bytes() == (second.path / name).read_bytes(), name
    weights = [(r.path / "weights.safetensors").read_bytes() for r in (first, second)]
    assert weights[0] == weights[1]


@pytest.fixture(scope="module")
def passing(_small_screen, tmp_path_factory):
    """As ``run``, of QC-passing cells alone."""
    out = tmp_path_factory.mktemp("runs") / "passing"
    return fit(_small_screen.copy(), "cradle_vae", QUICK, out=out, epochs=3, train_cells="passing")


def test_passing_trains_on_passing_cells_only(run, passing, screen):
    assert passing.passing_only
    assert (passing.library_sizes["artifact"] == 0).all()
    cells = prepare(screen).adata.obs
    kept = (cells["split"] == "train") & ~cells["qc_fail"]
    assert 0 < kept.sum() < (cells["split"] == "train").sum()
    assert len(passing.library_sizes) == kept.sum()
    # the encoder's statistics are of those cells, so no failed cell reached the network
    assert (passing.gene_table["log1p_mean"] != run.gene_table["log1p_mean"]).any()
    assert (passing.perturbations["n_fail_train"] == 0).all()
    assert (passing.perturbations["n_counterparts"] == 0).all()


def test_passing_keeps_split_and_thresholds_of_all_cells(run, passing):
    """What counts as a failure is decided by all training cells, or nothing would fail."""
    assert passing.thresholds.to_json() == run.thresholds.to_json()
    pd.testing.assert_series_equal(passing.split, run.split)


def test_passing_is_evaluated_on_all_cells(run, passing):
    ours, theirs = passing.metrics, run.metrics
    assert ours["record"]["side"] == "all"
    assert ours["record"]["baselines_trained_on"] == "QC-passing train cells"
    for split in ("test", "val", "train"):
        # the observed side is the same, so is its ceiling
        assert ours["ceiling"][split] == theirs["ceiling"][split]
        assert ours[split]["qcpr"]["3"]["observed"] == theirs[split]["qcpr"]["3"]["observed"]
        assert ours[split]["qcpr"]["3"]["observed_n"] == theirs[split]["qcpr"]["3"]["observed_n"]
    assert ours["floor"]["additive"]["test"] != theirs["floor"]["additive"]["test"]


def test_passing_has_no_artifact_to_switch(passing, screen):
    predictor = passing.predictor()
    for ask in (
        lambda: predictor.generate("control", 3, artifact="on"),
        lambda: predictor.generate("control", 3, artifact="twins"),
        lambda: predictor.treatment_effects(["control"], artifact="on"),
        lambda: predictor.counterfactual(prepare(screen).adata[:3]),
    ):
        with pytest.raises(InputError, match="passing cells only"):
            ask()
    assert predictor.generate("control", 3).n_obs == 3


def test_baselines_can_learn_from_passing_cells(screen, tmp_path):
    run = fit(screen, "additive", out=tmp_path / "run", train_cells="passing")
    pooled = run.moments.pool(splits=["train"], passing_only=True)
    means = dict(zip(pooled.labels, pooled.mean, strict=True))
    single = next(label for label in pooled.labels if label != "control" and "+" not in label)
    found = run.predictor().treatment_effects([single]).mean[0]
    np.testing.assert_allclose(found, means[single] - means["control"])


def test_cell_names_that_look_like_numbers(screen, tmp_path):
    screen.obs_names = [f"{i:05d}" for i in range(screen.n_obs)]
    run = fit(screen, "additive", out=tmp_path / "run")
    assert list(run.split.index) == list(screen.obs_names)


def test_a_perturbation_whose_training_cells_all_fail(screen, tmp_path):
    """Trained on passing cells, the model does not know its gene, and says so."""
    cells = prepare(screen).adata.obs
    known = perturbation_table(cells, ~cells["qc_fail"]).set_index("perturbation")
    failing = cells.assign(qc_fail=cells["qc_fail"] | (cells["perturbation"] == known.index[0]))
    table = perturbation_table(failing, ~failing["qc_fail"]).set_index("perturbation")
    assert table.loc[known.index[0], "n_train"] == 0
    assert (table["n_counterparts"] == 0).all()
    assert not table.loc[known.index[0], "held_out"]


def test_a_run_without_a_folder_goes_to_the_runs_directory(screen, tmp_path):
    first, second = (fit(screen, "control_mean") for _ in range(2))
    assert first.path.parent == second.path.parent == tmp_path / "runs"
    assert first.path != second.path


def test_a_baseline_is_a_run_too(screen, tmp_path):
    run = fit(screen, "additive", out=tmp_path / "run")
    pooled = Moments.load(run.path / "moments.safetensors").pool(splits=["train"])
    means = dict(zip(pooled.labels, pooled.mean, strict=True))
    pair = run.held_out[0]
    a, b = pair.split("+")
    expected = means[a] + means[b] - 2 * means["control"]
    np.testing.assert_allclose(run.predictor().treatment_effects([pair]).mean[0], expected)
    assert run.history.empty


def test_a_run_is_never_written_over(run, screen):
    with pytest.raises(InputError, match="in use"):
        fit(screen, "additive", out=run.path)
    with pytest.raises(InputError, match="other arguments"):
        fit(screen, "additive", out=run.path, resume=True)
    again = fit(screen, "cradle_vae", QUICK, out=run.path, epochs=3, resume=True)
    assert again.config == run.config


def test_who_does_not_lead_ends_where_the_leader_ends(run, screen, tmp_path, monkeypatch):
    """It would wait for the leader otherwise; a run that the leader has just begun it joins."""
    monkeypatch.setenv("NODE_RANK", "1")
    joined = []
    monkeypatch.setattr("cradle.fitting._train", lambda out, *_: joined.append(out))

    def follow(out, epochs=3, **options):
        fit(
            screen,
            "cradle_vae",
            QUICK,
            out=out,
            epochs=epochs,
            processes=Processes(1, 2),
            **options,
        )

    unfinished = tmp_path / "unfinished"
    shutil.copytree(run.path, unfinished)
    (unfinished / "DONE").unlink()
    for out in (run.path, unfinished):
        with pytest.raises(InputError, match="in use"):
            follow(out)
        with pytest.raises(InputError, match="other arguments"):
            follow(out, epochs=4, resume=True)
    with pytest.raises(SystemExit):
        follow(run.path, resume=True)
    assert joined == []
    with pytest.raises(SystemExit):
        follow(unfinished, resume=True)
    shutil.rmtree(unfinished / "resume")
    for out in (unfinished, tmp_path / "new"):
        with pytest.raises(SystemExit):
            follow(out)
    assert joined == [unfinished, unfinished, tmp_path / "new"]


def test_damaged_runs_are_refused_by_name(run, tmp_path):
    with pytest.raises(InputError, match="no run"):
        Run.load(tmp_path)
    for name, content in {
        "weights.safetensors": b"nonsense",
        "config.json": b"{",
        "genes.csv": None,
        "thresholds.json": b"[]",
    }.items():
        copy = tmp_path / name.replace(".", "_")
        shutil.copytree(run.path, copy)
        (copy / name).unlink() if content is None else (copy / name).write_bytes(content)
        with pytest.raises(InputError):
            Run.load(copy).predictor()


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("perturbations.csv", "held_out"),
        ("perturbations.csv", "n_train"),
        ("genes.csv", "gene"),
        ("genes.csv", "log1p_sd"),
        ("library_sizes.csv", "artifact"),
        ("split.csv.gz", "cell"),
        ("history.csv", "val_elbo"),
    ],
)
def test_tables_without_a_column_are_refused_by_name(run, tmp_path, name, column):
    copy = tmp_path / "copy"
    shutil.copytree(run.path, copy)
    pd.read_csv(copy / name).drop(columns=column).to_csv(copy / name, index=False)
    damaged = Run.load(copy)
    parts = {
        "split.csv.gz": lambda: damaged.split,
        "history.csv": lambda: damaged.history,
        "perturbations.csv": lambda: damaged.perturbations,
    }
    with pytest.raises(InputError, match=column):
        parts.get(name, lambda: damaged.predictor().generate("control", 2))()


@pytest.mark.parametrize("seeds", [{"seed": -1}, {"split_seed": -1}, {"seed": 2**32}])
def test_impossible_seeds_are_refused(run, screen, tmp_path, seeds):
    with pytest.raises(InputError, match="out of range"):
        fit(screen, "additive", out=tmp_path / "run", **seeds)
    with pytest.raises(InputError, match="out of range"):
        run.predictor().generate("control", 2, seed=-1)


def test_weights_of_another_network_are_refused(run, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(run.path, copy)
    config = json.loads((copy / "config.json").read_text())
    config["settings"]["n_latent"] = 9
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="do not fit"):
        Run.load(copy).predictor()
