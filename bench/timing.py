"""What the benchmarks share: whole-process timings, medians, and the JSON line at the end."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def process_seconds(arguments: Sequence[str], *, home: Path | None = None, compiled: Path | None = None) -> float:
    """Wall seconds of one Python process, imports included; a failing process raises with what it printed.

    `compiled` is where it finds and keeps compiled code instead of where the environment has it.
    """
    wanted = {"DESK_HOME": home, "NUMBA_CACHE_DIR": compiled}
    environment = {**os.environ, **{name: str(path) for name, path in wanted.items() if path}}
    begun = time.perf_counter()
    done = subprocess.run(  # noqa: S603 - our own interpreter on our own module
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - begun
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)} failed: {done.stdout}{done.stderr}")
    return seconds


def medians(samples: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """The median of each series, rounded to a millisecond."""
    return {name: round(statistics.median(values), 3) for name, values in samples.items()}


@contextmanager
def temporary_home() -> Iterator[Path]:
    """An empty DESK_HOME that is removed afterwards, also for this process."""
    before = os.environ.get("DESK_HOME")
    with tempfile.TemporaryDirectory(prefix="desk-bench-") as folder:
        os.environ["DESK_HOME"] = folder
        try:
            yield Path(folder)
        finally:
            if before is None:
                del os.environ["DESK_HOME"]
            else:
                os.environ["DESK_HOME"] = before


def emit(figures: Mapping[str, Any]) -> None:
    """One JSON line on stdout."""
    sys.stdout.write(json.dumps(figures) + "\n")
