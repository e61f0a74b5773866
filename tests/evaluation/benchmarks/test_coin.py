"""The coin's lives: booked as the paper broker books, blind, as busy as the desk, and never changed by what comes later."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluation.benchmarks.worlds import Market, market, stakes
from tests.evaluation.books import (
    CASH,
    FREE,
    PAPER,
    actions,
    bar_row,
    bars,
    day,
    dividend_row,
    fill_row,
    fills,
    split_row,
    trade_row,
    trades,
)
from trading_assets.core.calendar import XNYS, Session
from trading_assets.core.ports import Span
from trading_assets.evaluation.benchmark_model import BENCHMARKS, COIN_LIVES
from trading_assets.evaluation.benchmarks.chance import coin_flip
from trading_assets.evaluation.benchmarks.coin import DELAY_MAX, Lives, Lots, _uniform, draw, flip
from trading_assets.evaluation.benchmarks.prices import MONEY_PER_USD, prices_of
from trading_assets.evaluation.benchmarks.stakes import Stake
from trading_assets.execution.book import held_quantity, place
from trading_assets.execution.matching import match_bars
from trading_assets.execution.model import Book, Costs, Order, PriceBar
from trading_assets.execution.settlement import open_session, price_bar

WORLDS = st.integers(0, 10_000)
_FAR = Decimal("900000.00")


def flipped(
    world: Market,
    taken: tuple[Stake, ...],
    *,
    lives: int = 12,
    seed: int = 1,
    costs: Costs = PAPER,
    cash: Decimal = CASH,
) -> Lives:
    prices = prices_of(world.bars, world.actions, world.days, world.symbols)
    return flip(taken, prices, world.days, starting_cash=cash, costs=costs, lives=lives, seed=seed)


def drawn(world: Market, taken: tuple[Stake, ...], *, lives: int = 12, seed: int = 1) -> Lots:
    return draw(
        taken, prices_of(world.bars, world.actions, world.days, world.symbols), world.days, lives=lives, seed=seed
    )


def order(session: Session, symbol: str, side: str, quantity: int, *, leaves: bool) -> Order:
    limit = None if leaves else _FAR if side == "buy" else Decimal("0.01")
    return Order(
        id=f"{session.key}-{'exit' if leaves else 'entry'}",
        intent_id="lot",
        symbol=symbol,
        side=side,  # type: ignore[arg-type]
        type="market" if leaves else "limit",
        role="exit" if leaves else "entry",
        quantity=quantity,
        placed_at=session.open,
        session=session.day,
        time_in_force="day",
        limit_price=limit,
    )


def by_engine(world: Market, lots: Lots, life: int, lot: int, costs: Costs) -> Iterator[Decimal]:
    """What one lot adds to the equity at each close when the paper broker's own parts book it, order by order."""
    book, prices, symbol = Book(cash=Decimal(10**9)), dict[str, Decimal](), world.symbols[lots.symbol[life, lot]]
    rows = {row["session"]: row for row in world.bars.rows(named=True) if row["symbol"] == symbol}
    side, other = ("buy", "sell") if lots.sign[lot] > 0 else ("sell", "buy")
    ways_out = replace(costs, volume_share_max=Decimal(1))
    for n, session in enumerate(XNYS.sessions(world.days[0], world.days[-1])):
        due = [
            row for row in world.actions.rows(named=True) if (row["session"], row["symbol"]) == (session.day, symbol)
        ]
        opening = open_session(book, prices, due, session)
        book, prices = opening.book, dict(opening.prices)
        bar = price_bar(rows[session.day]) if session.day in rows else None
        if bar is not None:
            if n == lots.begins[life, lot]:
                value = Decimal(int(lots.value[lot])) / MONEY_PER_USD
                book = traded(book, order(session, symbol, side, int(value / bar.open) or 1, leaves=False), bar, costs)
                if int(value / bar.open) == 0:
                    book = Book(cash=Decimal(10**9))
            held = abs(held_quantity(book, symbol))
            if held and n >= lots.ends[life, lot]:
                at = bar if lots.at_open[lot] else _closing(bar)
                leaving = replace(order(session, symbol, other, held, leaves=True), placed_at=at.start)
                book = traded(book, leaving, at, ways_out)
            prices[symbol] = bar.close
        yield book.equity(prices) - Decimal(10**9)


def traded(book: Book, wanted: Order, bar: PriceBar, costs: Costs) -> Book:
    return match_bars(place(book, [wanted]), [bar], costs).book


