"""The book beside each benchmark: measures, differences with their doubt, and what is said where there is no number."""

from collections.abc import Sequence
from decimal import Decimal
from random import Random
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluation.books import CASH, account, account_row, day, tiny, trades, walk
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.money import usd
from trading_assets.evaluation.benchmark_model import (
    BENCHMARK_NAMES,
    BENCHMARK_NOTES,
    BENCHMARKS,
    BUY_AND_HOLD,
    COIN_FLIP,
    COIN_LIVES,
    MOMENTUM,
    RULES_DESK,
)
from trading_assets.evaluation.benchmarks.beside import Comparison, coin_sentence, compare, share_ahead, shown, verdict
from trading_assets.evaluation.benchmarks.rows import Day, missing, rows_of
from trading_assets.evaluation.benchmarks.shadow import of_the_book


def series(name: str, equity: Sequence[Any], *, traded: Any = 0, fees: Any = 0) -> list[dict[str, Any]]:
    days = [Day(XNYS.session(day(n)), usd(e), usd(traded), usd(fees)) for n, e in enumerate(equity, start=1)]
    return list(rows_of(name, days, CASH))


def lives(number: int, *equity: Any, traded: Any = 1000) -> pl.DataFrame:
    session = XNYS.session(day(number))
    row = {"sharpe_ratio": None, "max_drawdown_fraction": 0.02, "fees": usd(4), "entries": 3}
    rows = [
        {
            "session": session.day,
            "life": n,
            "equity": usd(e),
            "knowable_at": session.close,
            "return_fraction": float(usd(e) / CASH) - 1,
            "traded_value": usd(traded),
            **row,
        }
        for n, e in enumerate(equity)
    ]
    return COIN_LIVES.frame(rows)


def compared(
    book: pl.DataFrame, *rows: dict[str, Any], of: pl.DataFrame | None = None, notes: Sequence[dict[str, Any]] = ()
) -> Comparison:
    given_lives = COIN_LIVES.empty() if of is None else of
    frame = BENCHMARKS.frame(rows)
    return compare(book, trades(), frame, given_lives, BENCHMARK_NOTES.frame(notes), starting_cash=CASH)


def flat(sessions: int, equity: int = 100_000, **more: Any) -> pl.DataFrame:
    return account(*(account_row(n, equity, **more) for n in range(1, sessions + 1)))


def test_every_benchmark_has_a_place_even_when_none_was_made() -> None:
    found = compared(tiny().account)
    assert tuple(each.name for each in found.others) == BENCHMARK_NAMES
    assert {each.state for each in found.others} == {"missing"}
    assert all("no number" in verdict(each) for each in found.others)


def test_a_reason_on_record_is_given_instead_of_a_number() -> None:
    note = missing(MOMENTUM, "1 symbols had 253 sessions of history").note(XNYS.session(day(5)))
    found = compared(tiny().account, notes=[note]).of(MOMENTUM)
    assert verdict(found) == "12-1 momentum: no number; 1 symbols had 253 sessions of history"


def test_measures_of_a_benchmark_are_worked_out_as_those_of_the_desk() -> None:
    rows = series(BUY_AND_HOLD, [110_000, 99_000, 104_500], traded=11_000, fees=3)
    found = compared(flat(3), *rows).of(BUY_AND_HOLD).measures
    assert found is not None
    assert found.return_fraction_to_date == pytest.approx(0.045)
    assert found.max_drawdown_fraction == pytest.approx(0.1)
    assert found.fees_usd_to_date == 9
    assert found.turnover_fraction_annualised == pytest.approx((0.11 + 0.1 + 11 / 99) / 3 * 252)


def test_the_difference_is_the_mean_of_paired_session_returns_a_year() -> None:
    book = walk(120)
    rows = series(BUY_AND_HOLD, book.benchmark["equity"].to_list())
    found = compared(book.account, *rows).of(BUY_AND_HOLD).desk_ahead
    own, theirs = ([float(v) for v in frame["equity"].to_list()] for frame in (book.account, book.benchmark))
    gaps = [
        a / b - c / d for a, b, c, d in zip(own, [1e5, *own], theirs, [1e5, *theirs], strict=False)
    ]  # fmt: skip
    assert found is not None
    assert found.mean == pytest.approx(sum(gaps) / len(gaps) * 252)
    assert found.low < found.mean < found.high
    assert found.observations == 120


