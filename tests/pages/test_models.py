"""Pages about several models: scores in words, interactions, runs side by side."""

from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from cradle.ui import compare_filters
from tests.pages.calm import Open, calm


def _table(app: AppTest, column: str) -> pd.DataFrame:
    return next(table.value for table in app.dataframe if column in table.value)


def _words(app: AppTest) -> str:
    return " ".join(str(part.value) for part in [*app.markdown, *app.caption, *app.info])


@pytest.fixture
def benchmark(demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shipped table in which the additive rule wins and sVAE+ is not applicable."""
    values = {"cradle_vae": [0.90, 0.92], "sams_vae": [0.80, 0.81], "additive": [0.96, 0.96],
              "svae_plus": [None, None], "ceiling": [0.97, 0.97]}  # fmt: skip
    rows = [
        ("norman_subset", 0, model, "all", seed, 3.0, "test", "ate_rho", value)
        for model, both in values.items() for seed, value in enumerate(both)
    ]  # fmt: skip
    rows += [("norman_subset", 0, "cradle_vae", "all", 0, 3.0, "all", "seconds", 55.0)]
    rows += [("norman_subset", 0, "sams_vae", "passing", 0, 4.0, "val", "l2", 2.0)]
    columns = ["dataset", "fold", "model", "train_cells", "seed", "qc_mad", "split", "metric",
               "value"]  # fmt: skip
    folder = tmp_path / "benchmarks"
    for name in ("norman_subset", "search"):
        (folder / name).mkdir(parents=True)
    pd.DataFrame(rows, columns=columns).to_csv(folder / "norman_subset" / "table.csv", index=False)
    (folder / "search" / "table.csv").write_text("alpha,val_elbo\n5,-1120\n")
    monkeypatch.setattr(compare_filters, "SHIPPED", folder)
    return folder


def test_the_winner_is_named_and_so_is_the_rule_that_beats_it(
    benchmark: Path, open_page: Open
) -> None:
    words = _words(calm(open_page("compare_models")))
    assert "**CRADLE-VAE** has the best ATE-ρ of 2 trained models" in words
    assert "**CRADLE-VAE loses to** the simple rule “Additive”" in words


def test_not_applicable_is_words_and_published_values_stand_apart(
    benchmark: Path, open_page: Open
) -> None:
    table = _table(open_page("compare_models"), "published").set_index("model")
    assert table.loc["sVAE+", "status"] == "not applicable"
    assert pd.isna(table.loc["sVAE+", "mean"])
    assert table.loc["CRADLE-VAE", "published"] == 0.7119
    assert table.loc["CRADLE-VAE", "mean"] == pytest.approx(0.91)
    assert table.loc["CPA-VAE", "status"] == "not run here"
    assert pd.isna(table.loc["Additive", "published"])
    wide = _table(open_page("compare_models"), "Training time ↓").set_index("model")
    assert wide.loc["sVAE+", "ATE-ρ ↑"] == "not applicable"
    assert wide.loc["CRADLE-VAE", "ATE-ρ ↑"] == "0.910 ± 0.014"


def test_filters_follow_what_the_table_has(benchmark: Path, open_page: Open) -> None:
    app = open_page("compare_models")
    assert app.selectbox(key="benchmark").options == ["norman_subset"]
    app.selectbox(key="metric").set_value("l2").run()
    calm(app)
    assert app.selectbox(key="bench_mad").value == 4.0
    assert app.selectbox(key="bench_split").value == "val"
    assert "SAMS-VAE, passing cells" in _words(app)


def test_filtered_training_is_shown_on_request_only(benchmark: Path, open_page: Open) -> None:
    path = benchmark / "norman_subset" / "table.csv"
    table = pd.read_csv(path)
    passing = table[table["model"] == "sams_vae"].assign(train_cells="passing", value=0.99)
    pd.concat([table, passing]).to_csv(path, index=False)
    app = open_page("compare_models")
    assert app.segmented_control(key="trained_on").value == ["all"]
    assert "best ATE-ρ of 2 trained models" in _words(calm(app))
    app.segmented_control(key="trained_on").set_value(["all", "passing"]).run()
    assert "**SAMS-VAE, passing cells** has the best ATE-ρ of 3" in _words(calm(app))


def test_the_page_is_labelled_by_its_benchmark_not_by_the_dataset_of_the_sidebar(
    benchmark: Path, open_page: Open
) -> None:
    badge = ":violet-badge[:material/science: simulated]"
    sidebar_only = [text.value for text in calm(open_page("compare_models")).markdown]
    assert sidebar_only.count(badge) == 1  # the demo is simulated, norman_subset is not
    path = benchmark / "norman_subset" / "table.csv"
    table = pd.read_csv(path).assign(dataset="simulated_unseen")
    table.loc[(table["model"] == "additive") & (table["seed"] == 1), "value"] = 0.9
    table.to_csv(path, index=False)
    app = calm(open_page("compare_models"))
    assert [text.value for text in app.markdown].count(badge) == 2
    assert "(2 simulated screens)" in _words(app)
    assert app.session_state["simulated"]


def test_the_threshold_of_the_sidebar_is_not_taken_for_that_of_the_benchmark(
    benchmark: Path, open_page: Open
) -> None:
    assert "changes nothing here" not in _words(open_page("compare_models", mad="3"))
    words = _words(calm(open_page("compare_models", mad="5")))
    assert "trained and judged at k = 3 MAD" in words
    assert "The threshold of the sidebar (k = 5) changes nothing here" in words
    assert "k = 5 MAD" not in words


def test_a_score_that_no_model_has_is_not_drawn(benchmark: Path, open_page: Open) -> None:
    path = benchmark / "norman_subset" / "table.csv"
    table = pd.read_csv(path).assign(metric="qcpr")
    table.loc[table["model"] != "ceiling", "value"] = None
    table.to_csv(path, index=False)
    app = calm(open_page("compare_models"))
    assert "No trained model has a QC pass rate at 3 MAD here" in _words(app)
    assert not app.get("plotly_chart")


def test_own_benchmarks_are_found_and_a_damaged_one_is_named(
    benchmark: Path, open_page: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own_runs"
    for name in ("mine", "damaged"):
        (own / name).mkdir(parents=True)
    table = pd.read_csv(benchmark / "norman_subset" / "table.csv").assign(dataset="mine")
    table.to_csv(own / "mine" / "table.csv", index=False)
    (own / "damaged" / "table.csv").write_text("nothing")
    monkeypatch.setenv("CRADLE_RUNS_DIR", str(own))
    app = open_page("compare_models")
    assert app.selectbox(key="benchmark").options == ["norman_subset", "mine (yours)"]
    assert any("not a benchmark table" in box.value for box in app.warning)
    app.selectbox(key="benchmark").set_value("mine (yours)").run()
    assert "published" not in set(_table(app, "status"))


def test_without_any_benchmark_the_page_says_how_to_make_one(
    demo: Path, open_page: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare_filters, "SHIPPED", tmp_path / "none")
    box = open_page("compare_models").warning[0].value
    assert "There is no benchmark to show" in box
    assert "cradle benchmark" in box


def test_the_shipped_benchmarks_are_shown(demo: Path, open_page: Open) -> None:
    app = calm(open_page("compare_models"))
    for name in app.selectbox(key="benchmark").options:
        app.selectbox(key="benchmark").set_value(name).run()
        calm(app)
        assert "CRADLE-VAE" in _words(app)


def test_pairs_are_computed_on_a_click_and_then_kept(demo: Path, open_page: Open) -> None:
    app = open_page("interactions")
    assert "have not been computed yet" in _words(calm(app))
    assert not app.dataframe
    app.button[0].click().run()
    calm(app)
    again = calm(open_page("interactions"))
    following = _table(again, "strength")
    assert len(following)
    assert (following["support"] == "never measured").all()
    assert "Does the model foresee interactions?" in [text.value for text in again.subheader]
    assert any("Do not choose experiments" in box.value for box in again.warning)
    assert "This screen is simulated, so the truth is known" in _words(again)
    assert set(_table(again, "interacts")["interacts"]) <= {"yes", "no"}
    assert not {"observed_class", "observed_magnitude"} & set(following)


def test_a_rule_that_adds_predicts_no_interactions(further_runs: Path, open_page: Open) -> None:
    app = open_page("interactions", run="rule")
    app.button[0].click().run()
    assert "predicts no interactions" in _words(calm(app))


def test_one_run_alone_says_how_to_get_another(demo: Path, open_page: Open) -> None:
    assert "only run of the dataset" in _words(calm(open_page("treatment_effects")))


def test_effects_of_several_runs_stand_side_by_side(further_runs: Path, open_page: Open) -> None:
    app = open_page("treatment_effects", run="demo")
    app.multiselect(key="beside_runs").set_value(["sams", "rule"]).run()
    scores = next(t.value for t in calm(app).dataframe if {"run", "ate_rho"} <= set(t.value))
    scores = scores.set_index("run")
    names = ["demo (CRADLE-VAE)", "sams (SAMS-VAE)", "rule (Additive)"]
    assert list(scores.index) == names
    whole = _table(app, "who").set_index("who")
    assert scores.loc[names[0], "ate_rho"] == whole.loc["demo", "ate_rho"]
    rule = pytest.approx(whole.loc["floor: Additive", "ate_rho"], abs=1e-6)  # stored as float32
    assert scores.loc[names[2], "ate_rho"] == rule


def test_a_run_of_another_split_is_not_compared(further_runs: Path, open_page: Open) -> None:
    app = open_page("treatment_effects", run="demo")
    app.multiselect(key="beside_runs").set_value(["elsewhere"]).run()
    assert "another split" in _words(calm(app))
    assert not [t for t in app.dataframe if {"run", "ate_rho"} <= set(t.value)]


def test_maps_of_several_runs_stand_side_by_side(further_runs: Path, open_page: Open) -> None:
    app = open_page("embeddings", run="demo")
    app.segmented_control(key="method").set_value("PCA")
    app.number_input(key="n_generated").set_value(20)
    app.button[0].click().run()
    app.multiselect(key="map_runs").set_value(["sams", "rule"]).run()
    assert "predicts effects only" in _words(calm(app))
    next(b for b in app.button if b.label.startswith("Compute the maps of 1")).click().run()
    panels = _table(calm(app), "run")
    assert set(panels["run"]) == {"demo", "sams"}
    assert "SAMS-VAE: knows no artifact" in _words(app)
    again = open_page("embeddings", run="demo", method="PCA", n_generated="20", map_runs="sams")
    assert set(_table(calm(again), "run")["run"]) == {"demo", "sams"}
