"""The books of whole backtests: money is neither made nor lost, and every table tells what the ledger holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from tests.execution.world import (
    SPLIT_YEAR,
    YEAR,
    backtest,
    booked,
    days,
    decided,
    market,
    new_ledger,
    rules,
    window,
    world_of,
)
from trading_assets.core.calendar import XNYS
from trading_assets.core.money import usd
from trading_assets.core.ports import Span
from trading_assets.execution.corporate import split_shares
from trading_assets.execution.cycle import settle_session
from trading_assets.execution.model import Book, Fill, Position
from trading_assets.execution.ports import Decision, DividendPaid, SessionClose
from trading_assets.execution.views import account_rows, fill_rows, position_rows
from trading_assets.market.model import CORPORATE_ACTIONS
from trading_assets.plans.strategies import STRATEGIES

START = Decimal(100_000)
Frames = Mapping[str, pl.DataFrame]


@dataclass(frozen=True)
class Walked:
    """A finished backtest: its ledger's rows and its tables in the lake."""

    span: Span
    closes: Sequence[SessionClose]
    fills: Sequence[Fill]
    dividends: Sequence[DividendPaid]
    decisions: Sequence[Decision]
    tables: Frames


@pytest.fixture(scope="module", params=[YEAR, SPLIT_YEAR], ids=["2012", "half of 2005"])
def walked(request: pytest.FixtureRequest) -> Walked:
    """A year with dividends and a listing, and half a year with a split."""
    span: Span = request.param
    where = backtest(span)
    with where.ledger.session() as ledger:
        return Walked(
            span,
            ledger.closes(span.first, span.last),
            ledger.fills(span.last),
            ledger.dividends(span.last),
            ledger.decisions(span.first, span.last),
            {**decided(where, span), **booked(where, span)},
        )


def _splits(span: Span) -> dict[tuple[date, str], Decimal]:
    actions = market(span).frames[CORPORATE_ACTIONS.name].filter(pl.col("kind") == "split")
    return {(row["session"], row["symbol"]): Decimal(str(row["ratio"])) for row in actions.rows(named=True)}


def test_every_session_is_decided_settled_and_shown(walked: Walked) -> None:
    assert tuple(close.session for close in walked.closes) == days(walked.span)
    assert tuple(walked.tables["account"]["session"]) == days(walked.span)
    assert len(walked.fills) > 10


def test_equity_is_cash_plus_positions_every_session(walked: Walked) -> None:
    held = walked.tables["positions"].group_by("session").agg(pl.col("market_value").sum().alias("held"))
    account = walked.tables["account"].join(held, on="session", how="left").with_columns(pl.col("held").fill_null(0))
    for row in account.rows(named=True):
        assert row["equity"] == row["cash"] + row["market_value"]
        assert row["market_value"] == row["held"]
        assert row["cash"] >= 0


def test_cash_is_the_start_plus_fills_plus_dividends_to_the_last_place(walked: Walked) -> None:
    cash = START
    for close in walked.closes:
        cash += sum((fill.cash for fill in walked.fills if fill.session == close.session), Decimal(0))
        cash += sum((paid.amount for paid in walked.dividends if paid.session == close.session), Decimal(0))
        assert cash == close.book.cash


def test_the_book_rebuilt_from_its_fills_is_the_stored_book(walked: Walked) -> None:
    splits, held = _splits(walked.span), dict[str, Position]()
    for close in walked.closes:
        for symbol, position in list(held.items()):
            ratio = splits.get((close.session, symbol), Decimal(1))
            held[symbol] = Position(symbol, split_shares(position.quantity, ratio)[0], position.cost)
        for fill in (fill for fill in walked.fills if fill.session == close.session):
            _rebook(held, fill)
        assert held == dict(close.book.positions), close.session


def _rebook(held: dict[str, Position], fill: Fill) -> None:
    before = held.get(fill.symbol, Position(fill.symbol, 0, Decimal(0)))
    if fill.side == "buy":
        held[fill.symbol] = Position(fill.symbol, before.quantity + fill.quantity, before.cost - fill.cash)
        return
    left = before.quantity - fill.quantity
    assert left >= 0
    gone = usd(before.cost * fill.quantity / before.quantity) if left else before.cost
    held[fill.symbol] = Position(fill.symbol, left, before.cost - gone)
    if not left:
        del held[fill.symbol]


def test_closed_and_open_profits_are_the_change_of_equity(walked: Walked) -> None:
    trades, last = walked.tables["trades"], walked.closes[-1]
    earned = sum(trades["pnl"].to_list(), Decimal(0))
    for symbol, position in last.book.positions.items():
        closed = trades.filter(pl.col("symbol") == symbol)["session"].max() or date.min
        opened = [fill for fill in walked.fills if fill.symbol == symbol and fill.session > closed]  # type: ignore[operator]
        paid = [p.amount for p in walked.dividends if p.symbol == symbol and p.session > closed]  # type: ignore[operator]
        earned += last.prices[symbol] * position.quantity + sum((fill.cash for fill in opened), Decimal(0))
        earned += sum(paid, Decimal(0))
    assert earned == last.equity - START


def test_a_sessions_totals_are_those_of_its_fills_and_decisions(walked: Walked) -> None:
    plans = dict(walked.tables["trade_plans"].group_by("session").len().iter_rows())
    vetoes = dict(walked.tables["verdicts"].filter(pl.col("ruling") == "veto").group_by("session").len().iter_rows())
    for row in walked.tables["account"].rows(named=True):
        fills = [fill for fill in walked.fills if fill.session == row["session"]]
        assert row["fees"] == sum((fill.fee for fill in fills), Decimal(0))
        assert row["traded_value"] == sum((fill.price * fill.quantity for fill in fills), Decimal(0))
        assert row["dividends"] == sum(p.amount for p in walked.dividends if p.session == row["session"])
        assert (row["plans"], row["vetoes"]) == (plans.get(row["session"], 0), vetoes.get(row["session"], 0))


