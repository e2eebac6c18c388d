"""The benchmark measures what it says."""

import importlib
import json
import os
import sys
import time

import numpy as np
import pytest

from benchmarks import __main__ as command
from benchmarks import converge, effects, generate, pages, screens, step
from benchmarks import load as load_test
from cradle.data.sources import data_hash, load
from cradle.runs import Run


@pytest.fixture
def quick(monkeypatch):
    for name, value in {"N_BATCHES": 2, "MATRIX": 64, "WARM_UP": 0, "ROUNDS": 1}.items():
        monkeypatch.setattr(step, name, value)


def test_a_tenth_of_the_counts_is_above_zero(quick):
    counts = step.screen().train_set.cells.counts
    assert counts.shape == (2 * 512, 2000)
    assert counts.nnz / (2 * 512 * 2000) == pytest.approx(0.1, abs=0.005)


def test_the_numerator_counts_the_matrices_of_encoder_and_decoder(quick):
    # inputs [x, z_p, z_a] -> 400 -> location and scale; [z_b, z_p, z_a] -> 400 -> 400 -> genes + 1
    encoder = (2000 + 200 + 200) * 400 + 400 * 2 * 200
    decoder = 3 * 200 * 400 + 400 * 400 + 400 * 2001
    assert step.matrix_weights(step.trained_module(step.screen())) == encoder + decoder


def test_counterparts_are_part_of_every_batch(quick):
    batches = step._batches(step.screen())
    assert all((batch.counterparts.row >= 0).any() for batch in batches)


def test_report_has_the_agreed_form(quick, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["benchmarks", "step", "--json"])
    command.main()
    report = json.loads(capsys.readouterr().out)
    assert set(report) == {"subject", "figures", "ratios"}
    assert report["subject"] == "step"
    assert report["ratios"]["matmul_fraction"] > 0
    assert report["figures"]["cells_per_second"] > 0


def test_a_screen_in_a_file_is_the_one_in_memory(tmp_path):
    csr_mb = screens.write(tmp_path / "screen.h5ad", 1_000, 600)
    read, made = load(tmp_path / "screen.h5ad"), screens.in_memory(1_000, 600)
    assert data_hash(read) == data_hash(made)
    parts = (made.X.data, made.X.indices.astype(np.int32), made.X.indptr.astype(np.int64))
    assert csr_mb == pytest.approx(sum(part.nbytes for part in parts) / 1e6)
    assert made.X.nnz / (1_000 * 600) == pytest.approx(0.1, abs=0.03)


@pytest.mark.parametrize("subject", command.SUBJECTS)
def test_every_subject_has_sizes_for_arguments(subject):
    measure = importlib.import_module(f"benchmarks.{subject}").measure
    sizes = vars(command._sizes(measure).parse_args([]))
    assert all(isinstance(size, int) for size in sizes.values())


def test_generation_is_compared_with_sampling(monkeypatch):
    monkeypatch.setattr(generate, "ROUNDS", 1)
    report = generate.measure(cells=40, genes=160)
    ratio = report["figures"]["seconds"] / report["figures"]["sampling_seconds"]
    assert report["ratios"]["time_of_sampling"] == pytest.approx(ratio)


def test_integrated_effects_agree_with_sampled_ones(monkeypatch):
    """Of the shipped run, within the error of sampling."""
    monkeypatch.setattr(effects, "N_COMPARED", 1)
    z = effects.disagreement(Run.load(effects.RUN).predictor(), 400)
    assert len(z) > 100
    assert np.sqrt(np.mean(z**2)) < 1.3


def test_time_to_an_elbo_is_that_of_the_first_epoch_above_it():
    curve = np.array([[0.0, -9.0], [2.0, -5.0], [3.0, -6.0], [5.0, -4.0]])
    assert [converge._seconds_to(goal, curve) for goal in (-5.0, -4.5, -1.0)] == [2, 5, np.inf]


def test_pages_are_held_against_the_slowest_of_each_kind():
    figures = {"first_visitor": 9.0, "open": 1.5, "page_data": 0.2, "page_train": 1.4,
               "control_threshold": 0.25, "memory_mb": 450.0, "load_average": 0.1}  # fmt: skip
    assert pages._ratios(figures) == {
        "open_of_bar": 0.5, "page_of_bar": pytest.approx(2.0), "control_of_bar": 0.5,
        "memory_mb_of_bar": 0.5,
    }  # fmt: skip


def test_every_page_of_the_app_is_measured():
    from cradle.ui.navigation import PAGES

    assert list(pages.TITLES) == [spec.title for spec in PAGES.values()]
    assert {title for title, _, _ in pages.CONTROLS.values()} <= set(pages.TITLES)


def test_processor_time_of_a_process_is_what_it_says_itself():
    assert load_test.cpu_seconds(os.getpid()) == pytest.approx(time.process_time(), abs=0.1)
