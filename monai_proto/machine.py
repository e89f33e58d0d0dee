"""What the machine offers a computation, and what is chosen from that: threads and precision, for the whole package.

The module is a leaf, and imports PyTorch only where a GPU is asked about.
"""

from __future__ import annotations

import logging
import math
import os
import platform
import subprocess
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import torch

__all__ = [
    "ThreadChoice",
    "autocast",
    "autocast_dtype",
    "autocast_pays",
    "available_cores",
    "cgroup_cores",
    "choose_threads",
    "cpu_flags",
    "has_avx512",
    "has_fast_bfloat16",
    "physical_cores",
    "processor_name",
    "use_threads",
]

_logger = logging.getLogger(__name__)

# a processor multiplies bfloat16 itself with one of these: x86 (AVX-512 or AMX), ARM
_BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
# load of the last minute over cores, above which more threads wait for each other: measured on two cores, a training
# step took 3.4 to 8.9 s with two threads beside another program, 0.6 to 1.05 s with one
_BUSY = 0.75


class ThreadChoice(NamedTuple):
    """A number of threads, and why it was chosen."""

    number: int
    reason: str


def choose_threads(asked: int | None = None) -> ThreadChoice:
    """
    How many threads a computation on the CPU should use.

    The physical cores that the process may use (:func:`available_cores`); one, when others keep the machine busy:
    OpenMP threads that wait for a core that is taken cost more than they bring.

    Args:
        asked: a number that a person gave. None for the one that ``OMP_NUM_THREADS`` gives, else our choice.

    Raises:
        ValueError: when ``asked`` is below 1.
    """
    if asked is not None:
        if asked < 1:
            raise ValueError(f"threads must be at least 1, got {asked}.")
        return ThreadChoice(asked, "as asked")
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdigit() and int(given) > 0:
        return ThreadChoice(int(given), "from OMP_NUM_THREADS")
    cores = available_cores()
    if cores > 1 and _load() > _BUSY * cores:
        return ThreadChoice(1, f"the machine is busy: load {_load():.1f} on {cores} cores")
    limit = cgroup_cores()
    limited = limit is not None and limit < physical_cores()
    return ThreadChoice(cores, "the cores that the container may use" if limited else "physical cores")


def use_threads(asked: int | None = None) -> ThreadChoice:
    """
    Choose with :func:`choose_threads`, and tell PyTorch, which may be imported before or after, and child processes.

    Raises:
        ValueError: when ``asked`` is below 1.
    """
    import sys

    choice = choose_threads(asked)
    os.environ["OMP_NUM_THREADS"] = str(choice.number)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(choice.number)
    return choice


def available_cores() -> int:
    """
    Physical cores that this process may use: of its CPU affinity, at most the quota of its control group; at least 1.

    ``loky.cpu_count(only_physical_cores=True)`` answers the same, except that it counts the cores of the whole machine
    where the affinity leaves some of them out.
    """
    limit = cgroup_cores()
    cores = physical_cores()
    return max(1, cores if limit is None else min(cores, math.floor(limit)))


def physical_cores(cpus_folder: Path = Path("/sys/devices/system/cpu")) -> int:
    """
    Physical cores under the logical CPUs of this process's affinity; two hyper-threads of one core count once.

    Args:
        cpus_folder: where Linux describes the CPUs. Without it, on other systems, the logical CPUs are counted.
    """
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    cores = set()
    for cpu in os.sched_getaffinity(0):
        siblings = cpus_folder / f"cpu{cpu}" / "topology" / "thread_siblings_list"
        cores.add(_read(siblings) or str(cpu))
    return len(cores)


def cgroup_cores(root: Path = Path("/sys/fs/cgroup")) -> float | None:
    """
    Cores that the control group (a container's limit) grants; None without a limit.

    Args:
        root: where the control groups are mounted; version 2 and version 1 are understood.
    """
    quota, _, period = _read(root / "cpu.max").partition(" ")
    if not quota:
        quota, period = _read(root / "cpu" / "cpu.cfs_quota_us"), _read(root / "cpu" / "cpu.cfs_period_us")
    try:
        return int(quota) / int(period) if int(quota) > 0 else None
    except ValueError:  # "max", or no control group
        return None


def has_fast_bfloat16(device: torch.device | str = "cpu") -> bool:
    """
    Whether the hardware multiplies bfloat16. A CPU that does not takes minutes for one convolution that takes 3 s in
    float32.

    Args:
        device: a CPU or a CUDA device; other devices have it as far as is known here: no.
    """
    kind = _kind(device)
    if kind == "cuda":
        import torch

        return torch.cuda.is_available() and torch.cuda.get_device_capability(device)[0] >= 8
    return kind == "cpu" and bool(cpu_flags() & _BFLOAT16_FLAGS)


def has_avx512() -> bool:
    """Whether the CPU has the AVX-512 foundation instructions."""
    return "avx512f" in cpu_flags()


def autocast_dtype(device: torch.device | str = "cpu") -> torch.dtype:
    """
    The half precision for ``torch.autocast``: bfloat16, and float16 on GPUs without it in hardware.
    """
    import torch

    return torch.float16 if _kind(device) == "cuda" and not has_fast_bfloat16(device) else torch.bfloat16


def autocast_pays(device: torch.device | str, asked: bool = True) -> bool:
    """
    Whether to compute in half precision: where it was asked for and the hardware has it. What is chosen is logged.

    Args:
        device: where the computation runs.
        asked: whether a person or a configuration wants half precision.
    """
    if not asked:
        return False
    pays = _has_half_precision(device)
    precision = str(autocast_dtype(device)).removeprefix("torch.") if pays else "float32"
    why = "" if pays else f": {processor_name()} has no bfloat16 in hardware"
    _logger.info(f"Precision on {_kind(device)}: {precision}{why}.")
    return pays


def autocast(device: torch.device | str = "cpu") -> AbstractContextManager[object]:
    """``torch.autocast`` in the half precision that the hardware has, else in float32."""
    import torch

    return torch.autocast(_kind(device), autocast_dtype(device), enabled=_has_half_precision(device))


@cache
def cpu_flags(cpuinfo: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """
    Instruction sets of the CPU under the names that Linux gives them; on macOS ``bf16`` where the chip has it. Empty
    where the system does not say.
    """
    for line in _read(cpuinfo).splitlines():
        name, _, flags = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return frozenset(flags.split())
    if platform.system() == "Darwin":
        answer = subprocess.run(
            ["sysctl", "-n", "hw.optional.arm.FEAT_BF16"], capture_output=True, text=True, check=False
        )
        return frozenset({"bf16"} if answer.stdout.strip() == "1" else ())
    return frozenset()


def processor_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """What the processor calls itself, for instance ``AMD EPYC 9354``."""
    for line in _read(cpuinfo).splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _has_half_precision(device: torch.device | str) -> bool:
    return _kind(device) == "cuda" or has_fast_bfloat16(device)


def _kind(device: torch.device | str) -> str:
    return str(device).partition(":")[0]


def _load() -> float:
    """Processes that ran or waited to run, on average over the last minute; 0 where the system does not say."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
