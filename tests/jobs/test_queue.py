"""Background jobs: real processes that outlive who started them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cradle.errors import InputError
from cradle.jobs import queue, runner
from cradle.jobs.job import LOG, PROCESS, STARTED, STOP, new_job
from cradle.jobs.processes import alive, identity, terminate
from cradle.progress import read_progress
from cradle.run_folders import runs_folder
from cradle.runs import Run

ROOT = Path(__file__).resolve().parents[2]
SMALL = ("--set", "n_latent=6", "--set", "n_hidden=16")


@pytest.fixture
def submit_fit(screen_file):
    """Submit a fit of the small screen into a run of that name."""

    def submit(name, *options, model="cradle_vae"):
        out = str((runs_folder() / name).resolve())
        settings = SMALL if model == "cradle_vae" else ()
        arguments = ["fit", str(screen_file), "--model", model, "--out", out, *settings, *options]
        return queue.submit("fit", name, arguments, out)

    return submit


@pytest.fixture
def quiet_job():
    """A job that was written and never started."""
    return new_job(queue.jobs_folder(), "fit", "quiet", ("fit",), "nowhere", "local")


def test_a_fit_runs_to_its_end_in_a_session_of_its_own(submit_fit, until):
    job = submit_fit("one", "--epochs", "2")
    until(job, "running")
    pid, known = job.process()
    assert os.getsid(pid) == pid != os.getsid(0)
    assert Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1] != str(os.getpid())
    until(job, "finished")
    assert Run.load(job.subject).history.shape[0] == 2
    assert job.exit_code() == 0
    assert "epoch 2 of at most 2" in job.log_tail()
    while alive(pid, known):  # it has said how it ended, and goes
        time.sleep(0.02)


def test_one_at_a_time_in_the_order_of_submission(submit_fit, until):
    jobs = [submit_fit("a", "--epochs", "2"), *(submit_fit(n, model="additive") for n in "bc")]
    until(jobs[0], "running", "finished")
    assert [j.id for j in queue.all_jobs()] == [j.id for j in reversed(jobs)]
    assert jobs[2].state == "queued"
    for job in jobs:
        until(job, "finished")
    started = [job.started for job in jobs]
    assert started == sorted(started)
    done = [(Path(job.subject) / "DONE").stat().st_mtime for job in jobs]
    assert done[0] <= started[1]
    assert done[1] <= started[2]


def test_stop_keeps_the_last_epoch_and_resume_goes_on(submit_fit, until):
    job = submit_fit("long", "--epochs", "400", "--set", "patience=400")
    end = time.monotonic() + 60
    while read_progress(Path(job.subject)) is None and time.monotonic() < end:
        time.sleep(0.05)
    queue.stop(job)
    until(job, "stopped")
    stopped = read_progress(Path(job.subject))
    kept = json.loads((Path(job.subject) / "resume" / "state.json").read_text())
    assert kept["epoch"] == stopped.epochs < 400
    assert "--resume" in job.log_tail(1)
    again = queue.resume(job)
    assert again.attempt == 2
    until(again, "running")
    while read_progress(Path(job.subject)).epochs == stopped.epochs and time.monotonic() < end:
        time.sleep(0.05)
    told = read_progress(Path(job.subject))
    assert told.epochs > stopped.epochs
    assert told.seconds > stopped.seconds
    with pytest.raises(InputError, match="cannot be continued"):
        queue.resume(again)
    queue.stop(again)
    until(again, "stopped")
    lines = (job.folder / LOG).read_text().splitlines()
    assert [n for n in range(1, 9) if sum(x.startswith(f"epoch {n} ") for x in lines) > 1] == []


def test_a_queued_job_can_be_stopped_and_lets_the_next_one_pass(submit_fit, until):
    first = submit_fit("first", "--epochs", "400", "--set", "patience=400")
    until(first, "running")
    second, third = submit_fit("second", model="control_mean"), submit_fit("third", "--epochs", "1")
    assert second.state == third.state == "queued"
    queue.stop(second)
    until(second, "stopped")
    queue.forget(second)
    assert second.id not in [job.id for job in queue.all_jobs()]
    queue.stop(first)
    until(first, "stopped")
    until(third, "finished")


def test_jobs_survive_the_death_of_who_started_them(screen_file, until):
    """The app is killed with its whole process group; its job goes on, the next app sees it."""
    out = str((runs_folder() / "orphan").resolve())
    arguments = ["fit", str(screen_file), "--model", "cradle_vae", "--out", out, *SMALL,
                 "--epochs", "6"]  # fmt: skip
    code = (
        "import json, sys, time\nfrom cradle.jobs.queue import submit\n"
        f"job = submit('fit', 'orphan', json.loads(sys.argv[1]), {out!r})\n"
        "print(job.id, flush=True)\ntime.sleep(60)"
    )
    app = subprocess.Popen([sys.executable, "-c", code, json.dumps(arguments)], cwd=ROOT,
                           stdout=subprocess.PIPE, text=True, start_new_session=True)  # fmt: skip
    with app:
        found = app.stdout.readline().strip()
        os.killpg(app.pid, signal.SIGKILL)
    job = next(job for job in queue.all_jobs() if job.subject == out)
    assert job.id == found
    until(job, "finished")
    assert Run.load(out).history.shape[0] == 6


def test_a_killed_job_is_interrupted_and_gives_its_turn_back(submit_fit, until):
    job = submit_fit("killed", "--epochs", "400", "--set", "patience=400")
    until(job, "running")
    os.kill(job.process()[0], signal.SIGKILL)
    until(job, "interrupted")
    until(submit_fit("next", model="control_mean"), "finished")


def test_a_refused_fit_is_failed_and_says_why(submit_fit, until):
    job = submit_fit("bad", "--test-combinations", "NO+SUCH", model="control_mean")
    until(job, "failed")
    assert job.exit_code() == 2
    assert "Found:" in job.log_tail()


def test_the_same_run_is_not_submitted_twice(submit_fit, until):
    job = submit_fit("twice", "--epochs", "400", "--set", "patience=400")
    with pytest.raises(InputError, match="in the queue already"):
        submit_fit("twice")
    queue.stop(job)
    until(job, "stopped")


def test_a_job_without_a_process_yet_waits_and_can_be_stopped(quiet_job, monkeypatch):
    assert quiet_job.state == "queued"
    queue.stop(quiet_job)
    assert quiet_job.state == "stopping"
    runner.run(quiet_job.folder)  # its process, once it is there, becomes no fit
    assert not (quiet_job.folder / STARTED).exists()
    monkeypatch.setattr("cradle.jobs.job.STARTING_SECONDS", 0.0)
    assert quiet_job.state == "stopped"
    (quiet_job.folder / STOP).unlink()
    assert quiet_job.state == "interrupted"


def test_a_recycled_process_number_is_not_taken_for_the_job(quiet_job):
    job = quiet_job
    other = {"pid": os.getpid(), "identity": "another boot:12345"}
    (job.folder / PROCESS).write_text(json.dumps(other))
    assert job.state == "interrupted"
    queue.stop(job)  # and this process is not the one that gets the signal
    assert not terminate(os.getpid(), other["identity"])
    assert alive(os.getpid(), identity(os.getpid()))


def test_an_ended_child_that_nobody_waited_for_is_not_alive():
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    known = identity(child.pid)
    end = time.monotonic() + 20
    while identity(child.pid) is not None and time.monotonic() < end:
        time.sleep(0.02)
    assert Path(f"/proc/{child.pid}").exists(), "it is a zombie"
    assert not alive(child.pid, known)
    child.wait()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"kind": "rm"}'])
def test_damaged_jobs_are_left_out(quiet_job, content):
    broken = queue.jobs_folder() / f"{time.time_ns():020d}-abcdef"
    broken.mkdir()
    (broken / "job.json").write_bytes(content)
    assert [j.id for j in queue.all_jobs()] == [quiet_job.id]


def test_the_log_shows_an_overwritten_line_once(quiet_job):
    assert quiet_job.log_tail() == ""
    (quiet_job.folder / LOG).write_bytes(b"one\n\rx: 1 MB\rx: 2 MB\rx: 3 MB\n\n")
    assert quiet_job.log_tail() == "one\nx: 3 MB"


def test_an_unknown_executor_is_refused(submit_fit, monkeypatch):
    monkeypatch.setenv("CRADLE_EXECUTOR", "cloud")
    with pytest.raises(InputError, match="executor"):
        submit_fit("x")
