"""What a number is of stands beside it: criteria, cells, genes, thresholds."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from cradle.data.qc import judge_generated
from cradle.data.qc_thresholds import unmeasurable
from cradle.data.sources import load
from cradle.run_folders import runs_folder
from cradle.runs import Run
from cradle.ui import quality
from cradle.ui.labels import CRITERIA
from cradle.ui.navigation import ROOT
from tests.pages.calm import Open, calm

WITHOUT_MT = [name for name, _ in CRITERIA.values() if not name.startswith("Mito")]


def _says(app: AppTest, words: str) -> bool:
    boxes = [*app.caption, *app.info, *app.markdown]
    return any(words in str(box.value) for box in boxes)


def _figures(app: AppTest) -> dict[str, Any]:
    specs = [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")]
    return {spec["layout"]["title"]["text"].replace("<br>", " "): spec["layout"] for spec in specs}


def _of(figures: dict[str, Any], name: str) -> tuple[str, Any]:
    return next((title, layout) for title, layout in figures.items() if title.startswith(name))


@pytest.mark.parametrize("page", ["overview", "quality_control", "treatment_effects", "data"])
def test_a_criterion_left_out_is_said_on_every_page_and_can_be_counted_again(
    demo: Path, open_page: Open, page: str
) -> None:
    app = calm(open_page(page, criteria=WITHOUT_MT))
    assert _says(app, "k = 3 MAD, 5 of 6 criteria")
    assert app.button(key="count_all").help == "Not counted as artifact: Mitochondrial share."
    app.button(key="count_all").click().run()
    assert not _says(calm(app), "MAD, 5 of 6 criteria")
    assert app.sidebar.multiselect(key="criteria").value == list(CRITERIA)
    assert "count_all" not in {button.key for button in app.button}


def test_a_criterion_left_out_has_a_violin_that_judges_nothing(demo: Path, open_page: Open) -> None:
    every = _figures(open_page("quality_control"))
    title, layout = _of(every, "Mitochondrial share")
    assert title.endswith("fail")
    assert layout["shapes"]
    fewer = open_page("quality_control", criteria=WITHOUT_MT)
    title, layout = _of(_figures(fewer), "Mitochondrial share")
    assert title == "Mitochondrial share: not counted as artifact"
    assert not layout.get("shapes")
    assert _says(fewer, "without Mitochondrial share; the run demo was trained at k = 3 MAD, all")


def test_what_may_be_biology_is_left_out_and_counted_again_in_one_place(
    demo: Path, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quality, "biology", lambda choices: {"mt_percent": ["KLF1"]})
    app = open_page("quality_control")
    for label in ("Do not count it as artifact", "Count it again"):
        button = app.button(key="leave_mt_percent")
        assert button.label == label
        button.click().run()
        calm(app)
    assert app.sidebar.multiselect(key="criteria").value == list(CRITERIA)


def test_beside_generated_cells_the_titles_say_which_cells_and_genes(
    demo: Path, open_page: Open
) -> None:
    app = calm(open_page("quality_control", beside="true"))
    figures = _figures(app)
    percent = _percent_of_control(demo)
    title, layout = _of(figures, "Genes detected")
    assert title == f"Genes detected: {percent:.1f}\u00a0% of control cells\u00a0fail"
    n_genes = len(Run.load(demo / "runs" / "demo").genes)
    assert f"among the {n_genes:,} modelled genes" in layout["yaxis"]["title"]["text"]
    assert "of control cells" in _of(figures, "UMI counts")[0]
    assert _says(app, "of 6 criteria, those that can be judged on generated cells")


def _percent_of_control(demo: Path) -> float:
    """Percent of the control cells that have too few of the modelled genes."""
    adata, run = load(demo / "demo.h5ad"), Run.load(demo / "runs" / "demo")
    control = adata[(adata.obs["perturbation"] == "control").to_numpy()]
    flags = judge_generated(control, run.thresholds, genes=run.genes)
    return 100 * float(flags["fails_genes_detected"].mean())


def test_effects_say_that_the_run_was_trained_at_another_threshold(
    demo: Path, open_page: Open
) -> None:
    assert not open_page("treatment_effects").info
    app = calm(open_page("treatment_effects", mad="5"))
    assert _says(app, "k = 5 MAD; the run demo was trained at k = 3 MAD. Effects and scores here")


def test_train_lists_the_criteria_that_the_data_can_measure(
    demo: Path, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted = quality.thresholds

    def panel(choices: Any) -> Any:
        found = fitted(choices)
        missing = {c: unmeasurable(c, "no such genes") for c in ("mt_percent", "hb_percent")}
        skipped = {"doublet": unmeasurable("doublet", quality.DOUBLETS_SKIPPED)}
        return replace(found, observed={**found.observed, **missing, **skipped})

    monkeypatch.setattr(quality, "thresholds", panel)
    app = calm(open_page("train", criteria=WITHOUT_MT))
    assert _says(app, "by: UMI counts, Genes detected, Ribosomal share, Doublets. Both")
    assert _says(app, "Not measurable in these data: Hemoglobin share.")


def test_runs_of_different_data_share_no_curves(demo: Path, open_page: Open) -> None:
    other = Path(shutil.copytree(demo / "runs" / "demo", runs_folder() / "other"))
    record = json.loads((other / "provenance.json").read_text())
    record["data"] |= {"hash": "0" * 64, "simulated": False}
    (other / "provenance.json").write_text(json.dumps(record))
    app = calm(open_page("train", card="demo", card_beside="other"))
    assert _says(app, "of different data, so no curves")
    assert not app.get("plotly_chart")


def test_the_demo_has_one_name() -> None:
    shipped = Run.load(ROOT / "assets" / "runs" / "demo_cradle_vae")
    assert load("demo").uns["cradle"]["name"] == shipped.provenance["data"]["name"] == "demo"


def test_data_say_where_control_counts_and_name_their_record(demo: Path, open_page: Open) -> None:
    app = calm(open_page("data"))
    title, _ = _of(_figures(app), "Cells per perturbation")
    assert title.endswith("and control")
    record = next(t.value for t in app.dataframe if "item" in t.value)
    assert "cells left out: without any count" in set(record["item"])
    assert not [item for item in record["item"] if "_" in item and not item.startswith("run:")]


def test_no_sentence_is_cut_in_the_table_of_thresholds(demo: Path, open_page: Open) -> None:
    app = calm(open_page("quality_control"))
    table = next(t.value for t in app.dataframe if "values_from" in t.value)
    assert table["values_from"].str.len().max() <= 55
    missing = table.loc[~table["measurable"].astype(bool), "values_from"]
    assert set(missing) <= {"not measurable: see above"}
    if len(missing):
        assert [box for box in app.expander if "Not measurable here" in box.label]


@pytest.mark.parametrize("score", [0.3, None])
def test_doublets_have_a_line_where_they_have_one_threshold(
    open_page: Open, monkeypatch: pytest.MonkeyPatch, score: float | None
) -> None:
    """The shipped screen, whose two batches have been looked through for doublets."""
    fitted = quality.thresholds

    def at(choices: Any) -> Any:
        found = fitted(choices)
        doublet = replace(found["doublet"], threshold=score)
        return replace(found, observed={**found.observed, "doublet": doublet})

    monkeypatch.setattr(quality, "thresholds", at)
    app = calm(open_page("quality_control"))
    _, layout = _of(_figures(app), "Doublets")
    assert bool(layout.get("shapes")) == (score is not None)
    assert _says(app, "a threshold of its own") == (score is None)
