from __future__ import annotations

import operator
import os
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from monai_proto.preparation.dicom.workers import run_jobs


@pytest.mark.parametrize("workers", [1, 2])
def test_every_job_is_done_and_few_wait(workers):
    taken = []

    def jobs():
        for number in range(20):
            taken.append(number)
            yield f"job {number}", number

    results = {}
    for key, result in run_jobs(operator.neg, jobs(), workers):
        results[key] = result
        assert len(taken) - len(results) <= 2 * workers  # the others are not even made yet
    assert results == {f"job {number}": -number for number in range(20)}


def test_a_dead_worker_and_an_error_are_raised():
    with pytest.raises(BrokenProcessPool):
        list(run_jobs(os._exit, [("a", 1)], 2))
    with pytest.raises(TypeError):
        list(run_jobs(operator.neg, [("a", "text"), ("b", 1)], 2))


@pytest.mark.slow
def test_workers_end_with_a_process_that_is_killed():
    program = (
        "from monai_proto.preparation.dicom.workers import run_jobs\n"
        "jobs = enumerate(['__import__(\"os\").getpid()', '__import__(\"time\").sleep(60)'])\n"
        "for _, pid in run_jobs(eval, jobs, 2):\n"
        "    print(pid, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        worker = int(process.stdout.readline())
        os.kill(worker, 0)  # it is there
        process.kill()
        end = time.monotonic() + 20
        while _is_running(worker) and time.monotonic() < end:
            time.sleep(0.05)
        assert not _is_running(worker)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
