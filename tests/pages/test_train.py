"""The training page: what is asked for reaches the job; runs are described and removed."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from cradle.jobs import queue
from cradle.jobs.job import EXIT, Job
from cradle.models.registry import MODELS
from cradle.run_folders import runs_folder
from cradle.ui import train_view
from tests.pages.test_inputs import table as screen
from tests.pages.test_inputs import uploaded

Open = Callable[..., AppTest]


@pytest.fixture
def submitted(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """Jobs are written and listed, and no process is started."""
    started: list[Job] = []
    monkeypatch.setattr(queue, "_start", started.append)
    return started


def _press(app: AppTest, label: str) -> AppTest:
    next(b for b in app.button if b.label == label).click().run()
    assert not app.exception, app.exception[0].value
    return app


def test_the_choices_reach_the_command(demo: Path, open_page: Open, submitted: list[Job]) -> None:
    app = open_page("train", mad="4", criteria=["UMI counts", "Doublets"])
    app.number_input(key="train_seed").set_value(7)
    app.number_input(key="train_epochs").set_value(3)
    app.text_input(key="train_name").set_value("mine")
    app.segmented_control(key="train_cells").set_value("passing")
    app.text_area(key="train_settings").set_value("n_latent=4\nn_hidden = 8")
    pair = app.multiselect(key="train_held_out").options[0]
    app.multiselect(key="train_held_out").set_value([pair])
    _press(app, "Start training")
    assert not app.warning
    (job,) = submitted
    out = str((runs_folder() / "mine").resolve())
    expected = (
        "fit", "demo", "--model", "cradle_vae", "--out", out, "--mad", "4",
        "--criteria", "umi_counts,doublet", "--seed", "7", "--epochs", "3",
        "--train-cells", "passing", "--test-combinations", pair,
        "--set", "n_latent=4", "--set", "n_hidden = 8",
    )  # fmt: skip
    assert job.command == expected
    from cradle.cli.main import parser

    read = parser().parse_args(list(job.command))
    assert (read.mad, read.seed, read.epochs) == (4.0, 7, 3)
    assert read.test_combinations == (pair,)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("train_settings", "n_latent=-1", "out of range"),
        ("train_settings", "n_latent", "cannot be read"),
        ("train_settings", "colour=red", "unknown"),
        ("train_name", "../up", "cannot be used"),
        ("train_genes", "many", "cannot be read"),
    ],
)
def test_what_cannot_be_trained_is_said_before_a_job_is_made(
    demo: Path, open_page: Open, submitted: list[Job], key: str, value: str, says: str
) -> None:
    app = open_page("train")
    widgets = app.text_area if "settings" in key else app.text_input
    widgets(key=key).set_value(value)
    _press(app, "Start training")
    assert any(says in box.value for box in app.warning)
    assert submitted == []


def test_own_runs_can_be_compared_and_deleted_and_shipped_ones_stay(
    demo: Path, open_page: Open
) -> None:
    shutil.copytree(demo / "runs" / "demo", runs_folder() / "own")
    app = open_page("train", card="own")
    assert not app.warning
    table = next(t.value for t in app.dataframe if "whose" in t.value)
    assert dict(zip(table["run"], table["whose"], strict=True)) == {"own": "own", "demo": "shipped"}
    assert any("simulated: nothing here was measured" in text.value for text in app.markdown)
    app.selectbox(key="card_beside").set_value("demo").run()
    assert not app.exception
    assert not app.warning
    assert any("asked for alike" in text.value for text in app.caption)
    app.selectbox(key="card_beside").set_value("none").run()
    _press(app, "Delete it for good")
    assert not (runs_folder() / "own").exists()
    app = open_page("train")
    assert not [b for b in app.button if b.label == "Delete it for good"]
    assert (demo / "runs" / "demo" / "DONE").is_file()


def test_a_finished_job_keeps_its_curve_and_says_where_to_look(
    demo: Path, open_page: Open, submitted: list[Job]
) -> None:
    _press(open_page("train"), "Start training")
    (job,) = submitted
    shutil.copytree(demo / "runs" / "demo", job.subject)
    app = open_page("train")
    assert job.state == "finished"
    (trained,) = [box for box in app.expander if box.label == "How training went"]
    assert len(trained.get("plotly_chart")) == 1
    said = "\n".join(text.value for text in [*app.caption, *app.markdown])
    assert "2 epochs in " in said
    assert "training alone." in said
    assert "ELBO (evidence lower bound)" in said
    app.sidebar.selectbox(key="run").set_value("demo").run()
    _press(app, "Treatment effects")
    app.run()  # the router would have opened the page
    assert app.sidebar.selectbox(key="run").value == Path(job.subject).name
    table = next(t.value for t in app.dataframe if "whose" in t.value)
    assert set(table["scored on"]) == {"test (held out)"}


def test_doublets_that_were_not_looked_for_are_not_promised(
    no_run: Path, open_page: Open, tmp_path: Path
) -> None:
    app = open_page("train", dataset=uploaded(screen(), tmp_path))
    (judged,) = [text.value for text in app.caption if text.value.startswith("Cells are judged")]
    assert "Doublets (if they can be looked for in these cells)" in judged
    assert "Not measurable in these data: Mitochondrial share" in judged
    assert app.text_input(key="train_name").placeholder == "own_cradle_vae_1"


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("cradle_vae", "so that flaws can be left out. It generates cells, also for combinations"),
        ("svae_plus", "takes flawed cells as they are. It generates cells, but not for"),
        ("perturbed_vae", "(it generates no cells), also for combinations"),
        ("additive", "a simple rule, nothing is trained"),
    ],
)
def test_each_model_is_told_in_plain_words(model: str, says: str) -> None:
    assert says in train_view._plainly(MODELS[model])


def test_stop_and_continue_reach_the_queue(
    demo: Path, open_page: Open, submitted: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cradle.jobs.job.STARTING_SECONDS", 0.0)  # as after a while
    app = open_page("train")
    _press(app, "Start training")
    (job,) = submitted
    assert job.state == "interrupted", "there is no process"
    again = open_page("train")
    _press(again, "Continue")
    assert submitted[-1].attempt == 2
    assert submitted[-1].command[-1] == "--resume"
    _press(open_page("train"), "Remove from the list")
    assert queue.all_jobs() == []


@pytest.mark.parametrize(("code", "says"), [(2, "cannot mend by itself"), (1, "not of your data")])
def test_a_failed_job_says_who_is_at_fault(
    demo: Path, open_page: Open, submitted: list[Job], code: int, says: str
) -> None:
    _press(open_page("train"), "Start training")
    (job,) = submitted
    (job.folder / EXIT).write_text(str(code))
    assert job.state == "failed"
    assert any(says in text.value for text in open_page("train").markdown)