def test_a_full_session_has_thirteen_decisions_and_a_half_day_seven() -> None:
    account = booked(backtest(), YEAR)["account"]
    counts = dict(account.select("session", "decisions").iter_rows())
    assert {day for day, count in counts.items() if count == 7} == {
        date(2012, 7, 3),
        date(2012, 11, 23),
        date(2012, 12, 24),
    }
    assert set(counts.values()) == {7, 13}


def test_every_fill_belongs_to_an_order_every_order_to_an_approved_plan(walked: Walked) -> None:
    orders, plans, verdicts = (walked.tables[name] for name in ("orders", "trade_plans", "verdicts"))
    assert {fill.order_id for fill in walked.fills} <= set(orders["order_id"])
    gated = verdicts.filter(pl.col("signer") == "risk_gate")
    assert plans["plan_digest"].sort().equals(gated["plan_digest"].sort())
    key = ["session", "slot", "strategy", "symbol"]
    sent = orders.filter(pl.col("role").is_in(["entry", "exit"]))
    asked = sent.join(gated, on=key, suffix="_allowed")
    assert asked.height == sent.height
    assert (asked["quantity"] == asked["quantity_allowed"]).all()
    signed = sent.join(verdicts, on=key)
    assert signed.height == 3 * sent.height
    assert set(signed["ruling"]) <= {"approve", "shrink"}


def test_what_passed_the_gate_has_its_stop_below_and_its_target_far_enough_above(walked: Walked) -> None:
    passed = walked.tables["trade_plans"].join(
        walked.tables["verdicts"].filter(pl.col("ruling") != "veto"), on="plan_digest", how="semi"
    )
    entries = passed.filter(pl.col("action") == "enter").rows(named=True)
    assert len(entries) > 5
    for row in entries:
        assert 0 < row["stop"] < row["entry"] < row["target"]
        assert (row["target"] - row["entry"]) / (row["entry"] - row["stop"]) >= Decimal("1.5")
        assert row["entry"] <= usd(row["reference"] * Decimal("1.005")) + Decimal("0.005")
        assert row["regime"] in STRATEGIES[row["strategy"]].views_of(row["side"])


def test_no_symbol_is_bought_while_it_is_held(walked: Walked) -> None:
    before = {close.session: frozenset(close.book.positions) for close in walked.closes}
    entries = walked.tables["trade_plans"].filter(pl.col("action") == "enter")
    sessions = days(walked.span)
    for day, symbol in entries.select("session", "symbol").iter_rows():
        position = sessions.index(day)
        assert position == 0 or symbol not in before[sessions[position - 1]]


def test_no_purchase_pays_more_than_the_plans_limit(walked: Walked) -> None:
    limits = dict(walked.tables["orders"].select("order_id", "limit_price").iter_rows())
    bought = [fill for fill in walked.fills if fill.side == "buy"]
    assert bought
    assert all(fill.price <= limits[fill.order_id] for fill in bought)


def test_no_trade_outlives_its_strategys_time(walked: Walked) -> None:
    """An exit is decided when the time is over and fills at that open; the entry's session counts as the first."""
    trades = walked.tables["trades"]
    assert trades.height > 5
    for strategy, held in trades.select("strategy", "sessions_held").iter_rows():
        assert held <= STRATEGIES[strategy].holding_sessions_max + 1


def test_every_open_position_has_a_stop_for_all_its_shares(walked: Walked) -> None:
    for close in walked.closes:
        for symbol, position in close.book.positions.items():
            stops = [o for o in close.book.orders.values() if o.symbol == symbol and o.role == "stop"]
            assert sum(order.open_quantity for order in stops if order.status == "working") == position.quantity


def test_rows_of_fills_and_positions_are_the_ledgers(walked: Walked) -> None:
    fills = walked.tables["fills"].select("fill_id", "price", "quantity", "fee").rows()
    assert sorted(fills) == sorted((f.id, f.price, f.quantity, f.fee) for f in walked.fills)
    held = walked.tables["positions"].select("session", "symbol", "quantity", "cost").rows()
    assert held == [
        (close.session, symbol, position.quantity, position.cost)
        for close in walked.closes
        for symbol, position in sorted(close.book.positions.items())
    ]


def test_only_the_spans_fills_are_shown(walked: Walked) -> None:
    day = walked.fills[3].session
    assert {row["session"] for row in fill_rows(walked.fills, Span(day, day))} == {day}


def test_a_book_without_sessions_has_no_rows() -> None:
    assert (fill_rows([], YEAR), position_rows([]), account_rows([], [])) == ([], [], [])


def test_a_position_carries_a_split_at_unchanged_cost_and_value(tmp_path: Path) -> None:
    """AAPL, 2:1 on 2005-02-28: 10 shares become 20 and no cent moves but with the market."""
    before, day = date(2005, 2, 25), date(2005, 2, 28)
    book = Book(Decimal(1_000), {"AAPL": Position("AAPL", 10, Decimal(800))})
    nothing = Decimal(0)
    ledger, world = new_ledger(tmp_path), world_of(window(market(SPLIT_YEAR).frames, day))
    with ledger.session() as transaction:
        transaction.add_settlement(
            SessionClose(before, book, {"AAPL": Decimal("88.99")}, nothing, nothing, nothing), (), ()
        )
        close = settle_session(XNYS.session(day), world, rules(), transaction)
    assert close.book == Book(Decimal(1_000), {"AAPL": Position("AAPL", 20, Decimal(800))})
    assert Decimal(44) < close.prices["AAPL"] < Decimal(46)
