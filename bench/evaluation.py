"""A year of sessions through post-close evaluation in one backfill: `python -m bench.evaluation --json`.

What is timed is one run of one process, imports included: the book's tables from the ledger, buy-and-hold, evidence, attribution,
slippage, intervals, the dbt models with all their tests, and the report, over 252 sessions that are walked already. Beside it the
same work as plain calls shows where the time goes; `dbt_share` is that of loading, models and tests.
"""

import json
import shutil
import subprocess
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path

from bench.timing import emit, medians, process_seconds, temporary_home
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span

RUNS = 3
SESSIONS = 252
LAST = date(2013, 2, 28)
FIRST = XNYS.sessions(date(2011, 1, 3), LAST)[-SESSIONS].day
_PREPARE = (
    "from desk.runner import run_job; from desk.demo import HISTORY; from desk.market import ingest_config; import sys; "
    "from desk.backtest import walk_range; from bench.evaluation import SPAN; "
    "ok = run_job('ingest', HISTORY, config=ingest_config('embedded')).success; "
    "sys.exit(not (ok and walk_range(SPAN, fresh=True, config=ingest_config('embedded')).success))"
)
_BACKFILL = (
    "from desk.runner import run_job; from bench.evaluation import SPAN, selection; import sys; "
    "sys.exit(not run_job('backtest', SPAN, selection=selection()).success)"
)
_PLAIN = "from bench.evaluation import stages; import json; print(json.dumps(stages()))"
SPAN = Span(FIRST, LAST)


def main() -> None:
    """Medians of three runs, each on its own copy of one home."""
    samples: dict[str, list[float]] = {"backfill_s": []}
    with temporary_home() as folder:
        source = folder / "walked"
        process_seconds(["-c", _PREPARE], home=source)
        for number in range(RUNS):
            home = folder / f"run{number}"
            shutil.copytree(source, home)
            samples["backfill_s"].append(process_seconds(["-c", _BACKFILL], home=home))
            for name, seconds in _plain(home).items():
                samples.setdefault(name, []).append(seconds)
    found = medians(samples)
    plain = sum(seconds for name, seconds in found.items() if name.startswith("plain_"))
    emit(
        {
            "bench": "evaluation",
            "sessions": SESSIONS,
            "sessions_per_s": round(SESSIONS / found["backfill_s"], 1),
            "dbt_share": round(found["plain_dbt_s"] / found["backfill_s"], 3),
            **found,
            "plain_total_s": round(plain, 2),
            "runs": RUNS,
        }
    )


def selection() -> "list[object]":
    """The assets of post-close evaluation on the backtest lane."""
    import dagster as dg

    from resources.desk import BACKTEST
    from trading_assets.catalog import key_of
    from trading_assets.evaluation.assets import MODELS
    from trading_assets.evaluation.model import EVALUATED
    from trading_assets.evaluation.reporting.assets import REPORT
    from trading_assets.execution.tables import BOOKED

    tables = [key_of(table, BACKTEST) for table in (*BOOKED, *EVALUATED)]
    return [*tables, *(dg.AssetKey([BACKTEST, model.name]) for model in MODELS), dg.AssetKey([BACKTEST, REPORT])]


def stages() -> dict[str, float]:
    """Seconds of each stage as plain calls on DESK_HOME."""
    import time

    found: dict[str, float] = {}
    for stage in (_held, _measured, _dbt, _reported):
        begun = time.perf_counter()
        stage()
        found[f"plain{stage.__name__}_s"] = round(time.perf_counter() - begun, 3)
    return found


def _held() -> None:
    from resources.desk import BACKTEST, DeskResource
    from trading_assets.evaluation.benchmark import buy_and_hold
    from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS

    desk, as_of = DeskResource(), XNYS.session(LAST).close
    rules = desk.rules(BACKTEST)
    facts = (desk.lake().read(t, as_of=as_of, first=FIRST, last=LAST) for t in (DAILY_BARS, CORPORATE_ACTIONS))
    symbols = list(rules.settings.market.symbols)
    buy_and_hold(*facts, span=SPAN, starting_cash=rules.first_book.cash, costs=rules.costs, symbols=symbols)


def _measured() -> None:
    from resources.desk import BACKTEST, DESK, DeskResource
    from resources.metrics_costs import paid_by_decision
    from trading_assets.evaluation.measuring import measure

    desk = DeskResource()
    cash, paid = desk.rules(BACKTEST).first_book.cash, paid_by_decision(desk.engine(DESK), BACKTEST)
    measure(desk.lake(), desk.ledger(BACKTEST), SPAN, paid, lane=BACKTEST, starting_cash=cash)


def _dbt() -> None:
    from resources.desk import BACKTEST, DeskResource
    from resources.metrics import RAW_TABLES, RawTables, run_metrics
    from trading_assets.evaluation.assets import DBT_PROJECT

    desk, as_of = DeskResource(), XNYS.session(LAST).close
    frames = {table.name: desk.lake().read(table, as_of=as_of, lane=BACKTEST) for table in RAW_TABLES}
    run_metrics(
        project=DBT_PROJECT,
        warehouse=Path(desk.warehouse(BACKTEST).database),
        target=desk.home().root / "dbt" / BACKTEST,
        raw=RawTables(BACKTEST, Decimal(desk.rules(BACKTEST).first_book.cash), frames),
    )


def _reported() -> None:
    from resources.desk import BACKTEST, DeskResource
    from trading_assets.evaluation.making import make_report

    desk = DeskResource()
    make_report(desk.lake(), desk.gates(), desk.ledger(BACKTEST), desk.rules(BACKTEST), SPAN, desk.home().reports)


def _plain(home: Path) -> dict[str, float]:
    done = subprocess.run(  # noqa: S603 - our own interpreter on our own module
        [sys.executable, "-c", _PLAIN],
        env={"DESK_HOME": str(home), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
        cwd=Path.cwd(),
    )
    seconds: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return seconds


if __name__ == "__main__":
    main()