def _closing(bar: PriceBar) -> PriceBar:
    """The session's last minute as a bar of its own, at whose open the close is paid."""
    return replace(bar, start=bar.end - timedelta(minutes=1), open=bar.close, high=bar.close, low=bar.close)


@settings(deadline=None, max_examples=25)
@given(seed=WORLDS)
def test_every_life_is_booked_to_the_cent_as_the_paper_broker_books_it(seed: int) -> None:
    world, taken = market(seed, sessions=20), stakes(seed, sessions=20, shorts=True)
    lots, lives = drawn(world, taken, lives=2), flipped(world, taken, lives=2, cash=Decimal(10**8))
    for life in range(2):
        total = [Decimal(10**8)] * 20
        for lot in range(len(taken)):
            if lots.taken[life, lot]:
                total = [a + b for a, b in zip(total, by_engine(world, lots, life, lot, PAPER), strict=True)]
        assert [Decimal(int(money)) / MONEY_PER_USD for money in lives.equity[life]] == total


@settings(deadline=None, max_examples=25)
@given(seed=WORLDS, known=st.integers(1, 39))
def test_what_comes_later_never_changes_a_lifes_past(seed: int, known: int) -> None:
    world, taken = market(seed), stakes(seed, shorts=True)
    last = day(known)
    then = tuple(
        replace(s, closed=None, leaves_at_open=False) if s.closed is None or s.closed > last else s
        for s in taken
        if s.opened <= last
    )
    whole, part = flipped(world, taken), flipped(world.until(known), then)
    for name in ("equity", "traded", "fees", "entries"):
        assert (getattr(whole, name)[:, :known] == getattr(part, name)).all()


def test_a_life_opens_as_often_and_trades_as_much_as_the_desk() -> None:
    world, taken = market(3, symbols=12, sessions=60, calm=True), stakes(3, sessions=45)
    lives = flipped(world, taken, lives=50)
    assert (lives.entries.sum(axis=1) == len(taken)).all()
    both_ways = 2 * sum(float(s.value_usd) for s in taken)
    assert lives.traded.sum(axis=1) / MONEY_PER_USD == pytest.approx(both_ways, rel=0.05)


def test_all_openings_of_a_session_begin_together_and_keep_the_desks_holding_times() -> None:
    world = market(4, sessions=40, calm=True)
    pair = [Stake(n, day(5), day(5 + held), "long", Decimal(5000), False) for n, held in (("a", 0), ("b", 6))]
    lots = drawn(world, tuple(pair), lives=100)
    assert (lots.begins[:, 0] == lots.begins[:, 1]).all()
    assert (lots.ends - lots.begins == [0, 6]).all()
    assert sorted(set(lots.begins[:, 0])) == list(range(4, 4 + DELAY_MAX + 1))
    assert (lots.symbol[:, 0] != lots.symbol[:, 1]).all(), "the second goes where nothing is held"


def test_every_symbol_and_every_day_is_as_likely_as_another() -> None:
    world = market(5, sessions=40, calm=True)
    lots = drawn(world, (Stake("one", day(5), day(6), "long", Decimal(5000), False),), lives=4000)
    counts = np.bincount(lots.symbol[:, 0], minlength=4)
    days = np.bincount(lots.begins[:, 0] - 4, minlength=DELAY_MAX + 1)
    assert counts.min() > 900
    assert days.min() > 290


def test_a_symbol_without_volume_on_the_day_is_never_drawn() -> None:
    rows = [bar_row(n, 100, 100) for n in range(1, 21)] + [
        bar_row(n, 50, 50, symbol="OFF", volume=0.0) for n in range(1, 21)
    ]
    world = Market(("AAPL", "OFF"), tuple(day(n) for n in range(1, 21)), bars(*rows), actions())
    lots = drawn(world, (Stake("one", day(2), day(3), "long", Decimal(5000), False),), lives=300)
    assert (lots.symbol == 0).all()
    assert lots.taken.all()


def test_a_universe_of_one_leaves_only_the_day_to_chance() -> None:
    world = market(6, symbols=1, calm=True)
    lives = flipped(world, stakes(6, sessions=25), lives=60)
    assert (lives.entries.sum(axis=1) == len(stakes(6, sessions=25))).all()
    assert len(set(lives.equity[:, -1])) > 30


