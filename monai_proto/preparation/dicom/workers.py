"""Runs jobs on several processes with no more of them in the queue than are needed to keep all busy."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing.context import BaseContext
from typing import TypeVar

__all__ = ["run_jobs"]

Key = TypeVar("Key")
Job = TypeVar("Job")
Result = TypeVar("Result")


def run_jobs(
    function: Callable[[Job], Result], jobs: Iterable[tuple[Key, Job]], workers: int
) -> Iterator[tuple[Key, Result]]:
    """
    Args:
        function: what to do with a job; a module's function.
        jobs: key and job; taken one by one as processes fall free, so that they need not all be in memory.
        workers: number of processes; 1 works in this process.

    Yields:
        key and result of each job, in the order in which they are done.

    Raises:
        RuntimeError: when a process dies, for instance for lack of memory. What ``function`` raises is passed on.
    """
    if workers == 1:
        for key, job in jobs:
            yield key, function(job)
        return
    with ProcessPoolExecutor(workers, _context(function.__module__), _end_with_parent) as pool:
        waiting: dict[Future[Result], Key] = {}
        try:
            for key, job in jobs:
                waiting[pool.submit(function, job)] = key
                if len(waiting) >= 2 * workers:
                    yield from _collect(waiting)
            while waiting:
                yield from _collect(waiting)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _context(module: str) -> BaseContext:
    """Workers from a fresh interpreter, which imports once for all; forking one that has started threads can hang."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, module])
    return context


def _end_with_parent() -> None:
    """Workers of a process that was killed would wait for its next job for ever."""

    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _collect(waiting: dict[Future[Result], Key]) -> Iterator[tuple[Key, Result]]:
    done, _ = wait(waiting, return_when=FIRST_COMPLETED)
    for future in done:
        yield waiting.pop(future), future.result()
