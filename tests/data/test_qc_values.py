"""Quality control: defaults, edges and words that a small fault in the code would change."""

import inspect
import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from cradle.data import cell_source, qc, qc_metrics
from cradle.data.qc_genes import HB_GENES, MT_GENES, lacking_genes, names_hash
from cradle.data.qc_thresholds import robust_threshold, unmeasurable
from cradle.errors import InputError
from tests.data.test_qc import GENES, fitted_to, metrics_of, screen, standard


@pytest.fixture
def doublets(monkeypatch):
    """Records what the doublet caller is asked; calls the first of every ten cells."""
    asked = []

    def call(adata, *, seed, reference_cells):
        asked.append(SimpleNamespace(seed=seed, reference=reference_cells))
        called = (np.arange(adata.n_obs) % 10 == 0).astype(float)
        values = pd.DataFrame(
            {"doublet": called, "doublet_score": called / 2}, index=adata.obs_names
        )
        return SimpleNamespace(values=values, reason="", source="a caller", thresholds=(0.25,))

    monkeypatch.setattr(qc_metrics, "call_doublets", call)
    return asked


def test_defaults_are_those_of_the_specification(doublets):
    fitted = qc.fit_thresholds(screen())
    assert (fitted.mad, fitted.mad_scale, fitted.hb_genes) == (3.0, 1.0, "listed")
    assert fitted.criteria == qc.CRITERIA
    assert doublets[0].seed == 0
    assert doublets[0].reference is None
    assert fitted["doublet"].measurable
    assert fitted["doublet"].threshold == 0.25
    for function in (qc.annotate, qc.cell_metrics):
        assert inspect.signature(function).parameters["seed"].default == 0


def test_a_mask_of_training_cells_reaches_the_doublet_caller_unless_there_is_a_split(doublets):
    train = np.arange(60) < 40
    fitted = qc.fit_thresholds(screen(), train=train)
    assert doublets[0].reference is train
    assert fitted.fitted_on == "40 training cells"
    split = ["train"] * 30 + ["test"] * 30
    fitted = qc.fit_thresholds(screen(split=split))
    assert doublets[1].reference is None
    assert fitted.fitted_on == "30 training cells"
    assert qc.fit_thresholds(screen(), doublets=False).fitted_on.startswith("all 60 cells")


def test_flags_are_measured_where_no_values_are_given(doublets):
    data = screen()
    flagged = qc.annotate(data, qc.fit_thresholds(data))
    assert flagged.obs["fails_doublet"].sum() == 6
    assert flagged.obs["doublet_score"].max() == 0.5
    without = qc.annotate(data, qc.fit_thresholds(data, doublets=False))
    assert without.obs["fails_doublet"].isna().all()
    assert len(doublets) == 2


def test_doublets_that_no_training_cell_was_called_for_are_not_measurable():
    called = [np.nan, np.nan, 1.0, 0.0]
    train = np.array([True, True, False, False])
    none = fitted_to(metrics_of(doublet=called), train=train)
    assert not none["doublet"].measurable
    assert "No training cell" in none["doublet"].reason
    some = fitted_to(metrics_of(doublet=called), train=~train | [True, False, False, False])
    assert some["doublet"].measurable


def biology(**groups):
    """Flags of one criterion from ``label=(n_fail, n_cells)``; the last cell is not judged."""
    rows = [(label, float(i < n_fail)) for label, (n_fail, n_cells) in groups.items()
            for i in range(n_cells)]  # fmt: skip
    labels, fails = zip(*rows, ("control", np.nan), strict=True)
    flags = pd.DataFrame({f"fails_{c}": np.nan for c in qc.CRITERIA}, index=range(len(rows) + 1))
    flags["fails_mt_percent"] = fails
    return qc.maybe_biology(flags, pd.Series(labels, flags.index))


def test_perturbations_are_named_by_rate_highest_first_and_others_not():
    named = biology(control=(10, 100), A=(80, 200), B=(30, 40), C=(10, 100))
    assert named == {"mt_percent": ["B", "A"]}


def test_the_chance_counts_the_failures_seen():
    """P(≥ 3 of 3 failures among 10 of 35 cells) = C(10,3)/C(35,3) = 0.018: no evidence."""
    assert biology(control=(0, 25), A=(3, 10)) == {"mt_percent": []}
    # P(≥ 4 of 4) = C(10,4)/C(35,4) = 0.004
    assert biology(control=(0, 25), A=(4, 10)) == {"mt_percent": ["A"]}
    assert biology(control=(0, 25), A=(4, 9)) == {"mt_percent": []}


def test_exactly_three_times_the_rate_of_control_is_named():
    assert biology(control=(20, 200), A=(60, 200)) == {"mt_percent": ["A"]}
    assert biology(control=(21, 200), A=(60, 200)) == {"mt_percent": []}


def test_without_control_or_failures_nothing_is_named():
    assert biology(A=(5, 50)) == {"mt_percent": []}
    assert biology(control=(0, 50), A=(0, 50)) == {"mt_percent": []}


