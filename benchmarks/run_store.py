"""Runs a benchmark's missing runs side by side and stores each as soon as it is done."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import machine_record

__all__ = ["complete_runs", "load_runs"]


def load_runs(path: Path, key: Sequence[str]) -> dict[tuple, dict[str, Any]]:
    """Stored records by their key; none where there is no file."""
    if not path.is_file():
        return {}
    return {tuple(record[k] for k in key): record for record in json.loads(path.read_text())}


def complete_runs(
    run: Callable[[tuple], dict[str, Any]],
    wanted: Sequence[tuple],
    path: Path,
    key: Sequence[str],
    workers: int,
    report: Callable[[str], None],
    describe: Callable[[dict[str, Any]], str],
    own_process: bool = True,
) -> list[dict[str, Any]]:
    """
    The records of all runs that are wanted, in that order; those that are stored are not run again.

    Args:
        run: makes a record, which has the key's entries, from a key; a function of a module, called in another process.
        wanted: keys.
        path: JSON file of the records; written anew after every run.
        key: names of the entries that make up a key.
        workers: processes.
        report: prints a line.
        describe: a line on a new record.
        own_process: whether every run gets a new process; without, a process goes on with the next run.
    """
    wanted = list(dict.fromkeys(wanted))
    stored = load_runs(path, key)
    missing = [arguments for arguments in wanted if arguments not in stored]
    report(f"{len(wanted) - len(missing)} of {len(wanted)} runs are stored, {len(missing)} to go.")
    if missing:
        with multiprocessing.get_context("spawn").Pool(workers, maxtasksperchild=1 if own_process else None) as pool:
            for record in pool.imap_unordered(run, missing):
                stored[tuple(record[k] for k in key)] = {**record, "machine": machine_record()}
                _save(path, stored)
                report(describe(record))
    return [stored[arguments] for arguments in wanted]


def _save(path: Path, stored: dict[tuple, dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    records = [stored[k] for k in sorted(stored, key=lambda k: tuple(map(str, k)))]
    temporary.write_text("[\n" + ",\n".join(json.dumps(record) for record in records) + "\n]\n")
    temporary.replace(path)
