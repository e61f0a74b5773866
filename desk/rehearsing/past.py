"""`python -m desk.rehearsing.past make|prepared|crash SESSION CRASH`: facts of a rehearsal's home, in a process of their own.

`prepared` makes the past and the morning; a crash needs the instant at which it begins.

It works in the home, the configuration and the clock that its environment names, as every other process of the rehearsal does.
"""

import os
import sys
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from desk.output import finish
from desk.rehearsing.plan import PAST_SESSIONS
from desk.runner import run_job
from resources.clock import VARIABLE
from resources.desk import DESK, DeskResource
from trading_assets.catalog import key_of
from trading_assets.core.calendar import XNYS, Session
from trading_assets.core.errors import ConfigurationError, DeskError
from trading_assets.core.ports import Span
from trading_assets.features.model import INTRADAY_FEATURES
from trading_assets.jobs import DOCUMENTS, FACTS, INGEST, INGEST_INTRADAY, PREMARKET
from trading_assets.market.model import INTRADAY_BARS
from trading_assets.theses.model import OPINIONS

if TYPE_CHECKING:
    import polars as pl

CRASH_DEPTH = 0.08
CRASH_MINUTES, REBOUND_MINUTES = 1, 20
"""From the first fall to the bottom, and from there back to where the prices would have been."""


def make(session: Session, _: str) -> None:
    """Bars, features and regimes up to the session before; the day's minutes, which nobody sees before their time."""
    before = XNYS.previous(session.day).day
    span = Span(XNYS.previous(session.day, PAST_SESSIONS).day, before)
    first = max(span.first, _first_day(span))
    finish(run_job(INGEST, Span(first, before)))
    finish(run_job(PREMARKET, Span(first, before), selection=FACTS, label="facts"))
    if DeskResource().execution().dispatches:
        _minutes(session)


def crash(session: Session, instant: str) -> None:
    """Every second symbol and one more falls within a minute and comes back within twenty; its minutes are judged anew."""
    from trading_assets.market.checks import recorded
    from trading_assets.market.quality import judge_intraday

    desk, span, at = DeskResource(), _one(session), datetime.fromisoformat(instant)
    lake = desk.lake()
    minutes = lake.read(INTRADAY_BARS, as_of=session.close, first=session.day, last=session.day)
    fallen = crashed(minutes, at)
    lake.write(INTRADAY_BARS, fallen, span)
    recorded(INTRADAY_BARS, judge_intraday(fallen, span=span, calendar=XNYS), span, desk)
    features = [key_of(INTRADAY_FEATURES)]
    _at(session.close, lambda: finish(run_job(INGEST_INTRADAY, span, selection=features, label="features")))


def prepared(session: Session, _: str) -> None:
    """The past, then documents and opinions as the desk would have made them before the open."""
    make(session, "")
    opinions = [key_of(table, DESK) for table in OPINIONS]
    early = session.open - timedelta(minutes=45)
    _at(early, lambda: finish(run_job(PREMARKET, _one(session), selection=[*DOCUMENTS, *opinions], label="opinions")))


def crashed(minutes: "pl.DataFrame", at: datetime) -> "pl.DataFrame":
    """The same minutes with a fall in most symbols: rows before the crash and after the rebound are what they were."""
    import polars as pl

    falling = minutes["symbol"].unique().sort().to_list()
    falling = falling[: len(falling) // 2 + 1]
    since = (pl.col("start") - pl.lit(at)).dt.total_seconds() / 60
    down = (since + 1).clip(0, CRASH_MINUTES) / CRASH_MINUTES
    back = (since - CRASH_MINUTES).clip(0, REBOUND_MINUTES) / REBOUND_MINUTES
    factor = pl.when(pl.col("symbol").is_in(falling)).then(1 - CRASH_DEPTH * (down - back)).otherwise(1.0)
    prices = [(pl.col(name) * factor).round(2).alias(name) for name in ("open", "high", "low", "close")]
    return minutes.with_columns(prices)


def _minutes(session: Session) -> None:
    config, failures = {"intraday_bars": {"config": {"frequency": "1m"}}}, list[str]()
    _at(session.close, lambda: failures.extend(run_job(INGEST_INTRADAY, _one(session), config=config).failures))
    if failures or session.day not in DeskResource().lake().versions(INTRADAY_BARS, _one(session)):
        raise ConfigurationError(
            "the market has no good minutes of the session, and the paper broker has no other quotes",
            value=f"{session.day}: {'; '.join(failures) or 'none'}",
            hint="--market simulated, another session, or --broker bars",
        )


def _first_day(span: Span) -> date:
    """Where the provider's own past begins, if it begins later."""
    from trading_assets.market.ports import EmptyAnswer

    desk = DeskResource()
    source, symbols = desk.market_data(), desk.settings().market.symbols
    firsts = []
    for symbol in symbols:
        try:
            firsts.append(source.bars(symbol, "1d", span)["session"].min())
        except EmptyAnswer:
            continue
    return min((day for day in firsts if isinstance(day, date)), default=span.first)


def _at(instant: datetime, work: Callable[[], None]) -> None:
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = instant.isoformat()
    try:
        work()
    finally:
        if before is not None:
            os.environ[VARIABLE] = before


def _one(session: Session) -> Span:
    return Span(session.day, session.day)


_WORK: Mapping[str, Callable[[Session, str], None]] = {"make": make, "prepared": prepared, "crash": crash}


def main(arguments: list[str]) -> int:
    """Exit code 0, or 2 with a sentence."""
    what, day, detail = arguments
    try:
        _WORK[what](XNYS.session(date.fromisoformat(day)), detail)
    except DeskError as failure:
        sys.stderr.write(f"{failure}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
