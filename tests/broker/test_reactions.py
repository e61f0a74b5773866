"""What moves the gateway by itself, what does not, and that it never adds."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.broker.model import Quote, QuoteKind
from trading_assets.broker.reactions import (
    SESSION_ENDS,
    Alarm,
    Board,
    CloseEntries,
    Flatten,
    Held,
    Trim,
    Wanted,
    new_board,
    on_quote,
    on_time,
    with_positions,
)
from trading_assets.broker.settings import Reactions
from trading_assets.core.calendar import NEW_YORK, XNYS

RULES = Reactions()
NOON = datetime(2026, 3, 25, 16, 0, tzinfo=UTC)
SYMBOLS = ("AAPL", "MSFT", "NVDA", "TSLA")
LONG = Held("AAPL", "i1", 100, entry=Decimal(100), stop=Decimal(95), target=Decimal(110), confidence=0.8)


def board(*held: Held, at: datetime = NOON, symbols: Iterable[str] = SYMBOLS) -> Board:
    return with_positions(new_board(RULES, symbols, now=at), held)


def at_price(price: float | str, seconds: float = 0, symbol: str = "AAPL", **other: object) -> Quote:
    mid = Decimal(str(price))
    quote = Quote(symbol, NOON + timedelta(seconds=seconds), bid=mid - Decimal("0.01"), ask=mid + Decimal("0.01"))
    return replace(quote, **other)  # type: ignore[arg-type]


def played(start: Board, quotes: Iterable[Quote]) -> tuple[Board, list[Wanted]]:
    wanted: list[Wanted] = []
    for quote in quotes:
        start, some = on_quote(start, quote, quote.at)
        wanted += some
    return start, wanted


def ticking(prices: Iterable[float | str], *, every: float = 1, symbol: str = "AAPL", start: float = 0) -> list[Quote]:
    return [at_price(price, start + number * every, symbol) for number, price in enumerate(prices)]


def kinds(wanted: Iterable[Wanted]) -> list[str]:
    return [type(each).__name__ for each in wanted]


@pytest.mark.fault(68)
def test_a_price_through_the_stop_for_ten_seconds_flattens_once() -> None:
    _, wanted = played(board(LONG), ticking([96, *[94.9] * 14]))
    assert kinds(wanted) == ["Flatten"]
    flatten = wanted[0]
    assert isinstance(flatten, Flatten)
    assert (flatten.symbol, flatten.quantity) == ("AAPL", 100)
    assert "95" in flatten.cause
    assert flatten.occasion == "flatten/AAPL/2026-03-25/i1/1"


@pytest.mark.fault(67)
def test_a_gap_through_the_stop_leaves_the_stop_its_time_to_fill() -> None:
    _, wanted = played(board(LONG), ticking([96, *[95.5] * 3, *[93.5] * 8]))
    assert not [each for each in wanted if isinstance(each, Flatten)]


def test_a_price_that_comes_back_begins_the_grace_anew() -> None:
    _, wanted = played(board(LONG), ticking([96, *[94.9] * 8, 95.2, *[94.9] * 9]))
    assert not wanted


def test_a_filled_stop_needs_no_flattening() -> None:
    falling, _ = played(board(LONG), ticking([96, *[94.9] * 8]))
    _, wanted = played(with_positions(falling, []), ticking([94.9] * 10, start=9))
    assert not wanted


@pytest.mark.fault(68)
def test_a_stop_stays_watched_when_no_further_quote_comes() -> None:
    falling, wanted = played(board(LONG), ticking([96, 94.9, 94.9]))
    assert not wanted
    falling, wanted = played(falling, [])
    assert on_time(falling, NOON + timedelta(seconds=11))[1] == ()
    assert kinds(on_time(falling, NOON + timedelta(seconds=12))[1]) == ["Flatten"]


@pytest.mark.fault(70)
def test_a_flattening_that_changes_nothing_is_asked_again_with_growing_pauses_and_told() -> None:
    falling, _ = played(board(LONG), ticking([96, 94.9, 94.9]))
    asked = []
    for second in range(12, 80):
        falling, wanted = on_time(falling, NOON + timedelta(seconds=second))
        asked += [(second, each.occasion[-1]) for each in wanted if isinstance(each, Flatten)]
        if len(asked) > 1 and wanted:
            assert kinds(wanted) == ["Flatten", "Alarm"]
    assert asked == [(12, "1"), (22, "2"), (42, "3"), (72, "4")]


def test_a_short_position_is_watched_from_the_other_side() -> None:
    short = replace(LONG, quantity=-100, stop=Decimal(105), target=Decimal(90))
    _, wanted = played(board(short), ticking([104, *[105.2] * 12]))
    assert [each.quantity for each in wanted if isinstance(each, Flatten)] == [100]
    assert not played(board(short), ticking([104, *[103] * 12]))[1]


def test_a_target_is_the_brokers_business() -> None:
    assert not played(board(LONG), ticking([108.5, *[111] * 20]))[1]


@pytest.mark.parametrize(("confidence", "trims"), [(0.59, 1), (0.6, 0), (0.9, 0), (None, 0), (float("nan"), 0)])
def test_a_gain_of_three_percent_in_doubt_is_trimmed_by_a_third_once(confidence: float | None, trims: int) -> None:
    held = replace(LONG, confidence=confidence)
    _, wanted = played(board(held), ticking([102, *[103.1] * 30]))
    assert [(each.symbol, each.quantity) for each in wanted if isinstance(each, Trim)] == [("AAPL", 30)] * trims


def test_a_trim_is_remembered_for_the_position_and_not_beyond_it() -> None:
    doubted = replace(LONG, confidence=0.3)
    trimmed, wanted = played(board(doubted), ticking([102, 103.1, 103.1]))
    assert kinds(wanted) == ["Trim"]
    same = with_positions(trimmed, [replace(doubted, quantity=70)])
    assert not played(same, ticking([103.1] * 3, start=5))[1]
    other = with_positions(trimmed, [replace(doubted, key="i2")])
    assert kinds(played(other, ticking([103.1] * 3, start=5))[1]) == ["Trim"]
    told = board(replace(doubted, trimmed=True))
    assert not played(told, ticking([102, 103.1, 103.1]))[1]


def test_a_position_too_small_to_trim_is_left() -> None:
    assert not played(board(replace(LONG, quantity=3, confidence=0.1)), ticking([102, *[103.5] * 3]))[1]


@pytest.mark.fault(74)
@pytest.mark.parametrize("factor", [10, 0.1, 2, 0.5])
def test_one_outlier_moves_nothing(factor: float) -> None:
    doubted = replace(LONG, confidence=0.1)
    calm = [100.0, 100.1] * 20
    _, wanted = played(board(doubted), ticking([*calm, 100 * factor, *calm, 100 * factor, *calm]))
    assert not wanted


@pytest.mark.fault(75)
@pytest.mark.fault(76)
@pytest.mark.parametrize(
    ("bid", "ask"),
    [
        (Decimal(0), Decimal(50)),
        (Decimal(-1), Decimal(50)),
        (Decimal("NaN"), Decimal("NaN")),
        (Decimal(50), Decimal("NaN")),
        (Decimal("Infinity"), Decimal("Infinity")),
        (Decimal(51), Decimal(50)),
        (Decimal(50), Decimal(50)),
        (None, Decimal(50)),
        (Decimal(50), None),
        (Decimal(40), Decimal(50)),
    ],
    ids=["zero", "negative", "nan", "half nan", "infinite", "crossed", "locked", "no bid", "no ask", "far apart"],
)
def test_what_is_no_quote_moves_nothing(bid: Decimal | None, ask: Decimal | None) -> None:
    calm, _ = played(board(LONG), ticking([100, 100]))
    broken = [Quote("AAPL", NOON + timedelta(seconds=2 + n), bid=bid, ask=ask) for n in range(30)]
    assert played(calm, broken) == (calm, [])


@pytest.mark.fault(77)
@pytest.mark.parametrize("kind", ["frozen", "delayed"])
def test_quotes_that_are_not_live_move_nothing(kind: QuoteKind) -> None:
    calm, _ = played(board(LONG), ticking([100, 100]))
    assert played(calm, [at_price(80, 2 + n, kind=kind) for n in range(30)]) == (calm, [])


@pytest.mark.fault(83)
def test_quotes_of_a_halted_symbol_move_nothing() -> None:
    calm, _ = played(board(LONG), ticking([100, 100]))
    assert played(calm, [at_price(80, 2 + n, halted=True) for n in range(30)]) == (calm, [])


@pytest.mark.fault(79)
def test_late_and_repeated_quotes_confirm_nothing() -> None:
    calm, _ = played(board(LONG), ticking([100, 100]))
    once, wanted = played(calm, [at_price(80, 3)])
    assert not wanted
    assert played(once, [at_price(80, 3), at_price(80, 2.5), at_price(80, 3)]) == (once, [])


@pytest.mark.parametrize("prices", [[100, 100, 94.9, 94.9], [100, 100, 105.2, 105.2]])
def test_a_symbol_that_moves_five_percent_in_five_minutes_is_closed_to_entries_once(prices: list[float]) -> None:
    _, wanted = played(board(), ticking([*prices, *[prices[-1]] * 20], every=20))
    assert kinds(wanted) == ["CloseEntries", "Alarm"]
    assert [each.symbol for each in wanted if isinstance(each, CloseEntries)] == ["AAPL"]
    assert [each.severity for each in wanted if isinstance(each, Alarm)] == ["warning"]


def test_the_same_move_over_an_hour_breaks_nothing() -> None:
    slow = [100 - 6 * n / 120 for n in range(120)]
    assert not played(board(), ticking(slow, every=30))[1]


def test_a_breaker_looks_back_over_quiet_minutes() -> None:
    _, wanted = played(board(), [*ticking([100, 100, 99.9]), *ticking([94.8, 94.8], start=280)])
    assert kinds(wanted) == ["CloseEntries", "Alarm"]
    assert not played(board(), [*ticking([100, 100, 99.9]), *ticking([94.8, 94.8], start=700)])[1]


@pytest.mark.fault(84)
def test_many_symbols_that_fall_at_once_are_a_crash() -> None:
    calm, _ = played(board(), [q for n in range(5) for q in (at_price(100, n, s) for s in SYMBOLS)])
    first, wanted = played(calm, ticking([96.5, 96.5], start=10))
    assert not wanted
    _, wanted = played(first, ticking([96.5, 96.5], start=12, symbol="MSFT"))
    assert wanted[0] == CloseEntries("", "2 of 4 symbols fell by 3% or more within 60 seconds")
    assert isinstance(wanted[1], Alarm)
    assert (wanted[1].severity, wanted[1].code) == ("critical", "flash_crash")
    assert len(wanted) == 2


@pytest.mark.fault(84)
def test_falls_that_are_minutes_apart_are_no_crash() -> None:
    calm, _ = played(board(), [q for n in range(5) for q in (at_price(100, n, s) for s in SYMBOLS)])
    fallen, _ = played(calm, ticking([96.5, 96.5], start=10))
    later, _ = on_time(fallen, NOON + timedelta(seconds=90))
    assert not played(later, ticking([100, 100, 96.5, 96.5], start=100, symbol="MSFT"))[1]


def test_one_symbol_that_falls_alone_is_no_crash_of_the_market() -> None:
    _, wanted = played(board(symbols=("AAPL",)), ticking([100, 100, 96.5, 96.5]))
    assert not wanted


def test_a_rise_is_no_crash() -> None:
    quotes = [q for n in range(4) for q in (at_price(100 if n < 2 else 104, n, s) for s in SYMBOLS)]
    assert not played(board(), quotes)[1]


def test_a_new_session_opens_what_was_closed() -> None:
    broken, _ = played(board(LONG), ticking([100, 100, 94.9, 94.9]))
    assert broken.closed == {"AAPL"}
    fresh, _ = on_time(broken, NOON + timedelta(days=1))
    assert (fresh.closed, fresh.lines) == (frozenset(), {})


def test_nothing_moves_before_the_open_or_after_the_close() -> None:
    early = board(LONG, at=NOON)
    before = [replace(at_price(80, n), at=datetime(2026, 3, 25, 13, 0, n, tzinfo=UTC)) for n in range(30)]
    after = [replace(at_price(80, n), at=datetime(2026, 3, 25, 20, 0, n, tzinfo=UTC)) for n in range(30)]
    assert played(early, before) == (early, [])
    assert played(early, after) == (early, [])


DAY_POSITION = replace(LONG, flat_by_close=True)


def first_flatten(day: date) -> datetime:
    """The first whole second, New York, at which a day position is flattened."""
    session = XNYS.session(day)
    watched = board(DAY_POSITION, at=session.open)
    moment = session.close - timedelta(minutes=6)
    while moment < session.close:
        watched, wanted = on_time(watched, moment)
        if any(isinstance(each, Flatten) for each in wanted):
            return moment.astimezone(NEW_YORK)
        moment += timedelta(seconds=1)
    raise AssertionError(day)


EARLY = [s.day for s in XNYS.sessions(date(2022, 1, 1), date(2026, 12, 31)) if s.is_early_close]


@pytest.mark.fault(85)
@pytest.mark.parametrize("day", EARLY, ids=str)
def test_a_day_position_is_flat_five_minutes_before_every_early_close(day: date) -> None:
    assert first_flatten(day).strftime("%H:%M:%S") == "12:55:00"


@pytest.mark.fault(85)
def test_five_years_have_their_early_closes() -> None:
    assert len(EARLY) >= 10


@pytest.mark.fault(86)
@pytest.mark.parametrize(
    "day",
    [
        date(2026, month, day)
        for month, day in ((3, 6), (3, 9), (3, 27), (3, 30), (10, 23), (10, 26), (10, 30), (11, 2))
    ],
    ids=str,
)
def test_summer_time_moves_the_flattening_in_new_york_only(day: date) -> None:
    moment = first_flatten(day)
    assert moment.strftime("%H:%M") == "15:55"
    assert moment.astimezone(UTC).hour == (19 if moment.dst() else 20)


@pytest.mark.fault(85)
@pytest.mark.parametrize("day", [date(2026, 7, 3), date(2026, 12, 25), date(2026, 3, 28)], ids=str)
def test_a_closed_day_flattens_nothing(day: date) -> None:
    noon = datetime(day.year, day.month, day.day, 20, 55, tzinfo=UTC)
    assert on_time(board(DAY_POSITION, at=noon), noon)[1] == ()


@pytest.mark.fault(69)
def test_only_what_must_end_with_the_session_is_flattened_and_its_entries_too() -> None:
    swing = replace(LONG, symbol="MSFT", key="i2")
    _, wanted = on_time(board(DAY_POSITION, swing), datetime(2026, 3, 25, 19, 55, tzinfo=UTC))
    assert [(type(each).__name__, getattr(each, "symbol", "")) for each in wanted] == [
        ("CloseEntries", "AAPL"),
        ("Flatten", "AAPL"),
    ]
    assert isinstance(wanted[1], Flatten)
    assert wanted[1].cause == SESSION_ENDS


@pytest.mark.control("W12")
@pytest.mark.fault(69)
def test_a_day_position_after_the_close_is_told_once() -> None:
    late = board(DAY_POSITION)
    after_close = datetime(2026, 3, 25, 20, 0, 1, tzinfo=UTC)
    late, wanted = on_time(late, after_close)
    assert [each.code for each in wanted if isinstance(each, Alarm)] == ["not_flat"]
    assert not [each for each in wanted if isinstance(each, Flatten)]
    assert on_time(late, after_close + timedelta(seconds=5))[1] == ()


prices = st.lists(
    st.one_of(
        st.floats(80, 120),
        st.sampled_from([0.0, -1.0, float("nan"), float("inf"), 1000.0, 10.0]),
    ),
    max_size=60,
)


@given(
    prices=prices, quantity=st.sampled_from([-100, -1, 1, 100]), confidence=st.floats(0, 1), every=st.floats(0.1, 30)
)
@settings(max_examples=25, deadline=None)
def test_whatever_the_market_does_nothing_is_wanted_but_less_risk(
    prices: list[float], quantity: int, confidence: float, every: float
) -> None:
    stop = Decimal(95) if quantity > 0 else Decimal(105)
    held = replace(LONG, quantity=quantity, stop=stop, confidence=confidence)
    watched = board(held)
    for number, price in enumerate(prices):
        bid = Decimal(str(price))
        quote = Quote("AAPL", NOON + timedelta(seconds=number * every), bid=bid, ask=bid + Decimal("0.02"))
        watched, wanted = on_quote(watched, quote, quote.at)
        watched, more = on_time(watched, quote.at)
        for each in (*wanted, *more):
            if isinstance(each, Flatten | Trim):
                assert 0 < each.quantity <= abs(quantity)
            assert not isinstance(each, Trim) or each.quantity < abs(quantity)


@given(prices=prices)
@settings(max_examples=30, deadline=None)
def test_the_same_quotes_want_the_same(prices: list[float]) -> None:
    quotes = ticking([price if 0 < price < 1e6 else 1 for price in prices])
    assert played(board(LONG), quotes) == played(board(LONG), quotes)
