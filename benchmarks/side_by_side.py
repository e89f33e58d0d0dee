"""Seconds and memory of implementations of the same step, measured so that a busy machine slows all of them alike."""

from __future__ import annotations

import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

__all__ = ["alternating_seconds", "extra_peak_mib", "in_fresh_process", "let_waiting_threads_sleep", "ratio_of_pairs"]


def let_waiting_threads_sleep(module: str) -> None:
    """
    Start the script again with ``OMP_WAIT_POLICY=PASSIVE``, unless the variable is set: it is read when torch is
    loaded. Threads that wait for others spin by default, and on cores that other processes use as well, the time of any
    arm would be that of the scheduler.

    Args:
        module: name of the script's module.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        command = [sys.executable, "-m", module, *sys.argv[1:]]
        os.execve(sys.executable, command, {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"})


def alternating_seconds(arms: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """
    Seconds of every arm, which take turns in each round; the first two rounds do not count.

    Returns:
        name of the arm -> ``rounds`` values.
    """
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(rounds + 2):
        for name, run in arms.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return {name: values[2:] for name, values in seconds.items()}


def ratio_of_pairs(seconds: Mapping[str, list[float]], name: str, base: str) -> float:
    """Median over the rounds of how many times the seconds of ``base`` an arm took."""
    return statistics.median(own / other for own, other in zip(seconds[name], seconds[base], strict=True))


def in_fresh_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function of a module returns in a process that has loaded nothing else."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def extra_peak_mib(run: Callable[[], object]) -> float:
    """
    Peak resident memory of one call beyond what was resident before it; to be called in a fresh process. Linux resets
    the high-water mark of the resident set (``VmHWM``) when "5" is written to ``/proc/self/clear_refs``.

    Raises:
        RuntimeError: on another system than Linux.
    """
    before = _status_mib("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    run()
    return _status_mib("VmHWM") - before


def _status_mib(key: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/self/status has no {key}: memory is measured on Linux only.")
