"""The SLURM executor against stand-ins for the commands of SLURM, with the real submitit."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from cradle.cli.main import main
from cradle.errors import InputError
from cradle.jobs import queue, slurm
from cradle.jobs.job import PROCESS
from cradle.run_folders import runs_folder
from cradle.runs import Run

SBATCH = """#!{python}
import glob, os, subprocess, sys
folder = {folder!r}
number = str(77 + len(glob.glob(folder + "/pid.*")))
script = sys.argv[-1]
open(folder + "/script", "w").write(open(script).read())
environment = dict(os.environ, SLURM_JOB_ID=number, SLURM_NTASKS="1", SLURM_NNODES="1",
                   SLURM_NODEID="0", SLURM_PROCID="0", SLURM_LOCALID="0",
                   SLURM_JOB_NODELIST="here", SLURM_JOB_NUM_NODES="1")
child = subprocess.Popen(["bash", script], env=environment, start_new_session=True,
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
open(folder + "/pid." + number, "w").write(str(child.pid))
print("Submitted batch job " + number)
"""
SRUN = """#!/bin/bash
while [[ "$1" == --* ]]; do
    case "$1" in --output|--error) shift ;; esac
    shift
done
exec "$@"
"""
SACCT = """#!/bin/bash
echo "JobID|State|NodeList"
for file in {folder}/pid.*; do
    number="${file##*.}"
    if pgrep -s "$(cat "$file")" > /dev/null; then echo "$number|RUNNING|here"
    else echo "$number|CANCELLED by 0|here"; fi
done
"""


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """``sbatch`` and its kin on the path; the job runs on this machine."""
    submitit = pytest.importorskip("submitit", reason="submitit is not installed")
    # it remembers the states of jobs by their number, and each test counts from 77 again
    submitit.SlurmJob.watcher.clear()
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in {"sbatch": SBATCH, "srun": SRUN, "sacct": SACCT}.items():
        filled = text.replace("{folder!r}", repr(str(folder))).replace("{folder}", str(folder))
        (folder / name).write_text(filled.replace("{python}", sys.executable))
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("CRADLE_EXECUTOR", "slurm")
    monkeypatch.setenv("CRADLE_SLURM", "slurm_partition=cpu,timeout_min=7")
    return folder


def test_a_fit_goes_through_the_cluster(cluster, screen_file, until):
    out = str((runs_folder() / "far").resolve())
    arguments = ["fit", str(screen_file), "--model", "control_mean", "--out", out]
    job = queue.submit("fit", "far", arguments, out)
    assert json.loads((job.folder / PROCESS).read_text()) == {"slurm": "77"}
    script = (cluster / "script").read_text()
    assert "#SBATCH --partition=cpu" in script
    assert "#SBATCH --time=7" in script
    until(job, "finished", seconds=90)
    assert Run.load(out).model_name == "control_mean"


def test_a_benchmark_puts_all_its_fits_on_the_cluster_at_once(cluster, screen_file, capsys):
    out = runs_folder() / "sweep"
    code = main(["benchmark", str(screen_file), "--models", "control_mean,additive,linear",
                 "--out", str(out)])  # fmt: skip
    assert code == 0, capsys.readouterr().err
    assert {path.name for path in cluster.glob("pid.*")} == {"pid.77", "pid.78", "pid.79"}
    done = sorted(path.parent for path in out.glob("runs/*/DONE"))
    assert [Run.load(path).model_name for path in done] == ["additive", "control_mean", "linear"]
    # those that come later were submitted before the first was done
    started = [(path / "fit.log").read_text().split()[0] for path in done]
    assert max(started) <= json.loads((done[1] / "provenance.json").read_text())["finished"]
    assert {"seconds", "peak_mb"} <= set(pd.read_csv(out / "table.csv")["metric"])


def test_a_fit_that_the_cluster_ended_fails_and_the_others_go_on(cluster, screen_file, capsys):
    (cluster / "srun").write_text(SRUN.replace("exec", '[ "$SLURM_JOB_ID" = 77 ] && exit 9\nexec'))
    out = runs_folder() / "sweep"
    command = ["benchmark", str(screen_file), "--models", "control_mean,additive", "--out"]
    assert main([*command, str(out)]) == 1
    table = (out / "table.md").read_text()
    assert "## Failed" in table
    assert [path.parent.name.split("-")[0] for path in out.glob("runs/*/DONE")] == ["additive"]
    (cluster / "srun").write_text(SRUN)
    assert main([*command, str(out)]) == 0  # what is missing is fitted, the rest is kept
    assert len(list(out.glob("runs/*/DONE"))) == 2


def test_a_fit_that_the_cluster_refuses_fails_alone(cluster, screen_file, capsys):
    full = 'if glob.glob(folder + "/pid.*"): sys.exit("job limit of the user")\n'
    taking = (cluster / "sbatch").read_text()
    (cluster / "sbatch").write_text(taking.replace("number =", full + "number =", 1))
    out = runs_folder() / "sweep"
    command = ["benchmark", str(screen_file), "--models", "control_mean,additive", "--out"]
    assert main([*command, str(out)]) == 1
    assert "job limit of the user" in (out / "table.md").read_text()
    assert [path.parent.name.split("-")[0] for path in out.glob("runs/*/DONE")] == ["control_mean"]
    (cluster / "sbatch").write_text(taking)
    assert main([*command, str(out)]) == 0
    assert len(list(out.glob("runs/*/DONE"))) == 2


def test_who_stops_a_benchmark_stops_all_its_fits(cluster, screen_file, monkeypatch):
    cancelled = cluster / "cancelled"
    (cluster / "scancel").write_text(f'#!/bin/bash\necho "$@" >> {cancelled}\n')
    (cluster / "scancel").chmod(0o755)
    (cluster / "srun").write_text("#!/bin/bash\nsleep 30\n")

    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("submitit.SlurmJob.result", stopped)
    command = ["benchmark", str(screen_file), "--models", "control_mean,additive", "--out"]
    assert main([*command, str(runs_folder() / "sweep")]) != 0
    assert sorted(cancelled.read_text().split()) == ["77", "78"]


def test_parameters_are_read_or_refused():
    found = slurm.parameters("slurm_partition=gpu, timeout_min=10")
    assert found == {**slurm.DEFAULTS, "slurm_partition": "gpu", "timeout_min": 10}
    for text in ("partition", "=3", "a b=3"):
        with pytest.raises(InputError, match="cannot be read"):
            slurm.parameters(text)


def test_without_submitit_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    monkeypatch.setenv("CRADLE_EXECUTOR", "slurm")
    with pytest.raises(InputError, match="submitit"):
        queue.submit("fit", "x", ["fit"], "x")
    assert queue.all_jobs() == []


def test_a_cluster_that_refuses_is_a_plain_error(cluster):
    (cluster / "sbatch").write_text("#!/bin/bash\necho no such partition >&2\nexit 1\n")
    with pytest.raises(InputError, match="did not take"):
        queue.submit("fit", "x", ["fit"], "x")
    assert queue.all_jobs() == []


def test_the_app_starts_without_submitit():
    code = "import sys; import cradle.jobs.queue; sys.exit('submitit' in sys.modules)"
    root = Path(__file__).resolve().parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
