"""Reads what the monitor, the nightly proposals and the monthly study need of a lane's record."""

from collections.abc import Mapping, Sequence
from datetime import date
from functools import lru_cache

from trading_assets.core.calendar import XNYS
from trading_assets.core.learning import MonitorRules
from trading_assets.core.parameters import Parameters
from trading_assets.core.ports import Lake, Span
from trading_assets.evaluation.monitor import Standing, standings, turns_of, withheld_plans, withheld_turns
from trading_assets.evaluation.study_replay import History, Market, Row, past_trades
from trading_assets.evaluation.suggestions import Moved
from trading_assets.execution.model import TRADES
from trading_assets.execution.ports import OrderLedger
from trading_assets.execution.rules import Rules
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS, INTRADAY_BARS
from trading_assets.plans.model import TRADE_PLANS
from trading_assets.signatures.model import VERDICTS

WITHHELD_SESSIONS = 252
"""How far back withheld entries are replayed."""
_HELD_SESSIONS_MAX = 40
_DAYS_KEPT = 512


def history_of(lake: Lake, ledger: OrderLedger, rules: Rules, last: date, *, sessions: int) -> History:
    """The lane's trades closed in the newest sessions up to `last`, ready to be replayed."""
    span = Span(XNYS.previous(last, sessions - 1).day if sessions > 1 else last, last)
    trades = lake.read(TRADES, as_of=XNYS.session(last).close, lane=rules.book, first=span.first, last=last)
    with ledger.reading() as reading:
        intents = reading.intents(last)
    return History(past_trades(trades, intents), rules.tuned, market_of(lake, rules, span), rules.preferences)


def standings_of(
    lake: Lake, rules: Rules, last: date, *, now: Parameters, moved: Sequence[Moved], monitor: MonitorRules
) -> tuple[Standing, ...]:
    """How every strategy stands in every regime that it traded in, by the lane's record up to a session.

    Args:
        now: What is in force on the next session.
        moved: Every change of a parameter, oldest first.
    """
    span, as_of = Span(XNYS.previous(last, WITHHELD_SESSIONS).day, last), XNYS.session(last).close
    trades = lake.read(TRADES, as_of=as_of, lane=rules.book, last=last)
    plans, verdicts = (
        lake.read(table, as_of=as_of, lane=rules.book, first=span.first, last=last) for table in (TRADE_PLANS, VERDICTS)
    )
    withheld = withheld_plans(plans, verdicts)
    kept = withheld_turns(withheld, market_of(lake, rules, span)) if withheld else ()
    return standings(turns_of(trades, kept), now, rules.tuned.base, moved, monitor)


def market_of(lake: Lake, rules: Rules, span: Span) -> Market:
    """What happened in a span, and long enough before it for whatever was held into it."""
    reach, as_of = Span(XNYS.previous(span.first, _HELD_SESSIONS_MAX).day, span.last), XNYS.session(span.last).close
    bars = lake.read(DAILY_BARS, as_of=as_of, first=reach.first, last=reach.last)
    actions = lake.read(CORPORATE_ACTIONS, as_of=as_of, first=reach.first, last=reach.last)
    stored = frozenset(lake.versions(INTRADAY_BARS, reach))

    @lru_cache(_DAYS_KEPT)
    def of_session(day: date) -> Mapping[str, list[Row]]:
        found: dict[str, list[Row]] = {}
        rows = lake.read(INTRADAY_BARS, as_of=XNYS.session(day).close, first=day, last=day)
        for row in rows.iter_rows(named=True):
            found.setdefault(row["symbol"], []).append(row)
        return found

    def intraday(symbol: str, day: date) -> Sequence[Row]:
        return of_session(day).get(symbol, ()) if day in stored else ()

    return Market.of(bars, actions, reach, rules.costs, intraday)
