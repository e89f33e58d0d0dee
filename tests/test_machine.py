"""Threads and precision are chosen by what the machine has: machines are simulated by files that describe them."""

from __future__ import annotations

import logging

import pytest
import torch

from monai_proto import machine


@pytest.fixture
def free_machine(monkeypatch):
    """Four idle cores without a limit, and nobody who asks for a number of threads."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(machine, "physical_cores", lambda: 4)
    monkeypatch.setattr(machine, "cgroup_cores", lambda: None)
    monkeypatch.setattr(machine, "_load", lambda: 0.1)


@pytest.fixture
def without_bfloat16(monkeypatch):
    monkeypatch.setattr(machine, "cpu_flags", lambda: frozenset({"avx2", "fma"}))


def test_threads_are_the_physical_cores_of_a_free_machine(free_machine):
    assert machine.choose_threads() == (4, "physical cores")


def test_a_number_that_is_asked_for_wins(free_machine, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert machine.choose_threads(7).number == 7
    assert machine.choose_threads() == (3, "from OMP_NUM_THREADS")
    with pytest.raises(ValueError, match="threads must be at least 1, got 0"):
        machine.choose_threads(0)


def test_a_busy_machine_gets_one_thread(free_machine, monkeypatch):
    monkeypatch.setattr(machine, "_load", lambda: 3.9)
    number, reason = machine.choose_threads()
    assert number == 1
    assert "busy: load 3.9 on 4 cores" in reason


@pytest.mark.parametrize(("limit", "cores"), [(2.5, 2), (0.5, 1), (16.0, 4)])
def test_a_containers_limit_is_kept(free_machine, monkeypatch, limit, cores):
    monkeypatch.setattr(machine, "cgroup_cores", lambda: limit)
    assert machine.available_cores() == machine.choose_threads().number == cores


def test_limits_of_both_kinds_of_control_groups_are_read(tmp_path):
    assert machine.cgroup_cores(tmp_path) is None
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert machine.cgroup_cores(tmp_path) is None
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    assert machine.cgroup_cores(tmp_path) == 1.5
    (tmp_path / "cpu.max").unlink()
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("-1\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert machine.cgroup_cores(tmp_path) is None
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("400000\n")
    assert machine.cgroup_cores(tmp_path) == 4


def test_hyper_threads_of_a_core_count_once(tmp_path, monkeypatch):
    for cpu, siblings in enumerate(("0,2", "1,3", "0,2", "1,3")):
        topology = tmp_path / f"cpu{cpu}" / "topology"
        topology.mkdir(parents=True)
        (topology / "thread_siblings_list").write_text(siblings + "\n")
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2, 3})
    assert machine.physical_cores(tmp_path) == 2
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 2})
    assert machine.physical_cores(tmp_path) == 1


def test_torch_and_children_get_the_number(free_machine, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    before = torch.get_num_threads()
    try:
        assert machine.use_threads(2).number == 2
        assert torch.get_num_threads() == 2
        assert machine.os.environ["OMP_NUM_THREADS"] == "2"
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("line", "fast", "avx512"),
    [
        ("flags\t\t: fpu sse2 avx2 fma", False, False),
        ("flags\t\t: fpu avx512f avx512_vnni", False, True),
        ("flags\t\t: fpu avx512f avx512_bf16", True, True),
        ("flags\t\t: fpu avx512f amx_bf16 amx_tile", True, True),
        ("Features\t: fp asimd bf16", True, False),
    ],
)
def test_instruction_sets_are_read(tmp_path, monkeypatch, line, fast, avx512):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\n{line}\n")
    flags = machine.cpu_flags(cpuinfo)
    monkeypatch.setattr(machine, "cpu_flags", lambda: flags)
    assert (machine.has_fast_bfloat16(), machine.has_avx512()) == (fast, avx512)


def test_a_cpu_without_bfloat16_computes_in_float32_and_says_so(without_bfloat16, caplog):
    caplog.set_level(logging.INFO)
    layer, row = torch.nn.Linear(4, 4), torch.ones(1, 4)
    with machine.autocast("cpu"):
        assert layer(row).dtype == torch.float32
    assert not machine.autocast_pays(torch.device("cpu"))
    assert "Precision on cpu: float32" in caplog.text
    assert "has no bfloat16 in hardware" in caplog.text


def test_a_cpu_with_bfloat16_uses_it_where_it_is_asked_for(monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(machine, "cpu_flags", lambda: frozenset({"amx_bf16"}))
    layer, row = torch.nn.Linear(4, 4), torch.ones(1, 4)
    with machine.autocast("cpu"):
        assert layer(row).dtype == torch.bfloat16
    assert machine.autocast_pays("cpu")
    assert "Precision on cpu: bfloat16." in caplog.text
    assert not machine.autocast_pays("cpu", asked=False)


@pytest.mark.parametrize(("capability", "dtype"), [((7, 0), torch.float16), ((8, 0), torch.bfloat16)])
def test_gpus_without_bfloat16_get_float16(monkeypatch, capability, dtype):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda _: capability)
    assert machine.autocast_dtype("cuda:0") == dtype
    assert machine.autocast_pays("cuda:0")
