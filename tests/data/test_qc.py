"""Quality control: hand-computed cases, properties, and the real files."""

import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from anndata import AnnData, read_h5ad
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from cradle.data import qc
from cradle.data.qc_genes import HB_GENES, MT_GENES
from cradle.data.sources import load
from cradle.errors import InputError

HELD_OUT = ("KLF1+MAP2K6", "KLF1+TGFBR2", "MAP2K3+MAP2K6", "MAP2K3+SLC38A2", "MAPK1+TGFBR2")
GENES = [*MT_GENES, *(f"RPS{i}" for i in range(20)), *(f"RPL{i}" for i in range(20)), *HB_GENES]
GENES += ["HBEGF", *(f"G{i}" for i in range(16))]


def standard(counts, genes=GENES, **obs):
    """Standard form; the library size is the row sum unless given."""
    totals = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
    table = {"library_size": totals, **obs}
    names = [f"c{i}" for i in range(counts.shape[0])]
    return AnnData(X=counts, obs=pd.DataFrame(table, index=names), var=pd.DataFrame(index=genes))


def screen(n_cells=60, seed=0, **obs):
    """Random counts over all gene classes, every cell with counts."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(rng.gamma(0.8, 1.5, len(GENES)), (n_cells, len(GENES)))
    counts[:, -1] += 1
    return standard(sparse.csr_matrix(counts.astype(np.float32)), **obs)


def metrics_of(**columns):
    """Metrics with the given values, everything else not measurable."""
    n_cells = len(next(iter(columns.values())))
    values = pd.DataFrame(np.nan, index=[f"c{i}" for i in range(n_cells)], columns=qc.CRITERIA)
    for name, column in columns.items():
        values[name] = np.asarray(column, dtype=float)
    reasons = {c: "Not given." for c in qc.CRITERIA if c not in columns}
    return qc.CellMetrics(values, reasons, dict.fromkeys(columns, "given"))


def fitted_to(metrics, **options):
    blank = standard(np.ones((len(metrics.values), 1), np.float32), ["G"])
    return qc.fit_thresholds(blank, metrics=metrics, **options)


def test_metrics_by_hand():
    counts = np.zeros((2, len(GENES)), np.float32)
    at = GENES.index
    counts[0, [at("MT-ND1"), at("RPS3"), at("HBA1"), at("HBEGF"), at("G0")]] = [1, 2, 3, 4, 10]
    counts[1, at("RPL7")] = 5
    values = qc.cell_metrics(standard(counts), doublets=False).values
    assert values["umi_counts"].tolist() == [20, 5]
    assert values["genes_detected"].tolist() == [5, 1]
    assert values["mt_percent"].tolist() == [5, 0]
    assert values["ribo_percent"].tolist() == [10, 100]
    assert values["hb_percent"].tolist() == pytest.approx([15, 0])  # single precision
    by_regex = qc.cell_metrics(standard(counts), doublets=False, hb_genes="reference").values
    assert by_regex["hb_percent"].tolist() == pytest.approx([35, 0])


def test_reference_regex_is_the_published_one():
    names = ["HBA1", "HBEGF", "HBS1L", "HBP1", "HB(X", "MT-CO1", "mt-Co1", "Rps6", "RPLP0", "XRPS"]
    listed, published = qc.gene_classes(names), qc.gene_classes(names, "reference")
    assert np.flatnonzero(listed["hb_percent"]).tolist() == [0]
    assert np.flatnonzero(published["hb_percent"]).tolist() == [0, 1, 2]
    assert np.flatnonzero(listed["mt_percent"]).tolist() == [5, 6]
    assert np.flatnonzero(listed["ribo_percent"]).tolist() == [7, 8]
    with pytest.raises(InputError, match="hemoglobin"):
        qc.gene_classes(names, "other")


def test_thresholds_by_hand():
    # median 6, absolute deviations 5 3 2 0 1 3 94: MAD 3
    metrics = metrics_of(umi_counts=[1, 3, 4, 6, 7, 9, 100], mt_percent=[1, 3, 4, 6, 7, 9, 100])
    fit = fitted_to(metrics, mad=1)
    assert (fit["umi_counts"].median, fit["umi_counts"].mad) == (6, 3)
    assert (fit["umi_counts"].threshold, fit["mt_percent"].threshold) == (3, 9)
    flags = qc.apply_thresholds(metrics, fit)  # strict: 3 and 9 pass
    assert flags["fails_umi_counts"].tolist() == [1, 0, 0, 0, 0, 0, 0]
    assert flags["fails_mt_percent"].tolist() == [0, 0, 0, 0, 0, 0, 1]
    assert flags["qc_fail"].tolist() == [True, *[False] * 5, True]
    assert flags["fails_hb_percent"].isna().all()
    assert fitted_to(metrics, mad=1, mad_scale=1.4826)["mt_percent"].threshold == 6 + 1.4826 * 3


def test_only_selected_criteria_make_a_failure():
    metrics = metrics_of(umi_counts=[1, 3, 4, 6, 7, 9, 100], mt_percent=[1, 3, 4, 6, 7, 9, 100])
    fit = fitted_to(metrics, mad=1, criteria=["mt_percent", "hb_percent"])
    flags = qc.apply_thresholds(metrics, fit)
    assert np.flatnonzero(flags["qc_fail"]).tolist() == [6]
    assert flags["fails_umi_counts"].sum() == 1
    assert fit.judged == ("mt_percent",)
    nothing = fit.at(criteria=["hb_percent"])
    assert not qc.apply_thresholds(metrics, nothing)["qc_fail"].any()
    assert "No selected criterion" in nothing.warnings[0]


def test_warnings_about_degenerate_thresholds():
    fit = fitted_to(metrics_of(hb_percent=[0, 0, 0, 2], umi_counts=[1, 5, 9, 90]))
    assert "MAD is 0" in fit["hb_percent"].warnings[0]
    assert "no cell can fail" in fit["umi_counts"].warnings[0]
    assert len(fit.warnings) == 2


def test_all_pass_and_all_fail():
    metrics = metrics_of(umi_counts=[5, 6, 7, 8], mt_percent=[1, 2, 3, 4])
    fit = fitted_to(metrics, mad=10)
    assert not qc.apply_thresholds(metrics, fit)["qc_fail"].any()
    broken = metrics_of(umi_counts=[5, 6, 7, 8], mt_percent=[90, 91, 92, 93])
    assert qc.apply_thresholds(broken, fit)["qc_fail"].all()


@pytest.mark.parametrize("k", [0, -1, np.nan, np.inf, "3", True])
def test_k_must_be_positive(k):
    with pytest.raises(InputError, match="positive"):
        fitted_to(metrics_of(umi_counts=[1, 2]), mad=k)


def test_unusable_requests():
    metrics = metrics_of(umi_counts=[1, 2])
    for criteria in (["mt"], []):
        with pytest.raises(InputError, match="criteria"):
            fitted_to(metrics, criteria=criteria)
    with pytest.raises(InputError, match="training cells"):
        fitted_to(metrics, train=np.zeros(2, bool))
    with pytest.raises(InputError, match="positive numbers"):
        qc.cell_metrics(standard(np.zeros((1, 2)), ["A", "B"]))
    with pytest.raises(InputError, match="no library size"):
        qc.cell_metrics(AnnData(np.ones((1, 1))))


def test_what_is_measurable_on_a_panel():
    panel = screen()[:, [*MT_GENES[:9], *GENES[13:]]].copy()
    metrics = qc.cell_metrics(panel, doublets=False)
    assert set(metrics.reasons) == {"genes_detected", "mt_percent", "doublet"}
    assert "9 of the 13" in metrics.reasons["mt_percent"]
    assert metrics.values[list(metrics.reasons)].isna().all(axis=None)
    panel.obs["full_mt_percent"] = 7.0
    panel.obs["full_genes_detected"] = 70.0
    metrics = qc.cell_metrics(panel, doublets=False)
    assert metrics.sources["mt_percent"] == "obs full_mt_percent"
    assert (metrics.values["genes_detected"] == 70).all()
    fit = qc.fit_thresholds(panel, metrics=metrics)
    assert fit.generable == ("genes_detected", "ribo_percent", "hb_percent")
    assert "9 of the 13" in fit.not_generable["mt_percent"]
    assert "library size" in fit.not_generable["umi_counts"]
    panel.obs.iloc[0, panel.obs.columns.get_loc("full_mt_percent")] = np.nan
    assert "mt_percent" in qc.cell_metrics(panel, doublets=False).reasons


def test_judging_generated_cells_by_the_modelled_genes():
    genes = GENES[5:-5]
    data = screen(split=["train"] * 40 + ["test"] * 20)
    fit = qc.fit_thresholds(data, mad=1, doublets=False, genes=genes)
    assert fit.fitted_on == "40 training cells"
    modelled = data[:, genes].copy()
    table = qc.judge_generated(modelled, fit)
    detected = np.asarray((modelled.X > 0).sum(axis=1)).ravel()
    assert (table["genes_detected"] == detected).all()
    median = np.median(detected[:40])
    threshold = median - np.median(np.abs(detected[:40] - median))
    assert fit.generated["genes_detected"].threshold == threshold
    assert ((detected < threshold) == (table["fails_genes_detected"] == 1)).all()
    assert table["fails_umi_counts"].isna().all()
    assert (table["umi_counts"] == data.obs["library_size"]).all()
    assert fit.generable == ("genes_detected", "ribo_percent", "hb_percent")
    generable = [f"fails_{c}" for c in fit.generable]
    assert (table["qc_fail"] == (table[generable] == 1).any(axis=1)).all()
    pd.testing.assert_frame_equal(qc.judge_generated(data, fit, genes=genes), table)
    with pytest.raises(InputError, match="fitted over"):
        qc.judge_generated(data, fit)
    with pytest.raises(InputError, match="missing"):
        qc.judge_generated(modelled, fit, genes=[*genes, "ABSENT"])


@pytest.mark.parametrize(
    "form", [sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array, np.asarray]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int64])
def test_storage_does_not_matter(form, dtype):
    data = screen()
    expected = qc.cell_metrics(data, doublets=False).values
    other = standard(form(data.X.toarray().astype(dtype)))
    pd.testing.assert_frame_equal(
        qc.cell_metrics(other, doublets=False).values, expected, check_exact=True
    )


def test_inputs_are_not_changed_and_stored_zeros_are_not_genes():
    data = screen()
    data.X.data[::3] = 0
    data.obs["library_size"] = np.asarray(data.X.sum(axis=1), dtype=float).ravel()
    before, obs = data.X.copy(), data.obs.copy()
    metrics = qc.cell_metrics(data, doublets=False)
    marked = qc.annotate(data, qc.fit_thresholds(data, metrics=metrics), metrics=metrics)
    assert np.array_equal(data.X.data, before.data)
    pd.testing.assert_frame_equal(data.obs, obs)
    assert (metrics.values["genes_detected"] == (before.toarray() > 0).sum(axis=1)).all()
    assert marked.X is data.X
    assert marked.obs["qc_fail"].dtype == bool


@settings(max_examples=40, deadline=None)
@given(st.permutations(range(30)), st.integers(2, 9))
def test_order_and_unit_of_cells_do_not_matter(order, factor):
    values = np.random.default_rng(1).gamma(2, 3, 30)
    metrics, permuted = metrics_of(mt_percent=values), metrics_of(mt_percent=values[order])
    flags = qc.apply_thresholds(metrics, fitted_to(metrics, mad=1))["qc_fail"].to_numpy()
    again = qc.apply_thresholds(permuted, fitted_to(permuted, mad=1))["qc_fail"].to_numpy()
    assert np.array_equal(flags[order], again)
    scaled = fitted_to(metrics_of(mt_percent=values * 2.0**factor), mad=1)
    assert scaled["mt_percent"].threshold == fitted_to(metrics, mad=1)["mt_percent"].threshold * (
        2.0**factor
    )


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=40), st.floats(0.1, 9), st.floats(0.1, 9))
def test_fewer_cells_fail_as_k_grows(values, k, other):
    metrics = metrics_of(umi_counts=values, mt_percent=values)
    fit = fitted_to(metrics, mad=min(k, other))
    strict = qc.apply_thresholds(metrics, fit)["qc_fail"]
    wide = qc.apply_thresholds(metrics, fit.at(mad=max(k, other)))["qc_fail"]
    assert not (wide & ~strict).any()


def test_refit_at_another_k_needs_no_cells_and_json_is_exact():
    data = screen(split=["train"] * 40 + ["test"] * 20)
    fit = qc.fit_thresholds(data, mad=3, doublets=False)
    again = qc.fit_thresholds(data, mad=4.5, doublets=False, criteria=["mt_percent"])
    assert fit.at(mad=4.5, criteria=["mt_percent"]) == again
    assert qc.QCThresholds.from_json(fit.to_json()) == fit
    for text in ("{", "[]", "{}", fit.to_json().replace('"side": "low"', '"side": "high"')):
        with pytest.raises(InputError, match="cannot be read"):
            qc.QCThresholds.from_json(text)


def test_test_cells_change_nothing_that_is_fitted():
    data = screen(split=["train"] * 40 + ["test"] * 20)
    changed = standard(data.X.copy(), split=data.obs["split"].to_numpy())
    changed.X.data[changed.X.indptr[40] :] *= 7
    changed.obs["library_size"] = np.asarray(changed.X.sum(axis=1), dtype=float).ravel()
    assert qc.fit_thresholds(data) == qc.fit_thresholds(changed)
    assert "no split" in qc.fit_thresholds(screen(), doublets=False).fitted_on


@pytest.mark.parametrize(
    ("n_fail", "n_cells", "control_fail", "named"),
    [
        (30, 100, 10, True),  # three times as often
        (29, 100, 10, False),  # just less
        (1, 4, 0, False),  # one cell of a tiny group
        (9, 9, 0, False),  # too few cells
        (10, 10, 0, True),
        (3, 100, 1, False),  # the ratio by chance
        (0, 100, 0, False),
    ],
)
def test_what_may_be_biology(n_fail, n_cells, control_fail, named):
    fails = np.r_[np.arange(n_cells) < n_fail, np.arange(100) < control_fail].astype(float)
    flags = pd.DataFrame({f"fails_{c}": np.nan for c in qc.CRITERIA}, index=range(len(fails)))
    flags["fails_hb_percent"] = fails
    labels = pd.Series(["KLF1"] * n_cells + ["control"] * 100, dtype="category")
    assert qc.maybe_biology(flags, labels) == {"hb_percent": ["KLF1"] if named else []}
    assert qc.maybe_biology(flags, labels.astype(str).replace("control", "A")) == {"hb_percent": []}


def test_pbmc3k_equals_scanpy_to_the_last_digit(real_data):
    raw = read_h5ad(real_data("pbmc3k_raw.h5ad"))
    raw.var["mt"] = raw.var_names.str.startswith("MT-")
    raw.var["ribo"] = raw.var_names.str.startswith(("RPS", "RPL"))
    raw.var["hb"] = raw.var_names.isin(HB_GENES)
    expected, _ = sc.pp.calculate_qc_metrics(raw, qc_vars=["mt", "ribo", "hb"], percent_top=None)
    raw.obs["library_size"] = np.asarray(raw.X.sum(axis=1), dtype=float).ravel()
    for cells in (raw, load(real_data("pbmc3k_raw.h5ad"), require_labels=False)):
        values = qc.cell_metrics(cells, doublets=False).values.loc[raw.obs_names]
        assert np.array_equal(values["umi_counts"], expected["total_counts"])
        assert np.array_equal(values["genes_detected"], expected["n_genes_by_counts"])
        for name in ("mt", "ribo", "hb"):
            assert np.array_equal(values[f"{name}_percent"], expected[f"pct_counts_{name}"])


def test_norman_fails_as_often_as_the_specification_says(real_data):
    data = read_h5ad(real_data("norman2019_subset.h5ad"))
    data.obs["library_size"] = data.obs["ncounts"].astype(float)
    data.obs["full_genes_detected"] = data.obs["ngenes"].astype(float)
    train = ~data.obs["perturbation"].isin(HELD_OUT).to_numpy()
    metrics = qc.cell_metrics(data, reference_cells=train)
    assert set(metrics.reasons) == {"mt_percent", "ribo_percent", "hb_percent", "doublet"}
    fit = qc.fit_thresholds(data, metrics=metrics, train=train)
    rates = [qc.apply_thresholds(metrics, fit.at(mad=k))["qc_fail"].mean() for k in (3, 4, 5)]
    assert [round(100 * rate, 2) for rate in rates] == [3.17, 0.03, 0.0]
    assert fit.generable == ("genes_detected",)
