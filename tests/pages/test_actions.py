"""What a reader does on the pages: thresholds, criteria, generation, genes."""

from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from cradle.data import qc
from cradle.data.sources import load
from cradle.ui import generation, observed_metrics
from tests.pages.calm import Open, calm


def _metric(app: AppTest, label: str) -> str:
    return str(next(m.value for m in app.metric if m.label == label))


def _generate(app: AppTest) -> None:
    next(button for button in app.button if button.label == "Generate").click().run()


def test_counts_move_with_the_threshold(demo: Path, open_page: Open) -> None:
    app = open_page("quality_control")
    strict = int(_metric(app, "Cells that fail").replace(",", ""))
    app.sidebar.segmented_control(key="mad").set_value("5").run()
    lax = int(_metric(calm(app), "Cells that fail").replace(",", ""))
    assert 0 <= lax < strict
    assert any("trained at k = 3" in box.value for box in app.info)


def test_counts_are_those_of_the_thresholds(demo: Path, open_page: Open) -> None:
    app = open_page("quality_control")
    adata = load(demo / "demo.h5ad")
    from cradle.runs import Run

    fitted = Run.load(demo / "runs" / "demo").thresholds
    metrics = qc.cell_metrics(adata, doublets=False)
    fails = qc.apply_thresholds(metrics, fitted)["qc_fail"].sum()
    assert _metric(app, "Cells that fail") == f"{fails:,}"


def test_a_link_restores_the_view(demo: Path, open_page: Open) -> None:
    app = calm(open_page("quality_control", mad="custom", k="7.5", criteria=["UMI counts"]))
    assert app.sidebar.number_input(key="k").value == 7.5
    assert app.sidebar.multiselect(key="criteria").value == ["umi_counts"]
    assert any("k = 7.5 MAD" in text.value for text in app.caption)


def test_a_criterion_can_be_left_out(demo: Path, open_page: Open) -> None:
    app = open_page("quality_control")
    before = int(_metric(app, "Cells that fail").replace(",", ""))
    kept = ["umi_counts", "genes_detected", "ribo_percent", "doublet"]
    app.sidebar.multiselect(key="criteria").set_value(kept).run()
    assert int(_metric(calm(app), "Cells that fail").replace(",", "")) < before


def test_nothing_is_measured_twice(
    demo: Path, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[bool] = []
    measure = observed_metrics.cell_metrics

    def counted(*args: object, **kwargs: object) -> object:
        calls.append(True)
        return measure(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(observed_metrics, "cell_metrics", counted)
    for page in ("overview", "quality_control", "quality_control", "overview"):
        open_page(page)
    assert len(calls) == 1


def test_generated_cells_stand_beside_observed_ones(demo: Path, open_page: Open) -> None:
    app = open_page("quality_control")
    app.toggle(key="beside").set_value(True).run()
    calm(app)


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
    before = _metric(app, "Pass QC: artifact on")
    assert sorted(calls) == ["twin_genes", "verdicts"]
    calm(app.run())
    assert len(calls) == 2
    app.sidebar.segmented_control(key="mad").set_value("5").run()
    assert sorted(calls) == ["twin_genes", "verdicts", "verdicts"]
    assert _metric(calm(app), "Pass QC: artifact on") != before


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


def test_effects_of_one_perturbation_and_one_gene(demo: Path, open_page: Open) -> None:
    app = open_page("treatment_effects")
    app.selectbox(key="perturbation").select_index(1).run()
    app.selectbox(key="gene").select_index(0).run()
    app.toggle(key="gene_cells").set_value(True).run()
    calm(app)
    for baseline in ("additive", "control_mean"):
        app.selectbox(key="baseline").set_value(baseline).run()
        calm(app)


def test_effects_of_one_perturbation_say_what_stands_behind_it_and_name_small_groups(
    demo: Path, open_page: Open
) -> None:
    from cradle.runs import Run

    run = Run.load(demo / "runs" / "demo")
    pair = run.held_out[0]
    few = run.metrics["record"]["small_groups"]["val"]
    app = calm(open_page("treatment_effects", split="val"))
    (said,) = [text.value for text in app.markdown if "Fewer than 30 observed cells" in text.value]
    assert f"{min(few, key=few.get)} ({min(few.values())})" in said, "the smallest come first"
    (everyone,) = [text.value for text in app.markdown if text.value.count("(") == len(few)]
    assert all(f"{name} ({n})" in everyone for name, n in few.items())
    app.selectbox(key="split").set_value("test").run()
    assert not any("Training cells that carry each gene" in text.value for text in app.caption)
    app.selectbox(key="perturbation").set_value(pair).run()
    assert "held-out combination" in " ".join(text.value for text in calm(app).markdown)
    gene = pair.split("+")[0]
    table = run.perturbations
    n = table.loc[table["perturbation"].str.split("+").map(lambda g: gene in g), "n_train"].sum()
    assert any(f"Training cells that carry each gene: {gene} {n:,}" in text.value
               for text in app.caption)  # fmt: skip


def test_few_cells_of_a_measured_pair_are_said_though_its_genes_have_many(
    demo: Path, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cradle.runs import Run

    run = Run.load(demo / "runs" / "demo")
    table = run.perturbations.copy()
    pair = next(p for p in table.loc[table["n_train"] > 0, "perturbation"] if "+" in p)
    table["n_train"] = np.where(table["n_train"] > 0, 400, 0)
    table.loc[table["perturbation"] == pair, "n_train"] = 5
    monkeypatch.setattr(Run, "perturbations", property(lambda run: table))
    app = open_page("generate", genes=pair.split("+"), n_cells="30", generated="yes")
    assert any(f"exactly {pair} (5)" in box.value for box in calm(app).warning)


@pytest.mark.parametrize(("key", "value"), [("side", "passing"), ("reference", "perturbed")])
def test_effects_in_other_terms(demo: Path, open_page: Open, key: str, value: str) -> None:
    app = open_page("treatment_effects")
    app.segmented_control(key=key).set_value(value).run()
    calm(app)


def test_control_cells_can_be_halved_between_rules_and_observations(
    demo: Path, open_page: Open
) -> None:
    app = open_page("treatment_effects")
    before = next(table.value for table in app.dataframe if "who" in table.value)
    app.toggle(key="disjoint").set_value(True).run()
    after = next(table.value for table in calm(app).dataframe if "who" in table.value)
    assert list(after["who"]) == list(before["who"])
    assert not after["ate_rho"].equals(before["ate_rho"])
    assert any("one half of it for the rules" in text.value for text in app.caption)


def test_doublets_are_looked_for_on_request(no_run: Path, open_page: Open) -> None:
    app = open_page("quality_control")
    button = next(b for b in app.button if b.label.startswith("Look for doublets"))
    button.click().run()
    calm(app)
    assert not [b for b in app.button if b.label.startswith("Look for doublets")]
