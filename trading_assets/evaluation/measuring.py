"""Gathers what a lane has on record and makes the tables that dbt cannot: evidence, attribution, slippage, intervals."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal

import polars as pl

from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Lake, Span
from trading_assets.core.tables import Table
from trading_assets.evaluation.attribution import attribution
from trading_assets.evaluation.evidence import Decided, Paid, decision_evidence
from trading_assets.evaluation.intervals import metric_intervals
from trading_assets.evaluation.model import ATTRIBUTION, BENCHMARK, DECISION_EVIDENCE, METRIC_INTERVALS, SLIPPAGE
from trading_assets.evaluation.slippage import Market, slippage
from trading_assets.execution.model import ACCOUNT, FILLS, ORDERS, POSITIONS, TRADES
from trading_assets.execution.ports import OrderLedger
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS, INTRADAY_BARS, QUOTE_BARS
from trading_assets.plans.model import TRADE_PLANS, VOTES
from trading_assets.theses.model import OPINIONS, SILENCES, THESES

_LABELLED = tuple(table for table in OPINIONS if table is not SILENCES)
Frames = Mapping[str, pl.DataFrame]


def measure(
    lake: Lake,
    ledger: OrderLedger,
    span: Span,
    paid: Mapping[tuple[date, str], tuple[int, float]],
    *,
    lane: str,
    starting_cash: Decimal,
) -> Frames:
    """Rows of MEASURED by table name, for the sessions of the span; intervals for its last session alone.

    Args:
        paid: What models were paid for each decision: (session, slot) to calls and USD.
        starting_cash: What the book began with, USD.
    """
    record = _Record(lake, lane, XNYS.session(span.last).close, span.last)
    evidence = _evidence(record, ledger, paid)
    shares = _attributed(record, span, evidence)
    costs = _slipped(record, span)
    intervals = metric_intervals(
        record.read(ACCOUNT),
        record.read(BENCHMARK),
        pl.concat([record.before(ATTRIBUTION, span), shares]),
        pl.concat([record.before(SLIPPAGE, span), costs]),
        evidence,
        session=span.last,
        starting_cash=starting_cash,
    )
    return {
        DECISION_EVIDENCE.name: evidence.filter(pl.col("session").is_between(span.first, span.last)),
        ATTRIBUTION.name: shares,
        SLIPPAGE.name: costs,
        METRIC_INTERVALS.name: intervals,
    }


class _Record:
    """A lane's rows up to a session."""

    def __init__(self, lake: Lake, lane: str, as_of: datetime, last: date) -> None:
        self.lake, self.lane, self.as_of, self.last = lake, lane, as_of, last

    def read(self, table: Table, first: date | None = None) -> pl.DataFrame:
        return self.lake.read(table, as_of=self.as_of, lane=self.lane, first=first, last=self.last)

    def before(self, table: Table, span: Span) -> pl.DataFrame:
        return self.read(table).filter(pl.col("session") < span.first)

    def facts(self, table: Table, span: Span, symbols: Sequence[str]) -> pl.DataFrame:
        return self.lake.read(table, as_of=self.as_of, first=span.first, last=span.last, symbols=symbols)


def _evidence(record: _Record, ledger: OrderLedger, paid: Mapping[tuple[date, str], tuple[int, float]]) -> pl.DataFrame:
    with ledger.reading() as reading:
        decisions = reading.decisions(XNYS.first, record.last)
    decided = [Decided(one.session, one.slot, one.state, one.plans, one.vetoes) for one in decisions]
    known = {one.session for one in decided}
    return decision_evidence(
        decided,
        [record.read(table) for table in _LABELLED],
        record.read(VOTES),
        record.read(THESES),
        record.read(POSITIONS),
        {key: Paid(*cost) for key, cost in paid.items() if key[0] in known},
    )


def _attributed(record: _Record, span: Span, evidence: pl.DataFrame) -> pl.DataFrame:
    trades = record.read(TRADES, first=span.first)
    if trades.is_empty():
        return ATTRIBUTION.empty()
    opened = min(trades["opened"])
    plans, votes, theses = (record.read(table, first=opened) for table in (TRADE_PLANS, VOTES, THESES))
    return attribution(trades, plans, votes, theses, evidence, book=record.lane)


def _slipped(record: _Record, span: Span) -> pl.DataFrame:
    fills, orders = record.read(FILLS, first=span.first), record.read(ORDERS)
    placed = orders.filter((pl.col("session") >= span.first) | pl.col("order_id").is_in(fills["order_id"].implode()))
    if fills.is_empty() and placed.is_empty():
        return SLIPPAGE.empty()
    symbols = sorted({*fills["symbol"], *placed["symbol"]})
    first = min([span.first, *placed["session"]])
    market = Market.of(
        record.facts(DAILY_BARS, span, symbols),
        _at_moments(record, INTRADAY_BARS, span, placed),
        _at_moments(record, QUOTE_BARS, span, placed),
        record.facts(CORPORATE_ACTIONS, Span(first, span.last), symbols),
    )
    plans = record.read(TRADE_PLANS, first=first)
    return slippage(fills, placed, plans, market, first=span.first, last=span.last, book=record.lane)


def _at_moments(record: _Record, table: Table, span: Span, orders: pl.DataFrame) -> pl.DataFrame:
    """The rows that begin when an order was placed, read session by session: a year of minutes does not fit a machine."""
    stored = record.lake.versions(table, span)
    found = [table.empty()]
    for (day,), placed in (
        orders.filter(pl.col("session").is_in(sorted(stored))).partition_by("session", as_dict=True).items()
    ):
        symbols, moments = sorted(set(placed["symbol"])), placed["knowable_at"].unique()
        rows = record.facts(table, Span(day, day), symbols)
        found.append(rows.filter(pl.col("start").is_in(moments.implode())))
    return pl.concat(found)
