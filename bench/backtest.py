"""The two-year backtest as Dagster assets against the same functions called plainly: `python -m bench.backtest --json`.

Both start in a fresh process, imports included, on a copy of the same ingested home, and do the same work: fetch, gate, features,
regimes, briefs, the walk, the book, benchmark, dbt metrics, report. Both must end with the same fills.
"""

import json
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

from bench.timing import emit, medians, process_seconds, temporary_home
from desk.demo import HISTORY, WALK
from resources.desk import BACKTEST
from resources.lake import ParquetLake
from trading_assets.core.calendar import XNYS
from trading_assets.execution.model import FILLS

RUNS = 3
_PREPARE = (
    "from desk.runner import run_job; from desk.demo import HISTORY; from desk.market import ingest_config; import sys; "
    "sys.exit(not run_job('ingest', HISTORY, config=ingest_config('embedded')).success)"
)
_DAGSTER = (
    "from desk.backtest import walk_range; from desk.demo import WALK; from desk.market import ingest_config; import sys; "
    "sys.exit(not walk_range(WALK, fresh=True, config=ingest_config('embedded')).success)"
)
_PLAIN = "from bench.plain import run; from desk.demo import WALK; import json; print(json.dumps(run(WALK)))"


def main() -> None:
    """Times both sides in turn; the ratio is the median of the pairs."""
    samples: dict[str, list[float]] = {"dagster_s": [], "plain_s": []}
    with temporary_home() as folder:
        source = folder / "ingested"
        ingest_s = process_seconds(["-c", _PREPARE], home=source)
        for number in range(RUNS):
            homes = {name: folder / f"{name}{number}" for name in samples}
            for name, code in (("dagster_s", _DAGSTER), ("plain_s", _PLAIN)):
                shutil.copytree(source, homes[name])
                samples[name].append(process_seconds(["-c", code], home=homes[name]))
            if _fills(homes["dagster_s"]) != _fills(homes["plain_s"]):
                raise RuntimeError("the two sides decided differently")
        stages = _stages(source)
    ratio = statistics.median(d / p for d, p in zip(samples["dagster_s"], samples["plain_s"], strict=True))
    sessions = len(XNYS.sessions(WALK.first, WALK.last))
    emit(
        {
            "bench": "backtest",
            "sessions": sessions,
            "history_sessions": len(XNYS.sessions(HISTORY.first, HISTORY.last)),
            "ingest_s": round(ingest_s, 2),
            **medians(samples),
            "dagster_to_plain": round(ratio, 2),
            **stages,
            "runs": RUNS,
        }
    )


def _fills(home: Path) -> list[tuple[object, ...]]:
    frame = ParquetLake(home / "lake").read(FILLS, as_of=XNYS.session(WALK.last).close, lane=BACKTEST)
    return frame.rows()


def _stages(home: Path) -> dict[str, float]:
    """Where the plain side spends its time, from one more run."""
    environment = {"DESK_HOME": str(home), "PATH": ""}
    done = subprocess.run(  # noqa: S603 - our own interpreter on our own module
        [sys.executable, "-c", _PLAIN], env=environment, capture_output=True, text=True, check=True, cwd=Path.cwd()
    )
    seconds: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return seconds


if __name__ == "__main__":
    main()
