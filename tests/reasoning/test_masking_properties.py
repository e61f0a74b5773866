"""Masking over any question: it comes back exactly, it shows nothing of what was there, and equal patterns look equal."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Annotated

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from simulation.market import SimulatedMarket
from trading_assets.briefs.roles import (
    BreadthInputs,
    Headline,
    NewsInputs,
    Opinion,
    PriceReading,
    Reading,
    TechnicalInputs,
    View,
)
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span
from trading_assets.reasoning.marks import Mark
from trading_assets.reasoning.mask_days import ANCHOR, SessionLine
from trading_assets.reasoning.mask_levels import Rebased
from trading_assets.reasoning.masking import mask

FIRST, LAST = date(1990, 1, 2), date(2028, 12, 29)
SYMBOLS = st.sampled_from(["AAPL", "MSFT", "BRK.B", "F", "OPEN", "SIM000", "ASSET_A", "ASSET_B", "X-20120301", "ÄÖ"])
LEVELS = st.floats(-1e6, 1e6, allow_subnormal=False).map(lambda level: 0.0 if abs(level) < 1e-9 else level)
PRICES = st.integers(1, 10_000_000).map(lambda cents: cents / 100)
DAYS = st.dates(FIRST, LAST)
MOMENTS = st.builds(
    lambda day, seconds, micros: datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(0, seconds, micros),
    DAYS, st.integers(0, 86_399), st.integers(0, 999_999),
)  # fmt: skip


class Tick(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    at: datetime
    day: date | None
    level: Annotated[float, Mark.LEVEL]
    exact: Annotated[Decimal, Mark.LEVEL] | None


class Chart(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    symbol: Annotated[str, Mark.SYMBOL]
    peers: tuple[Annotated[str, Mark.SYMBOL], ...]
    ticks: list[Tick]
    news: tuple[Annotated[str, Mark.UNTRUSTED], ...]
    note: str = "range"
    ratio: float = 0.5


class Screen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    charts: tuple[Chart, ...]
    by_day: dict[date, Annotated[float, Mark.LEVEL]]


EXACT = st.decimals(Decimal("-1e5"), Decimal("1e5"), places=4, allow_nan=False)
TICKS = st.builds(Tick, at=MOMENTS, day=DAYS | st.none(), level=LEVELS, exact=EXACT | st.none())
STORIES = st.sampled_from(["AAPL up 3%", "aapl up 3%", "up", "F in 2024", "ASSET_A"]) | st.text(max_size=20)
CHARTS = st.builds(
    Chart,
    symbol=SYMBOLS,
    peers=st.lists(SYMBOLS, max_size=3).map(tuple),
    ticks=st.lists(TICKS, max_size=5),
    news=st.lists(STORIES, max_size=3).map(tuple),
)
CLASSES = ((0.05, 40, 10_000), (0.1, 20, 40), (0.2, 10, 20), (0.5, 4, 10), (1.0, 2, 4))
SCREENS = st.builds(
    Screen, charts=st.lists(CHARTS, max_size=3).map(tuple), by_day=st.dictionaries(DAYS, LEVELS, max_size=4)
)


@given(SCREENS)
@settings(max_examples=50, deadline=None)
def test_any_question_comes_back_exactly(screen: Screen) -> None:
    masked = mask(screen)
    assert masked.unmask(masked.inputs) == screen
    assert mask(screen).inputs == masked.inputs


@given(SCREENS)
@settings(max_examples=40, deadline=None)
def test_a_masked_question_survives_the_wire(screen: Screen) -> None:
    masked = mask(screen)
    received = Screen.model_validate_json(masked.inputs.model_dump_json())
    assert masked.unmask(received) == screen


# Levels


@given(st.lists(LEVELS | PRICES, min_size=1, max_size=60))
@settings(max_examples=50, deadline=None)
def test_levels_keep_their_signs_and_never_change_their_order(levels: list[float]) -> None:
    rebased = Rebased(levels)
    shown = [float(rebased.hide(level)) for level in levels]
    for level, hidden in zip(levels, shown, strict=True):
        assert (level > 0, level < 0) == (hidden > 0, hidden < 0)
        assert rebased.hide(rebased.show(hidden)) == hidden
    pairs = sorted(zip(levels, shown, strict=True))
    assert [hidden for _, hidden in pairs] == sorted(shown)
    assert all(one == other for (low, one), (high, other) in pairwise(pairs) if low == high)


@given(st.lists(st.integers(5_000, 20_000), min_size=2, max_size=40, unique=True))
@settings(max_examples=40, deadline=None)
def test_ratios_are_kept_to_the_step_of_the_scale(hundreds: list[int]) -> None:
    levels = [float(level) for level in hundreds]
    rebased = Rebased(levels)
    for level in levels:
        assert abs(float(rebased.hide(level)) - 100 * level / levels[0]) <= 0.025 + 1e-9


@given(st.floats(40, 100_000), st.lists(st.floats(0.5, 2.0), min_size=1, max_size=20))
@settings(max_examples=40, deadline=None)
def test_the_same_moves_look_the_same_at_any_price_of_a_class(price: float, ratios: list[float]) -> None:
    def shown(first: float) -> list[float]:
        rebased = Rebased([first, *(first * ratio for ratio in ratios)])
        return [float(rebased.hide(first * ratio)) for ratio in ratios]

    apart = max((abs(one - other) for one, other in zip(shown(price), shown(100.0), strict=True)), default=0)
    assert apart <= 0.05 + 1e-9


@given(st.integers(200, 60_000), st.lists(st.floats(0.7, 1.4), min_size=1, max_size=30))
@settings(max_examples=40, deadline=None)
def test_every_price_of_the_class_could_have_been_rounded_to_what_is_shown(cents: int, ratios: list[float]) -> None:
    """Closes are whole cents; a step of two cents or more leaves no price out."""
    closes = [cents / 100, *(max(round(cents * ratio), 1) / 100 for ratio in ratios)]
    rebased = Rebased(closes)
    step, low, high = next(row for row in CLASSES if closes[0] >= row[1])
    for close in closes:
        shown = float(rebased.hide(close))
        if shown >= 10:
            assert shown / step == pytest.approx(round(shown / step), abs=1e-6)
            for other in (low, (low + high) / 2, high):
                assert abs(round(shown * other) / other - shown) <= step / 2 + 1e-9


@pytest.mark.parametrize(("levels", "shown"), [
    ([0.0, 0.0], [0.0, 0.0]), ([0.0, 5.0, 10.0], [0.0, 100.0, 200.0]), ([-4.0, 8.0], [-100.0, 200.0]),
    ([200.0, 0.0321, -0.0321], [100.0, 0.016, -0.016]), ([50.0, 50.001, 50.002], [100.0, 100.0, 100.0]),
    ([50.0, 49.999, 49.998], [100.0, 100.0, 100.0]), ([1.0, 123.456], [100.0, 12346.0]), ([100.0, -0.0], [100.0, 0.0]),
])  # fmt: skip
def test_levels_by_example(levels: list[float], shown: list[float]) -> None:
    rebased = Rebased(levels)
    assert [rebased.hide(level) for level in levels] == shown


# Days


@given(st.lists(st.integers(0, 400), min_size=1, max_size=12), st.integers(0, 9_000), st.integers(0, 9_000))
@settings(max_examples=50, deadline=None)
def test_no_weekday_month_or_holiday_tells_two_stretches_of_sessions_apart(
    offsets: list[int], here: int, there: int
) -> None:
    def seen(start: int) -> list[date]:
        days = [XNYS.days[start + offset] for offset in offsets]
        line = SessionLine(days)
        return [line.hide(day) for day in days]

    assert seen(here) == seen(there)


@given(st.lists(DAYS, min_size=1, max_size=30))
@settings(max_examples=50, deadline=None)
def test_days_keep_their_order_and_stay_different(days: list[date]) -> None:
    line = SessionLine(days)
    shown = [line.hide(day) for day in days]
    assert max(shown) == ANCHOR == line.hide(max(days))
    assert [line.show(hidden) for hidden in shown] == days
    assert len(set(shown)) == len(set(days))
    assert [day for _, day in sorted(zip(shown, days, strict=True))] == sorted(days)
    assert min(shown).year >= 2040


@given(DAYS, st.integers(1, 250))
@settings(max_examples=40, deadline=None)
def test_a_day_that_nobody_asked_about_is_counted_in_sessions(newest: date, back: int) -> None:
    newest = max(newest, date(1992, 1, 2))
    assert SessionLine([newest]).show(ANCHOR - timedelta(days=back)) == XNYS.previous(
        newest, back
    ).day or not XNYS.is_session(newest)


def test_beyond_the_calendar_weekdays_count() -> None:
    line = SessionLine([date(1985, 6, 3), date(1985, 5, 31), date(2031, 1, 6), date(2031, 1, 3)])
    assert line.hide(date(2031, 1, 3)) == ANCHOR - timedelta(days=1)
    assert line.hide(date(1985, 6, 3)) - line.hide(date(1985, 5, 31)) == timedelta(days=1)
    assert line.show(ANCHOR + timedelta(days=5)) == date(2031, 1, 13)
    assert line.show(line.hide(date(1985, 5, 31)) - timedelta(days=1)) == date(1985, 5, 30)


@given(st.lists(MOMENTS, min_size=1, max_size=20))
@settings(max_examples=40, deadline=None)
def test_instants_keep_their_order_and_show_no_second_of_the_original(moments: list[datetime]) -> None:
    line = SessionLine([], moments)
    shown = [line.hide_instant(moment) for moment in moments]
    assert [line.show_instant(hidden) for hidden in shown] == moments
    assert [moment for _, moment in sorted(zip(shown, moments, strict=True))] == sorted(moments)
    if len(moments) == 1:
        assert (shown[0].second, shown[0].microsecond) == (0, 0)


# The analysts' own questions, end to end

NEWS_WORDS = st.sampled_from(
    [
        "{symbol} said to be in talks",
        "{name} reports $2.31 a share for Q3 2011",
        "{name} falls 12.7% to $41.20 on {day}",
        "{symbol} in May",
    ]
)
COLUMNS = ("close", "sma_50", "macd_histogram_12_26_9", "atr_14", "low_252")


def shows(rendered: str, *secrets: str) -> list[str]:
    return [secret for secret in secrets if secret in rendered]


@given(
    SYMBOLS.filter(lambda s: not s.startswith("ASSET") and len(s) > 1),
    DAYS,
    st.lists(PRICES.filter(lambda p: p != 100.0), min_size=1, max_size=5),
)
@settings(max_examples=40, deadline=None)
def test_the_technical_analysts_question_shows_no_name_day_or_price(
    symbol: str, session: date, prices: list[float]
) -> None:
    given_prices = tuple(
        PriceReading(id=f"p{place}", table="indicators", column=COLUMNS[place], session=session, value=price)
        for place, price in enumerate(prices)
    )
    reading = Reading(id="r1", table="indicators", column="rsi_14", session=session, value=61.25)
    inputs = TechnicalInputs(
        symbol=symbol, session=session, view=View(id="v1", name="range"), prices=given_prices, readings=(reading,)
    )
    masked = mask(inputs)
    rendered = masked.inputs.model_dump_json()
    assert shows(rendered, f'"{symbol}"', session.isoformat(), str(session.year) + "-") == []
    values = [one["value"] for one in json.loads(rendered)["prices"]]
    assert values[0] == 100.0
    assert masked.unmask(masked.inputs) == inputs
    assert masked.inputs.ids == inputs.ids, "citations need no translation"
    opinion = Opinion(signal=1, confidence=0.5, reasons=("ASSET_A rises",), evidence=("p0",))
    assert masked.unmask(opinion).reasons == (f"{symbol} rises",)


@given(
    st.sampled_from(["AAPL", "MSFT", "BRK.B"]),
    DAYS,
    st.lists(st.tuples(NEWS_WORDS, st.integers(0, 30)), min_size=1, max_size=6),
)
@settings(max_examples=40, deadline=None)
def test_the_news_analysts_question_shows_no_name_day_or_number(
    symbol: str, session: date, items: list[tuple[str, int]]
) -> None:
    aliases = {"AAPL": ["Apple"], "MSFT": ["Microsoft"], "BRK.B": ["Berkshire Hathaway"]}
    name = aliases[symbol][0]
    headlines = tuple(
        Headline(
            id=f"h{place}",
            published=session - timedelta(days=ago),
            text=words.format(symbol=symbol, name=name, day=(session - timedelta(days=ago)).strftime("%B %d, %Y")),
        )
        for place, (words, ago) in enumerate(items)
    )
    inputs = NewsInputs(symbol=symbol, session=session, headlines=headlines)
    masked = mask(inputs, aliases=aliases)
    rendered = masked.inputs.model_dump_json()
    months = [date(2000, month, 1).strftime("%B") for month in range(1, 13)]
    years = {str(day.year) + mark for day in (session, session - timedelta(days=30)) for mark in "- "}
    assert shows(rendered, symbol, name, *months, *years, "2.31", "12.7", "41.20", "2011") == []
    assert masked.unmask(masked.inputs) == inputs


def test_the_simulated_wires_headlines_show_no_symbol() -> None:
    market = SimulatedMarket(7)
    rows = market.news([one.symbol for one in market.cast()[:20]], Span(date(2016, 1, 4), date(2016, 12, 30)))
    assert rows.height > 50
    for number, row in enumerate(rows.iter_rows(named=True)):
        headline = Headline(id=f"h{number % 999}", published=row["published_at"].date(), text=row["headline"])
        inputs = NewsInputs(symbol=row["symbol"], session=row["session"], headlines=(headline,))
        masked = mask(inputs)
        rendered = masked.inputs.model_dump_json()
        assert shows(rendered, row["symbol"], "2016", "2015") == []
        assert "ASSET_A" in masked.inputs.headlines[0].text
        assert masked.unmask(masked.inputs) == inputs


def test_the_breadth_analysts_question_shows_no_day() -> None:
    session = date(2012, 6, 1)
    inputs = BreadthInputs(
        session=session, readings=(Reading(id="r1", table="breadth", column="advances", session=session, value=3.0),)
    )
    masked = mask(inputs)
    assert "2012" not in masked.inputs.model_dump_json()
    assert masked.unmask(masked.inputs) == inputs
