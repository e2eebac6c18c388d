"""Jobs of a small screen; whatever a test leaves running is ended."""

import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from cradle.jobs.job import Job
from cradle.jobs.queue import all_jobs


@pytest.fixture(autouse=True)
def _no_job_outlives_a_test(_own_folders: None) -> Iterator[None]:
    yield
    for job in all_jobs():
        found = job.process()
        if job.executor == "local" and found is not None and job.is_alive():
            os.kill(found[0], signal.SIGKILL)


@pytest.fixture
def until() -> Callable[..., Job]:
    """Wait until a job, read anew, is in one of the states; fails with its log after a minute."""

    def wait(job: Job, *states: str, seconds: float = 60) -> Job:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if job.state in states:
                return job
            time.sleep(0.05)
        raise AssertionError(f"{job.state} instead of {states}: {job.log_tail()}")

    return wait
