"""Names, locks and deletion of run directories."""

import pytest

from cradle.errors import InputError
from cradle.fitting import fit
from cradle.run_folders import alone, delete_run, named_run_path, new_run_path, runs_folder
from cradle.run_tables import refuse_links
from cradle.runs import Run


def test_a_second_process_on_a_run_directory_is_refused(screen, tmp_path):
    with (
        alone(tmp_path / "run"),
        pytest.raises(InputError, match="Another process is fitting"),
    ):
        fit(screen, "control_mean", out=tmp_path / "run")
    assert not (tmp_path / "run").exists(), "an empty folder is not left"
    fit(screen, "control_mean", out=tmp_path / "run")
    assert Run.load(tmp_path / "run").model_name == "control_mean"


def test_a_refused_fit_leaves_no_folder(screen, tmp_path):
    with pytest.raises(InputError):
        fit(screen, "control_mean", out=tmp_path / "run", test_combinations=["NO+SUCH"])
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "-x", "a" * 81, "a b"])
def test_names_that_are_no_folder_names_are_refused(name):
    with pytest.raises(InputError, match="name"):
        named_run_path(name)


def test_taken_names_are_refused_and_numbered_ones_are_free(screen):
    first = fit(screen, "control_mean", out=named_run_path("control_mean_1"))
    with pytest.raises(InputError, match="already"):
        named_run_path(first.name)
    assert new_run_path("control_mean").name == "control_mean_2"


def test_own_runs_can_be_deleted_and_nothing_else(screen, tmp_path):
    run = fit(screen, "control_mean", out=runs_folder() / "own")
    inside = runs_folder() / "no_run"
    inside.mkdir()
    outside = fit(screen, "control_mean", out=tmp_path / "elsewhere" / "run").path
    (runs_folder() / "link").symlink_to(outside)
    for path in (inside, outside, runs_folder(), runs_folder() / "link",
                 runs_folder() / ".." / "elsewhere" / "run"):  # fmt: skip
        with pytest.raises(InputError, match="cannot be deleted"):
            delete_run(path)
    with alone(run.path), pytest.raises(InputError, match="Another process"):
        delete_run(run.path)
    delete_run(run.path)
    assert sorted(p.name for p in runs_folder().iterdir()) == ["link", "no_run"]
    assert (outside / "DONE").is_file()


def test_shipped_runs_stay_even_when_the_runs_folder_is_the_shipped_one(monkeypatch):
    from cradle.run_folders import _SHIPPED

    shipped = sorted((_SHIPPED / "runs").glob("*/DONE"))
    assert shipped
    monkeypatch.setenv("CRADLE_RUNS_DIR", str(_SHIPPED / "runs"))
    with pytest.raises(InputError, match="cannot be deleted"):
        delete_run(shipped[0].parent)
    assert shipped[0].is_file()


def test_a_file_that_gets_its_name_meanwhile_is_no_damage(tmp_path, monkeypatch):
    (tmp_path / ".writing-1").write_text("")
    (tmp_path / "config.json").write_text("{}")
    listed = sorted(tmp_path.iterdir())
    (tmp_path / ".writing-1").unlink()
    monkeypatch.setattr(type(tmp_path), "rglob", lambda *_: iter(listed))
    refuse_links(tmp_path)
