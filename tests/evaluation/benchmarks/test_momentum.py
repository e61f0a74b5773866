"""12-1 momentum: who is held, from when, for how much, and when there is no number."""

from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluation.books import CASH, FREE, PAPER, actions, bar_row, bars, day, dividend_row, split_row
from tests.execution.world import rules
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span
from trading_assets.evaluation.benchmark_model import BENCHMARKS
from trading_assets.evaluation.benchmarks.momentum import FAR, NEAR, exposure_cap, momentum, scores_by_session, winners
from trading_assets.evaluation.benchmarks.rows import Told
from trading_assets.execution.model import Costs

BEGUN = FAR + 2
"""The first session of the book, counted as in `day`: FAR + 1 closes lie before it."""
ALL = Decimal(1)


def path(symbol: str, before: float, after: float, *, turn: int, sessions: int) -> list[dict[str, Any]]:
    """A price that is one number up to a session and another one from then on."""
    prices = [before if n < turn else after for n in range(1, sessions + 1)]
    return [bar_row(n, p, p, symbol=symbol, volume=1e8) for n, p in enumerate(prices, start=1)]


def told(
    given_bars: pl.DataFrame,
    *due: dict[str, Any],
    first: int = BEGUN,
    last: int = BEGUN + 30,
    exposure: Decimal = ALL,
    costs: Costs = FREE,
) -> Told:
    span = Span(day(first), day(last))
    return momentum(given_bars, actions(*due), span=span, starting_cash=CASH, costs=costs, exposure=exposure)


def risers(sessions: int = BEGUN + 30) -> pl.DataFrame:
    """UP doubled early in the past year, DOWN halved, and LATE doubled in the month that does not count."""
    return bars(
        *path("UP", 50, 100, turn=100, sessions=sessions),
        *path("DOWN", 100, 50, turn=100, sessions=sessions),
        *path("LATE", 50, 100, turn=BEGUN - NEAR + 2, sessions=sessions),
        *path("FLAT", 80, 80, turn=1, sessions=sessions),
    )


def test_the_score_is_the_return_from_252_to_21_sessions_ago() -> None:
    closes = [100 + n for n in range(1, FAR + 2)]
    rows = [bar_row(n, close, close) for n, close in enumerate(closes, start=1)]
    found = scores_by_session(bars(*rows), actions(), last=day(FAR + 1))
    assert found == {day(FAR + 1): {"AAPL": pytest.approx(closes[-1 - NEAR] / closes[-1 - FAR] - 1)}}


def test_splits_and_dividends_are_part_of_a_score() -> None:
    rows = [bar_row(n, 100, 100) if n < 50 else bar_row(n, 49, 49) for n in range(1, FAR + 2)]
    found = scores_by_session(bars(*rows), actions(split_row(50, 2.0), dividend_row(50, 2.0)), last=day(FAR + 1))
    assert found[day(FAR + 1)]["AAPL"] == pytest.approx(0.0)


def test_the_newest_month_does_not_count_and_the_best_half_is_held() -> None:
    found = told(risers())
    assert winners(scores_by_session(risers(), actions(), last=day(BEGUN))[day(BEGUN - 1)])[0] == "UP"
    rows = BENCHMARKS.frame(found.rows)
    assert found.state == "made"
    assert rows["traded_value"][0] == 500 * 100 + 625 * 80, "UP and FLAT, half the money each"
    assert rows["equity"].to_list()[:2] == [CASH, CASH]


def test_the_close_of_the_day_of_the_purchase_is_not_known_yet() -> None:
    """Before the open A had doubled over the year; with that day's close the doubling is out of the year, and B would lead."""
    rows = [*path("A", 50, 100, turn=2, sessions=BEGUN + 30), *path("B", 50, 55, turn=100, sessions=BEGUN + 30)]
    found = BENCHMARKS.frame(told(bars(*rows)).rows)
    assert found["traded_value"][0] == 1000 * 100


def test_a_third_is_held_of_six_symbols_and_half_of_fewer() -> None:
    assert [len(winners({f"S{n}": n / 10 for n in range(count)})) for count in (2, 3, 4, 5, 6, 7, 9)] == [
        *(1, 2, 2, 3),
        *(2, 3, 3),
    ]


