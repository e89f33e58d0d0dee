"""
Time and memory of one step of the class memory bank (update, loss, backward) against the peers' loop over classes.

    python -m benchmarks.memory_bank                 # writes benchmarks/results/memory_bank.json
    python -m benchmarks.memory_bank --rows 20000 --rounds 3 --threads 1 --output ""   # a quick look

Like against like: both arms get the same rows, labels, bank size and selectors, rank the bank's rows with the
selectors' running statistics and train them on batch statistics. Before anything is timed, loss and gradients of both
are compared. The arms alternate within one process, so that a busy machine slows both; ratios are taken pair by pair.
Threads that wait for others sleep (``OMP_WAIT_POLICY=PASSIVE``, unless it is set): by default they spin, and on cores
that other processes use as well, the time of either arm would be that of the scheduler.

Peak memory is that of one step in a fresh process for each arm: Linux resets the high-water mark of the resident set
(``VmHWM``) when "5" is written to ``/proc/self/clear_refs``; extra is that mark after the step less the resident set
before it. It holds the gradient of the features, which either arm has to return.

The limit is one read and one write of the features, measured as a copy in the same run.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from benchmarks.machine import machine_record
from benchmarks.peer_memory_bank import PeerMemoryBank, peer_contrastive_loss
from monai_proto.losses import MemoryBankContrastiveLoss
from monai_proto.networks.blocks import ClassMemoryBank

_RESULT = Path(__file__).parent / "results" / "memory_bank.json"
_AIMS = {(2, False): 3.0, (8, False): 5.0, (2, True): 1.5, (8, True): 2.0}  # least speed-up by classes and selectors


@dataclass(frozen=True)
class Case:
    """What is measured: N rows of size D, K rows a class in the bank."""

    num_classes: int
    learned: bool
    rows: int = 200_000
    feature_dim: int = 64
    rows_per_class: int = 32

    @property
    def name(self) -> str:
        return f"{'learned' if self.learned else 'plain':7} C {self.num_classes}"


class Arms:
    """Both implementations on the same input. A step returns its loss and leaves gradients in ``features``."""

    def __init__(self, case: Case) -> None:
        torch.manual_seed(0)
        self.case = case
        self.features = torch.randn(case.rows, case.feature_dim).requires_grad_()
        self.labels = torch.randint(0, case.num_classes, (case.rows,))
        self.loss = MemoryBankContrastiveLoss(case.num_classes, case.feature_dim, case.learned)
        self.bank = ClassMemoryBank(case.num_classes, case.feature_dim, case.rows_per_class, selection="lowest")
        self.peer_loss = MemoryBankContrastiveLoss(case.num_classes, case.feature_dim, case.learned)
        self.peer_loss.load_state_dict(self.loss.state_dict())
        self.peer_bank = PeerMemoryBank(case.num_classes, case.rows_per_class)

    def ours(self) -> torch.Tensor:
        scores = self.loss.score(self.features, self.labels) if self.case.learned else None
        self.bank.update(self.features, self.labels, scores)
        loss = self.loss(self.features, self.labels, self.bank)
        loss.backward()
        return loss.detach()

    def peer(self) -> torch.Tensor:
        selectors = self.peer_loss.feature_selectors if self.case.learned else None
        memory_selectors = self.peer_loss.memory_selectors if self.case.learned else None
        self.peer_loss.eval()
        self.peer_bank.update(self.features, self.labels, selectors)
        self.peer_loss.train()
        loss = peer_contrastive_loss(self.features, self.labels, self.peer_bank, selectors, memory_selectors)
        loss.backward()
        return loss.detach()

    def clear_gradients(self) -> None:
        self.features.grad = None
        self.loss.zero_grad()
        self.peer_loss.zero_grad()

    def check_equal(self) -> None:
        """
        Raises:
            AssertionError: when the losses, or the gradients of features or feature selectors, differ.
        """
        results = []
        for step, module in ((self.ours, self.loss), (self.peer, self.peer_loss)):
            self.clear_gradients()
            loss = step()
            # the first layer's bias has gradient zero: batch normalisation takes it off again
            named = [(n, p) for n, p in module.feature_selectors.named_parameters() if not n.endswith(".0.bias")]
            results.append({"loss": loss, "features": self.features.grad, **{n: p.grad for n, p in named}})
        ours, peer = results
        for name, expected in peer.items():
            error = (ours[name] - expected).abs().max() / expected.abs().max()
            assert error < 1e-3, f"{name}: relative error {error:.1e}"
        torch.testing.assert_close(ours["loss"], peer["loss"], rtol=0, atol=1e-5)
        self.clear_gradients()


def seconds(arms: Arms, run: Callable[[], object]) -> float:
    arms.clear_gradients()
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def time_case(case: Case, rounds: int) -> dict:
    """Median seconds of each arm and of the copy, and the ratios of the pairs."""
    arms = Arms(case)
    arms.check_equal()
    target = arms.features.detach().clone()
    runs = {
        "ours_s": arms.ours,
        "peer_s": arms.peer,
        "copy_s": lambda: target.copy_(arms.features.detach()),
    }
    times = [{name: seconds(arms, run) for name, run in runs.items()} for _ in range(rounds + 1)][1:]
    ratios = [t["peer_s"] / t["ours_s"] for t in times]
    medians = {name: statistics.median(t[name] for t in times) for name in runs}
    return {
        **medians,
        "speed_up": statistics.median(ratios),
        "speed_up_min": min(ratios),
        "speed_up_max": max(ratios),
        "times_the_copy": medians["ours_s"] / medians["copy_s"],
        "aim": _AIMS.get((case.num_classes, case.learned)),
    }


def _status_mib(key: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/self/status has no {key}: memory is measured on Linux only.")


def extra_peak_mib(case: Case, arm: str) -> float:
    """Peak resident memory of one step beyond what was resident before; to be called in a fresh process."""
    torch.set_num_threads(1)
    small = Arms(Case(case.num_classes, case.learned, rows=4096))  # libraries load and allocate on their first call
    getattr(small, arm)()
    arms = Arms(case)
    before = _status_mib("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    getattr(arms, arm)()
    return _status_mib("VmHWM") - before


def memory_of(case: Case) -> dict[str, float]:
    peaks = {}
    for arm in ("ours", "peer"):
        command = [sys.executable, "-m", "benchmarks.memory_bank", "--memory-of", arm, json.dumps(asdict(case))]
        root = Path(__file__).parent.parent
        peaks[arm] = float(subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout)
    gradient = case.rows * case.feature_dim * 4 / 2**20
    return {
        "ours_extra_mib": peaks["ours"],
        "peer_extra_mib": peaks["peer"],
        "gradient_mib": gradient,
        "memory_share": peaks["ours"] / peaks["peer"],
    }


def report(threads: int, case: Case, result: dict) -> str:
    return (
        f"{threads} thread{'s' * (threads > 1)}  {case.name}  {result['ours_s'] * 1e3:6.0f} ms  "
        f"peer {result['peer_s'] * 1e3:6.0f} ms  {result['speed_up']:5.2f}x "
        f"({result['speed_up_min']:.2f}-{result['speed_up_max']:.2f}, aim {result['aim']})  "
        f"memory {result['ours_extra_mib']:5.0f} / {result['peer_extra_mib']:5.0f} MiB = {result['memory_share']:.2f}  "
        f"{result['times_the_copy']:5.1f} copies"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--output", default=str(_RESULT), help="JSON file to write; an empty name writes none")
    parser.add_argument("--memory-of", nargs=2, metavar=("ARM", "CASE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory_of:
        arm, case = arguments.memory_of
        print(extra_peak_mib(Case(**json.loads(case)), arm))
        return
    if "OMP_WAIT_POLICY" not in os.environ:  # read when torch is loaded: start again with it
        command = [sys.executable, "-m", "benchmarks.memory_bank", *sys.argv[1:]]
        os.execve(sys.executable, command, {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"})
    results = []
    for learned in (False, True):
        for num_classes in (2, 8):
            case = Case(num_classes, learned, arguments.rows)
            memory = memory_of(case)
            for threads in arguments.threads:
                torch.set_num_threads(threads)
                result = {**time_case(case, arguments.rounds), **memory}
                print(report(threads, case, result), flush=True)
                results.append({**asdict(case), "threads": threads, "rounds": arguments.rounds, **result})
    if arguments.output:
        Path(arguments.output).parent.mkdir(parents=True, exist_ok=True)
        machine = {**machine_record(), "omp_wait_policy": os.environ["OMP_WAIT_POLICY"], "load": os.getloadavg()[0]}
        Path(arguments.output).write_text(json.dumps({"machine": machine, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