def test_noise_is_called_noise_and_a_steady_lead_is_not() -> None:
    chance = Random(3)
    noisy = [100_000 + chance.gauss(0, 900) for _ in range(60)]
    sure = [100_000 - 40 * n - chance.random() for n in range(1, 61)]
    found = compared(flat(60), *series(BUY_AND_HOLD, noisy), *series(MOMENTUM, sure))
    assert verdict(found.of(BUY_AND_HOLD)).endswith("not distinguishable from nothing")
    assert "more" in verdict(found.of(MOMENTUM))
    assert "not distinguishable" not in verdict(found.of(MOMENTUM))


def test_the_book_itself_is_not_compared_with_itself() -> None:
    book = walk(30)
    told = of_the_book(book.account, CASH)
    note = told.note(XNYS.session(day(30)))
    found = compared(book.account, *told.rows, notes=[note]).of(RULES_DESK)
    assert (found.state, found.desk_ahead) == ("equal", None)
    assert found.measures is not None
    assert found.measures.equity_usd == book.account["equity"][-1]
    assert verdict(found) == "rules desk: the rules decided: it is the book itself"


def test_one_session_has_numbers_and_no_interval() -> None:
    found = compared(flat(1), *series(BUY_AND_HOLD, [101_000])).of(BUY_AND_HOLD)
    assert found.desk_ahead is None
    assert verdict(found) == "buy and hold: too few sessions to compare"


def test_a_book_without_a_settled_session_is_refused() -> None:
    with pytest.raises(PermanentFailure, match="settled session"):
        compared(account())


def test_the_desks_place_among_the_lives_counts_equals_half() -> None:
    assert share_ahead([Decimal(n) for n in (1, 2, 3, 4)], Decimal(3)) == pytest.approx(1.5 / 4)


def test_the_coin_is_measured_by_its_lives_and_told_in_a_sentence() -> None:
    rows = series(COIN_FLIP, [100_500] * 12)
    rows[-1] |= {"low": usd(99_000), "high": usd(102_000)}
    book = flat(12, traded_value=100)
    found = compared(book, *rows, of=lives(12, 99_000, 99_500, 101_000, 102_000, traded=1200)).of(COIN_FLIP)
    assert (found.lives, found.lives_ahead) == (4, 0.5)
    assert found.measures is not None
    assert found.measures.max_drawdown_fraction == 0.02
    assert found.measures.return_fraction_to_date == pytest.approx(0.0025)
    assert coin_sentence(found) == (
        "A coin that traded as much would have done better in 50% of 4 lives; "
        "nine in ten ended between 99,000 and 102,000 USD."
    )


def test_a_coin_that_has_hardly_traded_yet_is_not_held_against_the_desk() -> None:
    book = flat(12, traded_value=100)
    found = compared(book, *series(COIN_FLIP, [100_000] * 12), of=lives(12, 100_000, 100_500, traded=900)).of(COIN_FLIP)
    assert (found.lives, found.lives_ahead, found.desk_ahead) == (2, None, None)
    assert coin_sentence(found) == "The coin has not had time to copy what the desk did."


def test_lives_of_another_session_do_not_count() -> None:
    found = compared(flat(12, traded_value=1), *series(COIN_FLIP, [100_000] * 12), of=lives(11, 99_000)).of(COIN_FLIP)
    assert (found.lives, coin_sentence(found)) == (0, "")


def test_the_table_has_a_column_for_each_and_words_for_what_is_undefined() -> None:
    lines = list(shown(compared(walk(60).account, *series(BUY_AND_HOLD, [101_000] * 60))))
    assert {len(line) for line in lines} == {2 + len(BENCHMARK_NAMES)}
    by_label = {line[0]: line[1:] for line in lines}
    assert by_label["Total return"][1:] == ("+1.00%", "n/a", "n/a", "n/a")
    assert by_label["Desk ahead, a year"][0] == ""
    assert max(len(cell) for line in lines for cell in line[1:]) <= 10, "fits a terminal of eighty columns"


@settings(deadline=None, max_examples=20)
@given(equity=st.lists(st.integers(50_000, 150_000), min_size=12, max_size=40))
def test_a_benchmark_with_the_books_own_equity_is_neither_ahead_nor_behind(equity: list[int]) -> None:
    book = account(*(account_row(n, e) for n, e in enumerate(equity, start=1)))
    found = compared(book, *series(BUY_AND_HOLD, equity)).of(BUY_AND_HOLD).desk_ahead
    assert found is not None
    assert (found.mean, found.low, found.high) == (0, 0, 0)
