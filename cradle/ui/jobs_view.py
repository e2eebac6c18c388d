"""The queue of background jobs: how far each is, its log, and the buttons to stop and continue."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Literal

import pandas as pd
import streamlit as st

from cradle.errors import INPUT_AT_FAULT
from cradle.jobs import queue
from cradle.jobs.job import ACTIVE, CONTINUABLE, Job, Kind, State
from cradle.plots.curves import learning_curve
from cradle.progress import HISTORY, FitProgress, read_progress
from cradle.ui import library
from cradle.ui.errors import guard
from cradle.ui.figures import csv_button, figure, plotted, table_twin
from cradle.ui.labels import GLOSSARY, safe_label
from cradle.ui.navigation import PAGES, go

EVERY_SECONDS = 2.0
SHOWN = 12
Colour = Literal["green", "blue", "orange", "red", "gray"]
_BADGES: dict[State, tuple[str, Colour, str]] = {
    "queued": (":material/hourglass_empty:", "gray", "Starts by itself when its turn comes."),
    "running": (":material/play_circle:", "blue", "Goes on without this page and the app."),
    "stopping": (":material/pause_circle:", "orange", "Ends with the epoch that runs now."),
    "finished": (":material/check_circle:", "green", "Done."),
    "stopped": (":material/stop_circle:", "orange", "Stopped by hand; can be continued."),
    "failed": (":material/error:", "red", "Ended with an error; the log says which."),
    "interrupted": (":material/power_off:", "red",
                    "Its process is gone without a word: killed, out of memory, or the machine "
                    "was restarted. It can be continued."),
}  # fmt: skip


def queue_view(kind: Kind) -> None:
    """All jobs of a kind, drawn anew every two seconds while one of them is active."""
    active = [job.id for job in queue.active_jobs() if job.kind == kind]
    st.fragment(_draw, run_every=EVERY_SECONDS if active else None)(kind, active)


def _draw(kind: Kind, active: list[str]) -> None:
    jobs = [job for job in queue.all_jobs() if job.kind == kind]
    states = {job.id: job.state for job in jobs}
    now_active = [job.id for job in jobs if states[job.id] in ACTIVE]
    if now_active != active:  # the sidebar and the lists below change with it
        st.rerun(scope="app")
    if not jobs:
        st.info("No job yet. Those that you start go on when you close the page.")
        return
    done = [job.id for job in jobs if states[job.id] == "finished"]
    for job in jobs[:SHOWN]:
        with st.container(border=True, key=f"job_{job.id}"):
            _job(job, states[job.id], len(now_active))
            if kind == "fit" and job.id in done[:1]:
                _next(job)
    if len(jobs) > SHOWN:
        st.caption(f"The {SHOWN} newest of {len(jobs)} jobs. Remove old ones to see the others.")


def _job(job: Job, state: State, n_active: int) -> None:
    icon, colour, words = _BADGES[state]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"**{safe_label(job.title)}**", width="content")
        st.badge(state, icon=icon, color=colour, help=words)
        _buttons(job, state)
    if job.kind == "fit":
        _fit(job, state)
    elif state in ACTIVE or state in CONTINUABLE:
        _fetch(job)
    if state == "queued":
        st.caption(f"{n_active} jobs wait or run; one at a time, in the order of submission.")
    if state == "failed":
        st.markdown(_why(job))
    tail = job.log_tail()
    if tail and state not in ("finished",):
        with st.expander("Log", icon=":material/terminal:", expanded=state == "failed"):
            st.code(tail, language=None)


def _why(job: Job) -> str:
    """Who is at fault, in plain words; the log has the rest."""
    if job.exit_code() == INPUT_AT_FAULT:
        return "It met what it cannot mend by itself: the end of the log says what, and what to do."
    return (
        "This is a fault of the program or of the machine, not of your data; the log ends with it. "
        "**Continue** tries again and loses nothing that was kept."
    )


def _next(job: Job) -> None:
    """Where to look at the run that was trained last; chooses it in the sidebar."""
    st.markdown("The run is ready. Open it on")
    with st.container(horizontal=True, gap="small"):
        for key in ("overview", "effects"):
            page = PAGES[key]
            if st.button(page.title, key=f"next_{key}", icon=page.icon):
                st.session_state["next_dataset"] = library.name_of(job.arguments[1])
                st.session_state["next_run"] = Path(job.subject).name
                go(key, {})


def _buttons(job: Job, state: State) -> None:
    with guard():
        if state in ("queued", "running") and st.button(
            "Stop", key=f"stop_{job.id}", icon=":material/stop:",
            help="What was done is kept and can be continued.",
        ):  # fmt: skip
            queue.stop(job)
            st.rerun(scope="app")
        if state == "stopping" and st.button(
            "Stop at once", key=f"kill_{job.id}", icon=":material/stop:",
            help="The epoch that runs now is lost; up to 20 seconds before it may be too.",
        ):  # fmt: skip
            queue.stop(job)
        if state in CONTINUABLE and st.button(
            "Continue", key=f"resume_{job.id}", icon=":material/play_arrow:"
        ):
            queue.resume(job)
            st.rerun(scope="app")
        if state not in ACTIVE and st.button(
            "Remove from the list", key=f"forget_{job.id}", icon=":material/close:",
            help="The run itself stays.", type="tertiary",
        ):  # fmt: skip
            queue.forget(job)
            st.rerun(scope="app")


def _fit(job: Job, state: State) -> None:
    run = Path(job.subject)
    told = read_progress(run)
    if told is None:
        if state == "running":
            st.progress(0.0, text=_before_training(job))
        return
    share = min(told.epochs / told.max_epochs, 1.0)
    if state in ("running", "stopping"):
        st.progress(share, text=in_words(told))
    else:
        st.caption(f"{epochs_in_words(told.epochs)} in {duration(told.seconds)}, training alone.")
    history = read_history(run)
    if history is None or state == "queued":
        return
    if state == "finished":
        with st.expander("How training went", icon=":material/show_chart:"):
            best = int(history["val_elbo"].to_numpy().argmax())
            _curve(job, history, f"Best epoch {best + 1:,}", best)
            csv_button(history, f"history_{safe_label(job.title)}")
        return
    _curve(job, history, f"Epoch {len(history):,}")
    if state in CONTINUABLE:
        table_twin(history, f"history_{safe_label(job.title)}")


def _curve(job: Job, history: pd.DataFrame, when: str, epoch: int = -1) -> None:
    title = f"{when}: validation −ELBO {-history['val_elbo'].iloc[epoch]:,.1f}"
    figure(
        plotted(learning_curve, history, title=title), f"curve_{job.id}",
        alt="Training loss and negative validation bound by epoch, in nats per cell.",
    )  # fmt: skip
    st.caption(f"Lower is better. {GLOSSARY['elbo']}")


def _before_training(job: Job) -> str:
    started = job.started
    waited = "" if started is None else f" ({duration(time.time() - started)})"
    return f"Reading the cells and judging their quality{waited} …"


def _fetch(job: Job) -> None:
    done, total = downloaded(job.subject)
    of_all = f" of {total / 1e6:,.1f}" if total else ""
    st.progress(min(done / total, 1.0) if total else 0.0,
                text=f"{done / 1e6:,.1f}{of_all} MB")  # fmt: skip


def downloaded(name: str) -> tuple[int, int | None]:
    """Bytes of a dataset that have arrived, and in all where the server has said so."""
    from cradle.data.catalogue import cache_folder, dataset
    from cradle.data.transfer import arrived

    file = dataset(name).download
    return (0, None) if file is None else arrived(cache_folder() / f"{file.name}.part")


def epochs_in_words(n: int) -> str:
    """A number of epochs."""
    return f"{n:,} epoch{'s' * (n != 1)}"


def in_words(told: FitProgress) -> str:
    """Epochs done and time left, as a sentence without a verb."""
    least, most = told.seconds_left
    left = f"{duration(least)} to {duration(most)}" if least < most else duration(most)
    if told.epochs >= told.max_epochs or told.epochs > told.best_epoch + told.patience:
        return f"Epoch {told.epochs:,}, training done: scoring the run …"
    return (f"Epoch {told.epochs:,} of at most {told.max_epochs:,} · {duration(told.seconds)} so "
            f"far · {left} left")  # fmt: skip


def duration(seconds: float) -> str:
    """Seconds for people, in at most two units."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole < 600 else f"{round(whole / 60)} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def read_history(run: Path) -> pd.DataFrame | None:
    """Epochs of a run, finished or not; None where there are none."""
    try:
        table = pd.read_csv(run / HISTORY)
    except (OSError, ValueError):
        return None
    fits = {"epoch", "train_loss", "val_elbo"} <= set(table.columns)
    return table if fits and len(table) else None
