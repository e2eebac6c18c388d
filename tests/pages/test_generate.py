"""What a reader does on the page Generate."""

from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from cradle.ui import generation
from tests.pages.calm import Open, calm, metric


def _generate(app: AppTest) -> None:
    next(button for button in app.button if button.label == "Generate").click().run()


@pytest.mark.parametrize("gene", ["a measured one", "NOSUCH", "![x](http://a.b)"])
def test_a_gene_that_cannot_be_had_is_told_why_and_nothing_else_is_made(
    demo: Path, open_page: Open, gene: str
) -> None:
    from cradle.runs import Run

    run = Run.load(demo / "runs" / "demo")
    known = run.perturbed_genes[0]
    measured = next(g for g in run.genes if g not in run.perturbed_genes)
    asked = measured.lower() if gene == "a measured one" else gene
    app = open_page("generate", genes=[known, asked], generated="yes", n_cells="50")
    (box,) = [box.value for box in app.warning]
    words = {
        "a measured one": f"{measured}: measured, but perturbed in no training cell",
        "NOSUCH": "NOSUCH'. No known name is close to it",
        "![x](http://a.b)": "ǃ［x］",
    }
    assert words[gene] in box
    assert not app.metric, "no cells of what is left"
    app.multiselect(key="genes").set_value([known.lower()]).run()
    assert not app.warning
    _generate(app)
    assert any(title.value == f"Perturbation: {known}" for title in app.subheader)


@pytest.mark.parametrize("artifact", ["off", "on", "twins"])
def test_generate_shows_support_rates_and_genes(demo: Path, open_page: Open, artifact: str) -> None:
    app = open_page("generate")
    gene = app.multiselect(key="genes").options[0]
    app.multiselect(key="genes").set_value([gene])
    app.segmented_control(key="artifact").set_value(artifact)
    app.number_input(key="n_cells").set_value(50)
    _generate(app)
    calm(app)
    labels = [m.label for m in app.metric]
    states = ["off", "on"] if artifact == "twins" else [artifact]
    assert labels == ["Pass QC: observed", *(f"Pass QC: artifact {s}" for s in states)]
    assert any(gene in text.value for text in app.subheader)
    distances = next(table.value for table in app.dataframe if "in_mads" in table.value)
    assert set(distances["source"]) == {f"artifact {state}" for state in states}
    assert (distances["distance"] >= 0).all()


def test_the_page_says_so_when_its_cells_are_not_those_of_the_form(
    demo: Path, open_page: Open
) -> None:
    def notes() -> list[str]:
        return [t.value for t in calm(app).markdown if "These results are for" in t.value]

    app = open_page("generate", n_cells="50", genes="CEBPA")
    (gene,) = app.multiselect(key="genes").value
    assert "generated" not in app.query_params
    _generate(app)
    assert not notes()
    assert app.query_params["generated"] == "yes"
    rates = [m.value for m in app.metric]
    app.segmented_control(key="artifact").set_value("on").run()
    assert f"{gene}, artifact off. Press Generate to update." in notes()[0]
    assert [m.value for m in app.metric] == rates
    assert "generated" not in app.query_params, "a link would show other cells"
    app.segmented_control(key="artifact").set_value("off").run()
    assert not notes()
    app.multiselect(key="genes").set_value([]).run()
    assert f"for {gene}, artifact off" in notes()[0]
    _generate(app)
    assert not notes()
    assert any("control cells" in text.value for text in app.markdown), "and no badge 'seen'"
    assert not [
        text.value for text in app.markdown if "badge[" in text.value and "seen" in text.value
    ]


@pytest.mark.parametrize(
    ("artifact", "size", "words"),
    [("off", 0, "that pass quality control (drawn"), ("on", 0, "that fail quality control (drawn"),
     ("twins", 0, "that pass quality control (drawn"), ("on", 4000, "a library size of 4,000")],
)  # fmt: skip
def test_the_page_says_where_library_sizes_come_from(
    demo: Path, open_page: Open, artifact: str, size: int, words: str
) -> None:
    from cradle.runs import Run

    link = {"n_cells": "50", "artifact": artifact, "library_size": str(size), "generated": "yes"}
    app = calm(open_page("generate", **link))
    caption = next(
        t.value for t in app.caption if "50 generated" in t.value or "100 gen" in t.value
    )
    assert words in caption
    if not size:
        sizes = Run.load(demo / "runs" / "demo").library_sizes
        pool = sizes.loc[sizes["artifact"] == (artifact == "on"), "library_size"]
        assert f"median {pool.median():,.0f}" in caption


