"""One backfill over 250 sessions in one run against 20 single runs scaled to 250: `python -m bench.backfill --json`.

Both make indicators, breadth and regime labels of the embedded prices, in this process, on one SQLite instance.
"""

import statistics
from datetime import date

from bench.timing import emit, temporary_home
from desk.market import ingest_config
from desk.runner import run_job
from trading_assets.catalog import key_of
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span
from trading_assets.features.model import BREADTH, INDICATORS
from trading_assets.jobs import INGEST, PREMARKET
from trading_assets.regimes.model import REGIME_LABELS

SESSIONS = 250
SINGLE = 20
RUNS = 3
_KEYS = [key_of(table) for table in (INDICATORS, BREADTH, REGIME_LABELS)]


def features(span: Span) -> float:
    """Seconds of one run over the span."""
    outcome = run_job(PREMARKET, span, selection=_KEYS)
    if not outcome.success:
        raise RuntimeError("; ".join(outcome.failures))
    return outcome.seconds


def main() -> None:
    """Prints seconds of both ways and their ratio."""
    days = [session.day for session in XNYS.sessions(date(2012, 1, 3), date(2013, 2, 28))][:SESSIONS]
    with temporary_home():
        run_job(INGEST, Span(date(2008, 3, 3), days[-1]), config=ingest_config("embedded"))
        features(Span(days[0], days[0]))
        ranges = [features(Span(days[0], days[-1])) for _ in range(RUNS)]
        singles = [features(Span(day, day)) for day in days[:SINGLE]]
    one_run = statistics.median(ranges)
    scaled = statistics.median(singles) * SESSIONS
    emit(
        {
            "bench": "backfill",
            "sessions": SESSIONS,
            "one_run_s": round(one_run, 2),
            "single_run_s": round(statistics.median(singles), 3),
            "single_runs_scaled_s": round(scaled, 1),
            "single_to_one_run": round(scaled / one_run, 1),
        }
    )


if __name__ == "__main__":
    main()