def test_enough_genes_is_ten_forty_and_five():
    ribosomal = [f"RPL{i}" for i in range(40)]
    needed = ["HBA1", "HBA2", "HBB", "HBG1", "HBG2"]
    assert lacking_genes([*MT_GENES[:10], *ribosomal, *needed]) == {}
    reasons = lacking_genes([*MT_GENES[:9], *ribosomal[:39], *needed[1:]])
    assert reasons["mt_percent"].startswith("The genes hold 9 of the 13 MT genes; at least 10")
    assert reasons["ribo_percent"].startswith("The genes hold 39 RPS/RPL genes; at least 40")
    assert reasons["hb_percent"].startswith("The genes lack HBA1;")
    # each of the classes may be written in small letters, as in mouse; repeated names count once
    assert "mt_percent" not in lacking_genes([g.lower() for g in MT_GENES])
    assert "mt_percent" in lacking_genes([MT_GENES[0]] * 20)
    small = [g.lower() for g in (*MT_GENES, *ribosomal, *needed)]
    found = qc.gene_classes(small)
    assert lacking_genes(small) == {}
    assert {c: int(genes.sum()) for c, genes in found.items()} == {
        "mt_percent": 13, "ribo_percent": 40, "hb_percent": 5,
    }  # fmt: skip


def test_classes_by_name_and_by_the_published_pattern():
    names = ["MT-ND1", "mt-Co1", "RPS2", "rpl3", "HBB", "HBEGF", "HBP1", "XMT-A", "hbb"]
    listed = qc.gene_classes(names)
    assert listed["mt_percent"].tolist() == [True, True, *[False] * 7]
    assert listed["ribo_percent"].tolist() == [False, False, True, True, *[False] * 5]
    assert listed["hb_percent"].tolist() == [*[False] * 4, True, *[False] * 3, True]
    reference = qc.gene_classes(names, "reference")["hb_percent"]
    assert reference.tolist() == [*[False] * 4, True, True, False, False, False]
    assert len(HB_GENES) == 10


@pytest.mark.parametrize("chunk", [1, 7, 60, 2048])
def test_chunks_do_not_matter(monkeypatch, chunk):
    data = screen()
    expected = qc.cell_metrics(data, doublets=False).values
    monkeypatch.setattr(cell_source, "BLOCK", chunk)
    pd.testing.assert_frame_equal(qc.cell_metrics(data, doublets=False).values, expected)


def test_values_by_hand_and_where_they_come_from():
    counts = np.zeros((2, len(GENES)), np.float32)
    counts[0, [0, 1, 13, 60]] = [3, 1, 4, 2]  # two MT genes, one RPS gene, one other
    counts[1, 0], counts[1, 53] = 5, 5
    metrics = qc.cell_metrics(standard(sparse.csr_matrix(counts)), doublets=False)
    assert metrics.values["umi_counts"].tolist() == [10, 10]
    assert metrics.values["genes_detected"].tolist() == [4, 2]
    assert metrics.values["mt_percent"].tolist() == [40, 50]
    assert metrics.values["ribo_percent"].tolist() == [40, 0]
    assert metrics.sources["umi_counts"] == "obs library_size"
    assert metrics.sources["genes_detected"] == f"counted over {len(GENES)} genes"
    assert metrics.sources["mt_percent"] == "13 genes over library_size"
    assert metrics.sources["ribo_percent"] == "40 genes over library_size"
    assert metrics.reasons == {"doublet": "Doublets were not asked for."}
    assert metrics.doublet_threshold is None


def test_full_values_come_first_and_only_when_complete():
    data = screen(full_genes_detected=np.arange(60.0) + 1, full_mt_percent=[np.nan] + [1.0] * 59)
    metrics = qc.cell_metrics(data, doublets=False)
    assert metrics.values["genes_detected"].tolist() == list(range(1, 61))
    assert metrics.sources["genes_detected"] == "obs full_genes_detected"
    assert metrics.sources["mt_percent"] == "13 genes over library_size"
    panel = screen()
    panel.obs["library_size"] += 1
    reasons = qc.cell_metrics(panel, doublets=False).reasons
    assert "not the full transcriptome" in reasons["genes_detected"]


@pytest.mark.parametrize("size", [0.0, -1.0, np.nan, np.inf])
def test_impossible_library_sizes_are_refused(size):
    data = screen()
    data.obs.loc["c3", "library_size"] = size
    with pytest.raises(InputError, match="1 of 60 cells"):
        qc.cell_metrics(data, doublets=False)


def test_one_doublet_threshold_is_kept_and_two_are_not(monkeypatch):
    for thresholds, expected in (((0.3,), 0.3), ((0.3, 0.4), None), ((), None)):
        values = pd.DataFrame({"doublet": 0.0, "doublet_score": 0.1}, index=screen().obs_names)
        calls = SimpleNamespace(values=values, reason="", source="s", thresholds=thresholds)
        monkeypatch.setattr(qc_metrics, "call_doublets", lambda *_, calls=calls, **__: calls)
        assert qc.cell_metrics(screen()).doublet_threshold == expected


