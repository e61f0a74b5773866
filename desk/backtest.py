"""`desk backtest`: makes sure of the facts before the range, then runs the backtest job over it."""

from datetime import date
from typing import Any

from desk.market import sessions_between
from desk.output import finish
from desk.runner import Outcome, run_job
from desk.summary import show_summary
from resources.desk import BACKTEST, DeskResource
from trading_assets.catalog import key_of
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import DataNotReady
from trading_assets.core.ports import Span
from trading_assets.features.model import BREADTH, INDICATORS
from trading_assets.jobs import BACKTEST_RANGE, PREMARKET
from trading_assets.market.model import DAILY_BARS
from trading_assets.regimes.model import REGIME_LABELS


def run_backtest(first: date, last: date, *, fresh: bool, as_desk: bool, as_json: bool) -> None:
    """Walks the sessions of the range and shows the result beside buy-and-hold."""
    span = sessions_between(first, last)
    finish(walk_range(span, fresh=fresh, as_desk=as_desk, config={}))
    show_summary(BACKTEST, as_json=as_json)


def walk_range(span: Span, *, fresh: bool, config: dict[str, Any], as_desk: bool = False) -> Outcome:
    """The backtest job over a span; the features of the session before it are made first when they are missing."""
    warm_up = _facts_before(span)
    if warm_up is not None and not warm_up.success:
        return warm_up
    ops = {**config, "backtest_decisions": {"config": {"fresh": fresh, "as_desk": as_desk}}}
    return run_job(BACKTEST_RANGE, span, config=ops, label="backtest")


def _facts_before(span: Span) -> Outcome | None:
    before = XNYS.previous(span.first)
    one, lake = Span(before.day, before.day), DeskResource().lake()
    if before.day in lake.versions(REGIME_LABELS, one):
        return None
    if before.day not in lake.versions(DAILY_BARS, one):
        raise DataNotReady(
            f"a backtest from {span.first} needs bars of sessions before it",
            value=before.day,
            hint=f"desk ingest --from {XNYS.previous(span.first, 800).day} --to {before.day}",
        )
    return run_job(PREMARKET, one, selection=[key_of(t) for t in (INDICATORS, BREADTH, REGIME_LABELS)], label="warm-up")
