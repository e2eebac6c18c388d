"""What a reader does on the page of maps, and what other pages then show."""

import re
from pathlib import Path

from cradle.data.sources import load
from tests.pages.calm import Open, calm
from tests.pages.test_inputs import table, uploaded


def test_map_is_computed_on_request_only(demo: Path, open_page: Open) -> None:
    app = open_page("embeddings")
    assert any("Compute the map" in box.value for box in app.info)
    app.segmented_control(key="method").set_value("PCA")
    app.number_input(key="n_generated").set_value(20)
    app.button[0].click().run()
    calm(app)
    assert any(m.label.startswith("Mixing") for m in app.metric)
    for colour in ("perturbation", "qc_fail", "true_artifact", "mt_percent", "gene"):
        app.selectbox(key="colour").set_value(colour).run()
        calm(app)


def test_the_page_says_so_when_its_map_is_not_that_of_the_form(demo: Path, open_page: Open) -> None:
    def notes() -> list[str]:
        return [t.value for t in calm(app).markdown if "Press Compute the map" in t.value]

    app = open_page("embeddings", method="PCA", n_generated="20")
    app.button[0].click().run()
    assert not notes()
    assert any("such twins can lie on each other" in text.value for text in app.caption)
    app.number_input(key="map_seed").set_value(4).run()
    assert "still the PCA" in notes()[0]
    assert app.metric, "the map stays meanwhile"
    app.button[0].click().run()
    assert not notes()
    app.number_input(key="map_seed").set_value(0).run()
    assert not notes(), "a map that was computed before is shown at once"
    assert app.session_state["map_request"].seed == 0
    from cradle.ui import embedding

    first, second = embedding.cell_map(app.session_state["map_request"]).axes
    assert re.fullmatch(r"PCA 1 \([\d.]+ % of the variance\)", first)
    assert second.startswith("PCA 2 (")


def test_a_map_that_was_computed_before_is_shown_at_once(demo: Path, open_page: Open) -> None:
    link = {"method": "PCA", "n_generated": "20"}
    app = open_page("embeddings", **link)
    assert not app.metric
    app.button[0].click().run()
    assert calm(app).metric
    assert open_page("embeddings", **link).metric


def test_generated_cells_can_be_projected_onto_the_map_of_observed_ones(
    demo: Path, open_page: Open
) -> None:
    app = open_page("embeddings", n_generated="20")
    app.segmented_control(key="method").set_value("PCA")
    app.segmented_control(key="basis").set_value("observed cells")
    app.button[0].click().run()
    assert any("generated ones projected" in text.value for text in calm(app).caption)
    app.segmented_control(key="method").set_value("t-SNE")
    app.button[0].click().run()
    assert any("t-SNE cannot place" in box.value for box in app.warning)


def test_selected_cells_get_composition_and_genes(demo: Path, open_page: Open) -> None:
    app = open_page("embeddings")
    app.segmented_control(key="method").set_value("PCA")
    app.number_input(key="n_generated").set_value(20)
    app.button[0].click().run()
    app.session_state["map_selection"] = list(range(40))
    calm(app.run())
    assert any("40 of " in text.value for text in app.markdown)
    made = next(table.value for table in app.dataframe if "percent_of_group" in table.value)
    assert (made.groupby("by")["selected"].sum() == 40).all()
    genes = next(table.value for table in app.dataframe if "p_adjusted" in table.value)
    assert set(genes["n_selected"]) == {40}
    assert any("not replicates" in text.value for text in app.caption)
    app.selectbox(key="colour").set_value("perturbation").run()
    assert any("40 of " in text.value for text in calm(app).markdown)


def test_selected_cells_are_marked_in_quality_control(demo: Path, open_page: Open) -> None:
    from cradle.ui import embedding

    app = open_page("embeddings", method="PCA", n_generated="20")
    app.button[0].click().run()
    request = app.session_state["map_request"]
    cells = load(demo / "demo.h5ad")
    names = list(embedding.observed_names(request)[:7])
    assert set(cells.obs.loc[names, "perturbation"]) <= set(request.perturbations)
    beside = open_page("quality_control")
    beside.session_state["map_drawn"] = request
    beside.session_state["map_selection"] = [*range(7), 10**6]
    calm(beside.run())
    assert any("Crosses: 7 observed cells" in text.value for text in beside.caption)


def test_a_map_without_a_run_is_coloured_by_what_sets_its_cells_apart(
    no_run: Path, open_page: Open, tmp_path: Path
) -> None:
    app = open_page("embeddings", dataset=uploaded(table(), tmp_path), method="PCA")
    app.button[0].click().run()
    calm(app)
    assert app.selectbox(key="colour").value == "perturbation"
    app.selectbox(key="colour").set_value("umi_counts").run()
    calm(app)
    from cradle.ui import embedding

    drawn = embedding.cell_map(app.session_state["map_request"])
    sizes = embedding.expression(drawn.request).obs["library_size"]
    assert drawn.obs["umi_counts"].tolist() == sizes.tolist()
    assert drawn.obs["genes_detected"].notna().all()


def test_selected_cells_are_judged_at_the_threshold_of_the_sidebar(
    demo: Path, open_page: Open
) -> None:
    from cradle.data.qc import passing
    from cradle.runs import Run
    from cradle.ui import embedding

    app = open_page("embeddings", method="PCA", n_generated="20", mad="5")
    app.button[0].click().run()
    drawn = embedding.cell_map(app.session_state["map_request"])
    app.session_state["map_selection"] = list(range(len(drawn.obs)))
    calm(app.run())
    made = next(table.value for table in app.dataframe if "percent_of_group" in table.value)
    shown = made[made["group"] == "fails quality control"]["selected"].sum()
    fitted = Run.load(demo / "runs" / "demo").thresholds
    strict, lax = (int((~passing(drawn.obs, fitted.at(mad=k))).sum()) for k in (3.0, 5.0))
    assert shown == lax < strict
    assert any("at k = 5 MAD." in text.value for text in app.caption if "judged as" in text.value)
