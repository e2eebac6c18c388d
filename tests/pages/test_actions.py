"""What a reader does on the pages: thresholds, criteria, genes."""

from pathlib import Path

import numpy as np
import pytest

from cradle.data import qc
from cradle.data.sources import load
from cradle.ui import observed_metrics
from tests.pages.calm import Open, calm, metric


def test_counts_move_with_the_threshold(demo: Path, open_page: Open) -> None:
    app = open_page("quality_control")
    strict = int(metric(app, "Cells that fail").replace(",", ""))
    app.sidebar.segmented_control(key="mad").set_value("5").run()
    lax = int(metric(calm(app), "Cells that fail").replace(",", ""))
    assert 0 <= lax < strict
    assert any("trained at k = 3" in box.value for box in app.info)


def test_counts_are_those_of_the_thresholds(demo: Path, open_page: Open) -> None:
    app = open_page("quality_control")
    adata = load(demo / "demo.h5ad")
    from cradle.runs import Run

    fitted = Run.load(demo / "runs" / "demo").thresholds
    metrics = qc.cell_metrics(adata, doublets=False)
    fails = qc.apply_thresholds(metrics, fitted)["qc_fail"].sum()
    assert metric(app, "Cells that fail") == f"{fails:,}"


def test_a_link_restores_the_view(demo: Path, open_page: Open) -> None:
    app = calm(open_page("quality_control", mad="custom", k="7.5", criteria=["UMI counts"]))
    assert app.sidebar.number_input(key="k").value == 7.5
    assert app.sidebar.multiselect(key="criteria").value == ["umi_counts"]
    assert any("k = 7.5 MAD" in text.value for text in app.caption)


def test_a_criterion_can_be_left_out(demo: Path, open_page: Open) -> None:
    app = open_page("quality_control")
    before = int(metric(app, "Cells that fail").replace(",", ""))
    kept = ["umi_counts", "genes_detected", "ribo_percent", "doublet"]
    app.sidebar.multiselect(key="criteria").set_value(kept).run()
    assert int(metric(calm(app), "Cells that fail").replace(",", "")) < before


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