def test_a_worked_example_with_dividend_split_and_costs() -> None:
    """50 shares at 100 and a fee of 1; 0.50 each makes 25; 2 for 1; 100 leave at 60 less two basis points, 59.98, fee 1."""
    rows = [bar_row(1, 100, 100), bar_row(2, 100, 100), bar_row(3, 51, 55), bar_row(4, 58, 60)]
    world = Market(
        ("AAPL",),
        tuple(day(n) for n in range(1, 5)),
        bars(*rows),
        actions(dividend_row(2, 0.5), split_row(3, 2.0)),
    )
    alone = (Stake("one", day(1), day(4), "long", Decimal(5000), False),)
    found = next(s for s in range(500) if drawn(world, alone, lives=1, seed=s).begins[0, 0] == 0)
    equity = [Decimal(int(m)) / MONEY_PER_USD for m in flipped(world, alone, lives=1, seed=found).equity[0]]
    assert equity == [CASH - 1, CASH - 1 + 25, CASH - 1 + 25 + 500, CASH - 1 + 25 + 998 - 1]


def test_what_the_money_does_not_pay_is_left_out_and_the_rest_stands() -> None:
    world, taken = market(7, calm=True, sessions=40), stakes(7, sessions=20, money=40_000)
    rich, poor = flipped(world, taken, cash=Decimal(10**7)), flipped(world, taken, cash=Decimal(60_000))
    assert (poor.entries.sum(axis=1) <= rich.entries.sum(axis=1)).all()
    assert (poor.entries.sum(axis=1) < rich.entries.sum(axis=1)).any()
    assert (poor.entries.sum(axis=1) > 0).all()


def test_a_thin_bar_fills_only_its_share() -> None:
    rows = [bar_row(n, 100, 100, volume=200.0) for n in range(1, 21)]
    world = Market(("AAPL",), tuple(day(n) for n in range(1, 21)), bars(*rows), actions())
    lives = flipped(world, (Stake("one", day(1), day(3), "long", Decimal(5000), False),), costs=PAPER)
    assert (lives.traded.sum(axis=1) <= 2 * 10 * 100 * MONEY_PER_USD).all()


def test_the_same_seed_makes_the_same_lives_and_another_one_others() -> None:
    world, taken = market(8), stakes(8)
    one, again, other = (flipped(world, taken, seed=s).equity for s in (1, 1, 2))
    assert (one == again).all()
    assert (one != other).any()


def test_chance_is_the_same_in_every_process() -> None:
    assert _uniform(1, "a name", (2,)).tolist() == pytest.approx([0.5072004787839844, 0.9189725796562274], abs=1e-12)


def test_more_lives_keep_the_first_ones_openings_in_the_same_sessions() -> None:
    world, taken = market(9), stakes(9)
    assert (drawn(world, taken, lives=5).begins == drawn(world, taken, lives=40).begins[:5]).all()


def test_the_band_encloses_nine_in_ten_lives_and_fits_its_table() -> None:
    book = _record()
    told = coin_flip(*book, span=Span(day(1), day(30)), starting_cash=CASH, costs=PAPER, symbols=("S00", "S01", "S02"))
    frame, lives = BENCHMARKS.frame(told.told.rows), COIN_LIVES.frame(told.lives)
    last, ended = frame.row(-1, named=True), lives["equity"].to_list()
    inside = sum(last["low"] <= each <= last["high"] for each in ended)
    assert (frame.height, lives.height) == (30, 200)
    assert 180 <= inside <= 182
    assert last["low"] <= last["equity"] <= last["high"]
    assert (frame["knowable_at"] == [XNYS.session(d).close for d in frame["session"]]).all()


def test_without_an_opening_or_a_universe_there_is_no_number_but_a_reason() -> None:
    fills, trades, rows, due = _record()
    span = Span(day(1), day(30))
    idle = coin_flip(
        fills.clear(), trades.clear(), rows, due, span=span, starting_cash=CASH, costs=FREE, symbols=("S00",)
    )
    bare = coin_flip(fills, trades, rows, due, span=span, starting_cash=CASH, costs=FREE, symbols=())
    assert [t.told.state for t in (idle, bare)] == ["missing", "missing"]
    assert "opened nothing" in idle.told.sentence
    assert idle.lives == idle.told.rows == ()


def _record() -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Fills and trades of three openings in a calm market, with its bars and actions."""
    world = market(10, symbols=3, sessions=30, calm=True)
    held = ((1, 3), (4, 6), (8, 8))
    entries = [fill_row(a, b, "buy", 100, quantity=40, symbol="S00") for a, b in held]
    closed = [trade_row(b, 10, opened=day(a), symbol="S00", side="long", sessions_held=b - a + 1) for a, b in held]
    return fills(*entries), trades(*closed), world.bars, world.actions
