"""What a process may use is the narrowest of affinity, quota and memory limit; settings stand above what was measured."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.hardware import Fit, Machine, fit_libraries, fitted, groups, measure
from trading_assets.core.operations import Hardware

GB = 1_000_000_000
AUTO = Hardware()


def machine_in(root: Path, *, cores: int = 8, memory: int = 16 * GB, used: int = 4 * GB) -> Machine:
    return measure(root, affinity=lambda: cores, memory=lambda: (memory, used))


def written(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_without_control_groups_the_machine_is_all_there_is(tmp_path: Path) -> None:
    found = machine_in(tmp_path)
    assert (found.cores, found.memory_bytes, found.memory_used_fraction) == (8.0, 16 * GB, 0.25)
    assert list(groups(tmp_path)) == []
    assert found.cores_bound_by == "cores of the process"


def test_version_2_is_bounded_by_the_narrowest_group_on_the_way_up(tmp_path: Path) -> None:
    root = written(
        tmp_path,
        {
            "proc/self/cgroup": "0::/desk.slice/gateway.service\n",
            "sys/fs/cgroup/cpu.max": "max 100000\n",
            "sys/fs/cgroup/desk.slice/cpu.max": "150000 100000\n",
            "sys/fs/cgroup/desk.slice/memory.max": str(4 * GB),
            "sys/fs/cgroup/desk.slice/memory.current": str(3 * GB),
            "sys/fs/cgroup/desk.slice/memory.stat": f"anon 5\ninactive_file {GB}\n",
            "sys/fs/cgroup/desk.slice/gateway.service/cpu.max": "400000 100000\n",
            "sys/fs/cgroup/desk.slice/gateway.service/memory.max": "max\n",
        },
    )
    found = machine_in(root)
    assert (found.cores, found.cores_bound_by) == (1.5, "quota of /desk.slice")
    assert (found.memory_bytes, found.memory_bound_by) == (4 * GB, "limit of /desk.slice")
    assert found.memory_used_bytes == 2 * GB


def test_a_container_sees_its_own_group_at_the_root_of_what_is_mounted(tmp_path: Path) -> None:
    files = {"proc/self/cgroup": "0::/docker/abc\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"}
    assert machine_in(written(tmp_path, files)).cores == 0.5


def test_version_1_keeps_quota_and_memory_apart(tmp_path: Path) -> None:
    root = written(
        tmp_path,
        {
            "proc/self/cgroup": "4:cpu,cpuacct:/job\n7:memory:/job\n0::/ignored\n",
            "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us": "300000",
            "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us": "100000",
            "sys/fs/cgroup/memory/job/memory.limit_in_bytes": str(2 * GB),
            "sys/fs/cgroup/memory/job/memory.usage_in_bytes": str(GB),
            "sys/fs/cgroup/memory/job/memory.stat": "total_inactive_file 500000000\n",
        },
    )
    found = machine_in(root)
    assert (found.cores, found.memory_bytes, found.memory_used_bytes) == (3.0, 2 * GB, GB // 2)


@pytest.mark.parametrize("text", ["", "garbage", "max", "0 100000", "-1 100000", "1 2 3", "x y", "100000 0"])
def test_a_quota_that_says_nothing_bounds_nothing(tmp_path: Path, text: str) -> None:
    files = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": text, "sys/fs/cgroup/memory.max": text}
    assert machine_in(written(tmp_path, files)).cores == 8.0


def test_the_unlimited_memory_of_version_1_is_that_of_the_machine(tmp_path: Path) -> None:
    files = {"proc/self/cgroup": "7:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712"}
    assert machine_in(written(tmp_path, files)).memory_bytes == 16 * GB


@settings(max_examples=60, deadline=None)
@given(st.floats(0.05, 256), st.integers(100_000_000, 2_000 * GB))
def test_whatever_the_machine_every_part_works_and_memory_is_not_given_out_twice(cores: float, memory: int) -> None:
    fit = fitted(AUTO, Machine(cores, memory, 0, "", ""))
    assert 1 <= fit.workers <= max(1, round(cores + 0.5))
    assert fit.batches >= fit.workers or fit.batches == 16
    assert 2 <= fit.ledger_connections <= 16
    assert fit.duckdb_memory_bytes <= max(200_000_000, memory * 0.4)
    assert 4_000_000 <= fit.ledger_cache_bytes <= 64_000_000


def test_more_memory_or_cores_never_means_fewer_workers() -> None:
    def workers(cores: float, memory: int) -> int:
        return fitted(AUTO, Machine(cores, memory, 0, "", "")).workers

    assert [workers(cores, 64 * GB) for cores in (0.2, 1, 1.5, 2, 8)] == [1, 1, 2, 2, 8]
    assert [workers(8, memory) for memory in (GB // 2, GB, 2 * GB, 64 * GB)] == [1, 1, 3, 8]


def test_a_setting_stands_above_what_was_measured() -> None:
    small = Machine(1.0, GB, 0, "", "")
    fit = fitted(Hardware(workers=6, memory_gb=10.0), small)
    assert (fit.workers, fit.polars_threads, fit.duckdb_threads) == (6, 6, 6)
    assert fit.duckdb_config == {"threads": 6, "memory_limit": "4000MB"}


def test_what_the_operator_exported_stays() -> None:
    told = {"POLARS_MAX_THREADS": "7"}
    fit_libraries(Fit(3, 6, 3, 3, 3, GB, 4, GB), told)
    assert told == {
        "POLARS_MAX_THREADS": "7",
        "NUMBA_NUM_THREADS": "3",
        "OMP_NUM_THREADS": "3",
        "OPENBLAS_NUM_THREADS": "3",
    }


def test_this_machine_can_be_measured() -> None:
    found = measure()
    assert 0 < found.cores <= 4096
    assert 0 < found.memory_used_bytes < found.memory_bytes
