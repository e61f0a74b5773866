"""What of the machine this process may use, and how the desk's workers and caches are fitted to it.

The number of cores that the kernel shows is not the number that a container may use: affinity and the quota of the control group
bound it, and a memory limit of the group ends a process long before the machine is full. Nothing heavy is imported here.

Sources: the kernel's admin-guide/cgroup-v2 (`cpu.max`, `memory.max`, `memory.current`, `memory.stat`), and for version 1
scheduler/sched-bwc (`cpu.cfs_quota_us`) and cgroup-v1/memory (`memory.limit_in_bytes`).
"""

import os
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass
from pathlib import Path

from trading_assets.core.operations import Hardware

GB = 1_000_000_000
_ROOT = Path("/")
# A process of the desk with polars, DuckDB and numba loaded; more workers than that fit would push each other out.
_BYTES_PER_WORKER = 600_000_000
# Of the memory that the desk may use: the rest is for the ledger's pages, the web server and the daemon.
_DUCKDB_SHARE = 0.4
_CACHE_SHARE = 0.02
_LOOKS_IN_FLIGHT_MAX = 16


@dataclass(frozen=True, slots=True)
class Machine:
    """What this process may use. `cores` may be a fraction where a quota bounds it; `bound_by` says what is the narrowest."""

    cores: float
    memory_bytes: int
    memory_used_bytes: int
    cores_bound_by: str
    memory_bound_by: str

    @property
    def memory_used_fraction(self) -> float:
        """0 to 1, of what may be used."""
        return self.memory_used_bytes / self.memory_bytes if self.memory_bytes else 1.0


@dataclass(frozen=True, slots=True)
class Fit:
    """How much of the machine each part takes.

    Args:
        workers: Threads for screening, Monte Carlo and whatever else is asked to use the machine.
        batches: Sessions or symbols that are worked on side by side.
        duckdb_memory_bytes: What one warehouse connection may hold before it spills to disk.
        ledger_connections: Idle connections that a process keeps to a ledger.
        ledger_cache_bytes: Pages that one connection to a ledger keeps.
    """

    workers: int
    batches: int
    polars_threads: int
    numba_threads: int
    duckdb_threads: int
    duckdb_memory_bytes: int
    ledger_connections: int
    ledger_cache_bytes: int

    @property
    def duckdb_config(self) -> dict[str, str | int]:
        """For `duckdb.connect(config=…)`."""
        return {"threads": self.duckdb_threads, "memory_limit": f"{self.duckdb_memory_bytes // 1_000_000}MB"}


def measure(
    root: Path = _ROOT,
    *,
    affinity: Callable[[], int] | None = None,
    memory: Callable[[], tuple[int, int]] | None = None,
) -> Machine:
    """The machine as this process may use it.

    Args:
        root: Where `proc` and `sys` hang.
        affinity: Cores that the scheduler gives the process.
        memory: Bytes that the machine has, and bytes of them in use.
    """
    cores, cores_by = float((affinity or _affinity)()), "cores of the process"
    total, used = (memory or _memory)()
    memory_by = "memory of the machine"
    for group in groups(root):
        quota = group.quota()
        if quota is not None and quota < cores:
            cores, cores_by = quota, f"quota of {group.name}"
        limit = group.memory_limit()
        if limit is not None and limit < total:
            total, used, memory_by = limit, group.memory_used(), f"limit of {group.name}"
    return Machine(cores, total, used, cores_by, memory_by)


def fitted(settings: Hardware, machine: Machine) -> Fit:
    """What the desk takes: `auto` the whole of what it may use, else what the setting says, on whatever machine."""
    budget = machine.memory_bytes if settings.memory_gb == "auto" else int(settings.memory_gb * GB)
    measured = max(1, min(int(machine.cores + 0.5), budget // _BYTES_PER_WORKER))
    workers = measured if settings.workers == "auto" else settings.workers
    return Fit(
        workers=workers,
        batches=max(1, min(_LOOKS_IN_FLIGHT_MAX, 2 * workers)),
        polars_threads=workers,
        numba_threads=workers,
        duckdb_threads=workers,
        duckdb_memory_bytes=max(200_000_000, int(budget * _DUCKDB_SHARE)),
        ledger_connections=max(2, min(16, 2 * workers)),
        ledger_cache_bytes=max(4_000_000, min(64_000_000, int(budget * _CACHE_SHARE) // 16)),
    )


def fit_libraries(fit: Fit, environment: MutableMapping[str, str] | None = None) -> None:
    """Says to libraries that read it at their import how many threads they may start; what is said already stays."""
    told = os.environ if environment is None else environment
    for name, threads in (
        ("POLARS_MAX_THREADS", fit.polars_threads),
        ("NUMBA_NUM_THREADS", fit.numba_threads),
        ("OMP_NUM_THREADS", fit.numba_threads),
        ("OPENBLAS_NUM_THREADS", fit.numba_threads),
    ):
        told.setdefault(name, str(threads))


# Control groups


@dataclass(frozen=True, slots=True)
class Group:
    """One control group of the process; a limit that is absent, unreadable or `max` bounds nothing."""

    name: str
    folder: Path
    version: int

    def quota(self) -> float | None:
        """Cores by the time quota."""
        if self.version == 2:
            words = _text(self.folder / "cpu.max").split()
            quota, period = (_number(words[0]), _number(words[1])) if len(words) == 2 else (None, None)
        else:
            quota, period = _read(self.folder / "cpu.cfs_quota_us"), _read(self.folder / "cpu.cfs_period_us")
        return quota / period if quota is not None and period is not None and quota > 0 and period > 0 else None

    def memory_limit(self) -> int | None:
        """Bytes."""
        found = _read(self.folder / ("memory.max" if self.version == 2 else "memory.limit_in_bytes"))
        return int(found) if found is not None and found > 0 else None

    def memory_used(self) -> int:
        """Bytes that the kernel cannot simply drop: without the pages of files that nobody used lately."""
        used = _read(self.folder / ("memory.current" if self.version == 2 else "memory.usage_in_bytes")) or 0.0
        name = "inactive_file" if self.version == 2 else "total_inactive_file"
        stat = dict(line.split(maxsplit=1) for line in _text(self.folder / "memory.stat").splitlines() if " " in line)
        return max(0, int(used - (_number(stat.get(name, "")) or 0.0)))


def groups(root: Path) -> Iterator[Group]:
    """Every group that bounds the process: its own and all above it, of both versions; none where there are none."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, controllers, path = (*line.split(":", 2), "", "")[:3]
        if number == "0" and not controllers:
            yield from _upwards(root / "sys/fs/cgroup", path, 2)
        for controller in ("cpu", "memory"):
            if controller in controllers.split(","):
                yield from _upwards(root / "sys/fs/cgroup" / controllers, path, 1)
                yield from _upwards(root / "sys/fs/cgroup" / controller, path, 1)


def _upwards(mount: Path, path: str, version: int) -> Iterator[Group]:
    """From the group to the root of what is mounted; a container sees its own group there, whatever its path says."""
    parts = [part for part in path.split("/") if part not in {"", "..", "."}]
    for depth in range(len(parts), -1, -1):
        folder = mount.joinpath(*parts[:depth])
        if folder.is_dir():
            yield Group("/" + "/".join(parts[:depth]), folder, version)


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory() -> tuple[int, int]:
    import psutil

    found = psutil.virtual_memory()
    return int(found.total), int(found.total - found.available)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def _read(path: Path) -> float | None:
    return _number(_text(path))


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