def test_pass_rates_that_hardly_any_training_cell_would_fail_are_warned_of(
    demo: Path, open_page: Open
) -> None:
    link = {"n_cells": "50", "generated": "yes"}
    assert not [b for b in calm(open_page("generate", **link)).warning if "hardly" in b.value]
    app = calm(open_page("generate", **link, mad="custom", k="20"))
    (said,) = [box.value for box in app.warning if "hardly tell good cells from bad" in box.value]
    assert "% of the training cells fail" in said


def test_what_was_computed_of_generated_cells_is_kept_until_the_threshold_changes(
    demo: Path, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    for name in ("verdicts", "twin_genes"):
        of_cells = getattr(generation, name)
        monkeypatch.setattr(generation, name, lambda *args, n=name, f=of_cells: (
            calls.append(n), f(*args))[1])  # fmt: skip
    app = calm(open_page("generate", n_cells="30", artifact="twins", generated="yes"))
    before = metric(app, "Pass QC: artifact on")
    assert sorted(calls) == ["twin_genes", "verdicts"]
    calm(app.run())
    assert len(calls) == 2
    app.sidebar.segmented_control(key="mad").set_value("5").run()
    assert sorted(calls) == ["twin_genes", "verdicts", "verdicts"]
    assert metric(calm(app), "Pass QC: artifact on") != before


def test_up_to_four_combinations_stand_side_by_side(demo: Path, open_page: Open) -> None:
    from cradle.runs import Run

    run = Run.load(demo / "runs" / "demo")
    first, second, third = run.perturbed_genes[:3]
    link = {"genes": [first], "n_cells": "30", "generated": "yes"}
    app = calm(open_page("generate", **link, compared=[second, run.held_out[0]]))
    table = next(t.value for t in app.dataframe if "support" in t.value)
    assert list(table["perturbation"]) == [first, second, run.held_out[0]]
    assert list(table["support"]) == ["seen", "seen", "held-out combination"]
    assert (table["size"] > 0).all()
    expected = run.predictor().treatment_effects([first], seed=0)
    assert table["size"][0] == pytest.approx(np.linalg.norm(expected.mean[0]))
    app.multiselect(key="compared").set_value([f"{third} + {first}"]).run()
    table = next(t.value for t in calm(app).dataframe if "support" in t.value)
    assert "+".join(sorted([first, third])) in list(table["perturbation"])
    app.multiselect(key="compared").set_value(["NOSUCH+" + first, second]).run()
    assert any(f"does not know a gene of it: NOSUCH+{first}." in box.value for box in app.warning)
    table = next(t.value for t in calm(app).dataframe if "support" in t.value)
    assert list(table["perturbation"]) == [first, second], "the others are compared all the same"


def test_surprise_is_a_pair_that_nobody_has_measured(demo: Path, open_page: Open) -> None:
    from cradle.runs import Run

    run = Run.load(demo / "runs" / "demo")
    app = open_page("generate", n_cells="30")
    next(b for b in app.button if b.label == "Surprise me").click().run()
    calm(app)
    genes = app.multiselect(key="genes").value
    assert len(genes) == 2
    label = "+".join(sorted(genes))
    assert label not in set(run.perturbations["perturbation"])
    assert run.support(label) == "never measured"
    assert any(label in text.value for text in app.subheader)
    assert any("Nobody measured this perturbation" in text.value for text in app.caption)


def test_generate_without_cells_says_so(no_cells: Path, open_page: Open) -> None:
    app = open_page("generate")
    app.number_input(key="n_cells").set_value(30)
    _generate(app)
    calm(app)
    assert any("not on this machine" in box.value for box in app.info)