def test_equal_scores_are_taken_in_the_order_of_the_alphabet() -> None:
    assert winners({"B": 0.1, "A": 0.1, "C": 0.1, "D": 0.2}) == ("D", "A")


def test_it_trades_at_the_first_open_and_then_at_that_of_each_month() -> None:
    wave = [
        bar_row(n, 100 + n % 7, 100 + n % 5, symbol=s, volume=1e8) for s in ("A", "B") for n in range(1, BEGUN + 45)
    ]
    rows = BENCHMARKS.frame(told(bars(*wave), last=BEGUN + 40).rows)
    traded = rows.filter(pl.col("traded_value") > 0)["session"].to_list()
    months = [d for d in rows["session"] if d.month != XNYS.previous(d).day.month]
    assert traded[0] == day(BEGUN)
    assert set(traded[1:]) <= set(months)
    assert len(months) >= 2


def test_holdings_take_the_desks_own_share_of_equity() -> None:
    cap = exposure_cap(rules().preferences)
    assert cap == Decimal("0.40"), "eight positions of five hundredths"
    rows = BENCHMARKS.frame(told(risers(), exposure=cap).rows)
    assert rows["traded_value"][0] == pytest.approx(40_000, abs=200)


def test_costs_are_those_of_the_paper_broker() -> None:
    free, paid = (BENCHMARKS.frame(told(risers(), costs=costs).rows) for costs in (FREE, PAPER))
    assert paid["fees"][0] > 0
    assert paid["equity"][0] < free["equity"][0]


def test_without_a_year_of_history_there_is_no_number_and_it_says_so() -> None:
    short = told(risers(), first=BEGUN - 1)
    assert (short.state, short.rows) == ("missing", ())
    assert "253 sessions of history" in short.sentence


def test_a_universe_of_one_has_nothing_to_rank() -> None:
    alone = told(bars(*path("UP", 50, 100, turn=100, sessions=BEGUN + 30)))
    assert alone.state == "missing"
    assert alone.sentence.startswith("1 symbols")


def test_without_any_bar_there_is_no_number() -> None:
    assert told(bars()).state == "missing"


def test_a_split_in_the_month_changes_shares_and_not_value() -> None:
    rows = [bar_row(n, 100, 100, symbol="A", volume=1e8) for n in range(1, BEGUN + 5)]
    rows += [bar_row(n, 50, 50, symbol="A", volume=1e8) for n in range(BEGUN + 5, BEGUN + 31)]
    rows += [bar_row(n, 100, 100, symbol="B", volume=1e8) for n in range(1, BEGUN + 31)]
    found = BENCHMARKS.frame(told(bars(*rows), split_row(BEGUN + 5, 2.0, symbol="A")).rows)
    assert set(found["equity"].to_list()) == {CASH}


def test_a_symbol_that_is_listed_no_more_is_worth_its_last_close_and_not_bought_again() -> None:
    rows = [*path("GONE", 50, 100, turn=100, sessions=BEGUN + 3), *path("B", 100, 90, turn=100, sessions=BEGUN + 30)]
    found = BENCHMARKS.frame(told(bars(*rows)).rows)
    assert found["equity"][-1] == CASH
    assert found["traded_value"].to_list()[1:].count(0) >= 28


@settings(deadline=None, max_examples=15)
@given(
    moves=st.lists(st.sampled_from([0.97, 1.0, 1.02, 1.05]), min_size=30, max_size=30),
    known=st.integers(0, 29),
)
def test_later_bars_never_change_the_past(moves: list[float], known: int) -> None:
    rows, price = [], 100.0
    for n in range(1, BEGUN + 31):
        price = round(price * moves[n % 30], 2)
        rows += [bar_row(n, price, price, symbol="A", volume=1e8), bar_row(n, 60, 60, symbol="B", volume=1e8)]
    whole = told(bars(*rows), costs=PAPER)
    part = told(bars(*(row for row in rows if row["session"] <= day(BEGUN + known))), last=BEGUN + known, costs=PAPER)
    assert whole.rows[: known + 1] == part.rows