def test_the_threshold_is_strict_and_one_sided():
    values = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 100.0])  # median 3.5, MAD 1.5
    low = robust_threshold("umi_counts", values, 1.0, 1.0, "s")
    high = robust_threshold("mt_percent", values, 2.0, 1.0, "s")
    assert (low.median, low.mad, low.threshold, low.side) == (3.5, 1.5, 2.0, "low")
    assert (high.threshold, high.side) == (6.5, "high")
    assert robust_threshold("mt_percent", values, 2.0, 1.4826, "s").threshold == pytest.approx(
        3.5 + 2 * 1.4826 * 1.5
    )
    fitted = fitted_to(metrics_of(umi_counts=values, mt_percent=values), mad=1.0)
    flags = qc.apply_thresholds(metrics_of(umi_counts=values, mt_percent=values), fitted)
    assert flags["fails_umi_counts"].tolist() == [1, 0, 0, 0, 0, 0]  # 2.0 itself passes
    assert flags["fails_mt_percent"].tolist() == [0, 0, 0, 0, 0, 1]  # 5.0 itself passes
    assert flags["qc_fail"].tolist() == [True, *[False] * 4, True]
    assert not unmeasurable("mt_percent", "why").measurable


def test_every_record_is_frozen():
    fitted = fitted_to(metrics_of(umi_counts=[1.0, 2.0, 3.0]))
    metrics = metrics_of(umi_counts=[1.0])
    for record, name in ((fitted, "mad"), (fitted["umi_counts"], "median"), (metrics, "values")):
        with pytest.raises(AttributeError):
            setattr(record, name, None)


def test_of_another_k_everything_else_stays():
    metrics = metrics_of(umi_counts=[1.0, 2.0, 3.0, 4.0, 5.0], mt_percent=[1.0, 2.0, 3.0, 4.0, 5.0])
    fitted = fitted_to(metrics, mad=1.0, mad_scale=2.0)
    moved = fitted.at(mad=2.0)
    assert moved == fitted_to(metrics, mad=2.0, mad_scale=2.0)
    assert fitted.at() == fitted
    assert fitted.at(criteria=["mt_percent"]).criteria == ("mt_percent",)
    assert fitted.at(criteria=["mt_percent"]).mad == 1.0
    assert fitted.judged == ("umi_counts", "mt_percent")
    assert set(fitted.not_generable) == set(qc.CRITERIA) - set(fitted.generable)
    assert fitted.at(criteria=["mt_percent"]).not_generable["umi_counts"].startswith("Not selected")


def test_the_order_of_genes_does_not_change_their_hash():
    assert names_hash(["b", "a"]) == names_hash(["a", "b"]) != names_hash(["a", "c"])


def test_warnings_name_the_side_and_begin_at_zero():
    flat = np.array([5.0, 5.0, 5.0, 9.0])
    assert "below the median" in robust_threshold("umi_counts", flat, 3, 1, "s").warnings[0]
    assert "above the median" in robust_threshold("mt_percent", flat, 3, 1, "s").warnings[0]
    values = np.array([1.0, 2.0, 3.0, 4.0, 5.0])  # median 3, MAD 1
    for k, warned in ((3.0, True), (2.5, False), (3.5, True)):
        warnings = robust_threshold("umi_counts", values, k, 1, "s").warnings
        assert any("no cell can fail" in text for text in warnings) == warned
    assert robust_threshold("mt_percent", values, 3.0, 1, "s").warnings == ()


@pytest.mark.parametrize("value", [1, "1.0", True])
def test_stored_thresholds_are_numbers_with_a_point_and_nothing_is_unknown(value):
    fitted = fitted_to(metrics_of(umi_counts=[1.0, 2.0, 3.0]))
    parts = json.loads(fitted.to_json())
    parts["observed"]["umi_counts"]["median"] = value
    with pytest.raises(InputError, match="cannot be read"):
        qc.QCThresholds.from_json(json.dumps(parts))
    with pytest.raises(InputError, match="the parts must be"):
        qc.QCThresholds.from_json(json.dumps({**json.loads(fitted.to_json()), "more": 1}))
    assert qc.QCThresholds.from_json(fitted.to_json()) == fitted
    assert fitted.to_json().splitlines()[1].startswith('  "mad"')


@pytest.mark.parametrize("criteria", [qc.CRITERIA, ("mt_percent",), ("umi_counts",)])
def test_passing_cells_are_those_that_no_generable_criterion_fails(criteria):
    data = screen()
    fit = qc.fit_thresholds(data, mad=0.5, criteria=criteria, doublets=False)
    measured = qc.generable_metrics(data)
    measured.values.loc[measured.values.index[:5], "mt_percent"] = np.nan
    passed = qc.passing(measured.values, fit)
    assert passed.tolist() == (~qc.judge(measured, fit)["qc_fail"]).tolist()
    assert passed.all() == (not fit.generable)
