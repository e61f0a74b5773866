"""One number a session: worked out by hand, for the session that opened the trade, and only where an arm was at work."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from resources.lake import ParquetLake
from tests.evaluation.books import account, account_row, day, fill_row, fills, positions, tiny, trade_row, trades
from tests.evaluation.books import plan as planned
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.ids import short_id
from trading_assets.core.ports import Span
from trading_assets.core.slots import Slot
from trading_assets.evaluation.experiments.measures import Record, measured
from trading_assets.evaluation.experiments.model import MEASURES, MeasureName
from trading_assets.execution.model import ACCOUNT, FILLS, POSITIONS, TRADES
from trading_assets.plans.model import TRADE_PLANS
from trading_assets.plans.trader import plan_rows


def record(last: int = 5, references: Mapping[str, float] | None = None, **frames: pl.DataFrame) -> Record:
    """The tiny book's record after a session, with some tables replaced."""
    book = tiny()
    made = Record(day(last), book.account, book.trades, book.fills, book.positions, references or {})
    return replace(made, **frames)  # type: ignore[arg-type]


def values(measure: MeasureName, **given: Any) -> dict[int, float]:
    """The measure by number of the session, as far as it is final."""
    numbers = {day(number): number for number in range(1, 9)}
    return {numbers[each]: value for each, value in measured(measure, record(**given)).counted.items()}


def test_the_session_return_is_the_step_of_equity() -> None:
    """100,200 → 100,100 → 100,100 → 99,900 → 100,300; the first session has no close before it."""
    expected = {2: -1e6 / 100200, 3: 0.0, 4: -2e6 / 100100, 5: 4e6 / 99900}
    assert values("session_return_bp") == pytest.approx(expected, abs=1e-5)


def test_a_loss_is_counted_and_a_gain_is_none() -> None:
    assert values("session_loss_bp") == pytest.approx({2: 1e6 / 100200, 3: 0.0, 4: 2e6 / 100100, 5: 0.0}, abs=1e-5)


def test_fees_are_measured_by_the_equity_that_paid_them() -> None:
    assert values("fees_bp") == pytest.approx({2: 0.0, 3: 1e4 / 100100, 4: 0.0, 5: 1e4 / 99900}, abs=1e-5)


def test_a_trade_counts_for_the_session_that_opened_it() -> None:
    """The trade of +200 closed in session 5 was opened in session 3."""
    expected = {2: -1e6 / 100200, 3: 2e6 / 100100, 4: 0.0, 5: 0.0}
    assert values("opened_return_bp") == pytest.approx(expected, abs=1e-5)
    assert values("trade_pnl_usd") == {1: 200.0, 2: -100.0, 3: 200.0}


def test_the_mean_is_that_of_the_trades_opened_in_the_session() -> None:
    two = trades(trade_row(2, 300, symbol="IBM", trade_id="a"), trade_row(3, -100, opened=day(2), trade_id="b"))
    assert values("trade_pnl_usd", trades=two) == {2: 100.0}


def test_nothing_is_final_from_the_first_session_with_an_open_trade_on() -> None:
    """After session 4 the trade that session 3 opened is still held: sessions 1 and 2 are final, and no later one."""
    book = tiny()
    after_four = record(
        last=4,
        account=book.account.filter(pl.col("session") <= day(4)),
        trades=book.trades.filter(pl.col("session") <= day(4)),
        fills=book.fills.filter(pl.col("session") <= day(4)),
    )
    assert measured("opened_return_bp", after_four).final == day(2)
    assert list(measured("trade_pnl_usd", after_four).counted) == [day(1), day(2)]
    assert measured("session_return_bp", after_four).final == day(4)


def test_a_symbol_that_was_closed_and_bought_again_waits_from_the_second_time_on() -> None:
    again = fills(*tiny().fills.drop("knowable_at").rows(named=True), fill_row(5, 6, "buy", 100))
    held = positions((5, 10, 100))
    assert measured("opened_return_bp", record(fills=again, positions=held)).final == day(4)
    added = fills(*tiny().fills.drop("knowable_at").rows(named=True), fill_row(5, 6, "buy", 100, role="addition"))
    assert measured("opened_return_bp", record(fills=added)).final == day(5)


def test_slippage_is_what_was_paid_beyond_the_price_that_the_decision_knew() -> None:
    """Two purchases at 100 known at 99 and 101: +1 and -1 of 99 and 101 a share; a sale is worse when it brings less."""
    known = {"trade-1": 99.0, "trade-2": 101.0, "trade-5": 100.0}
    assert values("slippage_bp", references=known) == pytest.approx({1: 1e4 / 99, 2: -1e4 / 101, 3: 0.0}, abs=1e-5)
    short = fills(fill_row(2, 2, "sell", 99, role="entry"), fill_row(2, 2, "buy", 90, role="target"))
    assert values("slippage_bp", references={"trade-2": 100.0}, fills=short) == {2: 100.0}
    assert values("slippage_bp", references={}) == {}


def test_a_session_without_a_decision_counts_for_no_arm() -> None:
    """The desk was off in session 4: the book still moved, but no arm was at work."""
    rows = tiny().account.drop("knowable_at").rows(named=True)
    off = account(*(row if row["session"] != day(4) else {**row, "decisions": 0} for row in rows))
    assert 4 not in values("session_return_bp", account=off)
    assert {2, 3, 5} <= values("session_return_bp", account=off).keys()
    assert 4 not in values("opened_return_bp", account=off)


def test_a_gap_in_the_record_has_no_return_on_either_side_of_it() -> None:
    gap = account(account_row(1, 100000), account_row(2, 101000), account_row(5, 90000), account_row(6, 90900))
    assert values("session_return_bp", last=6, account=gap) == pytest.approx({2: 100.0, 6: 100.0})


@pytest.mark.parametrize("measure", sorted(MEASURES))
def test_an_empty_record_has_no_values(measure: MeasureName) -> None:
    nothing = {"account": account(), "trades": trades(), "fills": fills(), "positions": positions()}
    assert values(measure, **nothing) == {}


@pytest.mark.parametrize("equity", [0, -5])
def test_an_equity_that_is_gone_is_refused(equity: int) -> None:
    with pytest.raises(PermanentFailure, match="above zero"):
        measured("session_return_bp", record(account=account(account_row(1, 100000), account_row(2, equity))))


def test_the_record_is_what_the_lake_knew_at_the_close(tmp_path: Path) -> None:
    """Rows of the next session are not seen, and plans are found by the intent that the book made of them."""
    lake, book, span = ParquetLake(tmp_path), tiny(), Span(day(1), day(5))
    session = XNYS.session(day(1))
    wanted = planned(1)
    slot = Slot(session, "09:30", session.open)
    closed = book.trades.with_columns(side=pl.lit("long"))
    for table, frame in (
        (ACCOUNT, book.account),
        (TRADES, closed),
        (FILLS, book.fills),
        (POSITIONS, book.positions),
    ):
        lake.write(table, frame, span, lane="desk")
    lake.write(TRADE_PLANS, TRADE_PLANS.frame(plan_rows([wanted], slot)), Span(day(1), day(1)), lane="desk")
    early = Record.read(lake, "desk", day(3))
    assert early.account["session"].to_list() == [day(1), day(2), day(3)]
    assert early.references == {short_id("desk", wanted.id): float(wanted.reference)}
    assert measured("session_return_bp", Record.read(lake, "desk", day(5))) == measured("session_return_bp", record())
    assert Record.read(lake, "backtest", day(5)).account.is_empty()
    assert wanted.reference == Decimal("99.0000")
