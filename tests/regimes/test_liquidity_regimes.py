"""Liquidity regimes: the rules for quotes, what stands in with daily bars, and that missing evidence is never normal."""

from collections.abc import Sequence
from datetime import date
from functools import cache
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.features.frames import days_from, embedded, span_of
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span
from trading_assets.features.liquidity import liquidity as liquidity_of
from trading_assets.features.model import LIQUIDITY
from trading_assets.market.model import QUOTE_BARS
from trading_assets.regimes.audit import strange_liquidity
from trading_assets.regimes.liquidity import LIQUIDITY_WORDS, MONTH_SESSIONS, YEAR_SESSIONS_MIN, liquidity_regimes
from trading_assets.regimes.model import LIQUIDITY_REGIMES

DAYS = days_from(700)
ALL = Span(DAYS[0], DAYS[-1])
Numbers = dict[str, float | None]


def row(place: int, *, symbol: str = "AAA", basis: str = "quotes", **numbers: Any) -> dict[str, Any]:
    empty = {column.name: None for column in LIQUIDITY.columns if column.nullable}
    day = DAYS[place]
    known = {"symbol": symbol, "session": day, "basis": basis, "knowable_at": XNYS.session(day).close}
    return {**empty, **known, **numbers}


def quoted(*rows: Numbers) -> pl.DataFrame:
    """Consecutive sessions of a symbol with quotes."""
    return LIQUIDITY.frame([{**row(place), **numbers} for place, numbers in enumerate(rows)])


def estimated(spreads: Sequence[float | None], amihud: Sequence[float | None]) -> pl.DataFrame:
    """Consecutive sessions of a symbol with daily bars only."""
    numbers = zip(spreads, amihud, strict=True)
    return LIQUIDITY.frame(
        [row(place, basis="daily_bars", spread_bp=s, amihud_20=a) for place, (s, a) in enumerate(numbers)]
    )


def words(frame: pl.DataFrame) -> list[str]:
    return liquidity_regimes(frame, span=ALL)["regime"].to_list()


@cache
def real() -> pl.DataFrame:
    """LIQUIDITY of the embedded bars, as the asset before this one makes it."""
    bars, actions = embedded()
    return liquidity_of(bars, actions, QUOTE_BARS.empty(), span=span_of(bars))


# Quotes


@pytest.mark.parametrize(
    ("spread", "depth", "regime", "evidence"),
    [
        (2.01, 0.5, "stressed", "spread"),
        (2.0, 0.5, "normal", "spread and depth"),
        (1.0, 0.71, "buyer_dominated", "depth"),
        (1.0, 0.7, "normal", "spread and depth"),
        (1.0, 0.3, "normal", "spread and depth"),
        (1.0, 0.29, "seller_dominated", "depth"),
        (3.0, 0.9, "stressed", "spread"),
        (3.0, None, "stressed", "spread"),
        (1.0, None, "unknown", "no depth"),
        (None, 0.5, "unknown", "no spread"),
        (None, 0.9, "unknown", "no spread"),
        (None, None, "unknown", "no spread"),
    ],
)
def test_quotes_are_judged_by_spread_then_depth(
    spread: float | None, depth: float | None, regime: str, evidence: str
) -> None:
    told = liquidity_regimes(quoted({"spread_ratio": spread, "depth_ratio": depth}), span=ALL).row(0, named=True)
    assert (told["regime"], told["evidence"], told["basis"]) == (regime, evidence, "quotes")
    assert (told["spread_ratio"], told["depth_ratio"]) == (spread, depth)


def test_a_basis_that_nobody_knows_is_unknown_whatever_the_numbers() -> None:
    frame = LIQUIDITY.frame([row(0, basis="rumours", spread_ratio=1.0, depth_ratio=0.5)])
    assert words(frame) == ["unknown"]


# Daily bars


def steady(*, months: int = 12) -> tuple[list[float | None], list[float | None]]:
    """A year of the same estimates."""
    count = months * MONTH_SESSIONS + YEAR_SESSIONS_MIN
    return [10.0] * count, [0.5] * count


def test_with_daily_bars_a_steady_year_is_normal_and_says_its_basis() -> None:
    last = liquidity_regimes(estimated(*steady()), span=ALL).row(-1, named=True)
    assert (last["regime"], last["basis"], last["evidence"]) == ("normal", "daily_bars", "spread and amihud")
    assert (last["spread_ratio"], last["amihud_ratio"], last["depth_ratio"]) == (1.0, 1.0, None)


def test_one_wild_estimate_is_noise_and_a_wild_month_is_stress() -> None:
    spreads, amihud = steady()
    assert words(estimated([*spreads, 100.0], [*amihud, 0.5]))[-1] == "normal"
    month = [25.0] * MONTH_SESSIONS
    assert words(estimated([*spreads, *month], [*amihud, *[0.5] * MONTH_SESSIONS]))[-1] == "stressed"


def test_illiquidity_alone_is_stress_too() -> None:
    spreads, amihud = steady()
    told = liquidity_regimes(estimated([*spreads, 10.0], [*amihud, 1.01]), span=ALL).row(-1, named=True)
    assert (told["regime"], told["evidence"]) == ("stressed", "amihud")
    assert words(estimated([*spreads, 10.0], [*amihud, 1.0]))[-1] == "normal"


def test_with_daily_bars_nobody_dominates() -> None:
    frame = estimated(*steady()).with_columns(depth_ratio=pl.lit(0.95))
    told = liquidity_regimes(frame, span=ALL)
    assert told["depth_ratio"].null_count() == told.height
    assert set(told["regime"]) == {"unknown", "normal"}


def test_before_half_a_year_of_months_nothing_is_known() -> None:
    told = words(estimated(*steady()))
    first = told.index("normal")
    assert set(told[:first]) == {"unknown"}
    assert set(told[first:]) == {"normal"}
    assert first == YEAR_SESSIONS_MIN + 14, "15 values make a month, and 126 months have to lie before it"


@pytest.mark.parametrize("missing", ["spread", "amihud"])
def test_a_month_without_estimates_is_unknown_and_not_normal(missing: str) -> None:
    spreads, amihud = steady()
    gone: list[float | None] = [None] * 6
    kept: list[float | None] = [10.0] * 6 if missing == "amihud" else [0.5] * 6
    frame = estimated([*spreads, *gone], [*amihud, *kept]) if missing == "spread" else None
    frame = frame if frame is not None else estimated([*spreads, *kept], [*amihud, *gone])
    told = liquidity_regimes(frame, span=ALL).row(-1, named=True)
    assert (told["regime"], told["evidence"]) == ("unknown", f"no {missing}")


def test_a_year_of_nothing_has_no_ratio() -> None:
    count = 300
    told = liquidity_regimes(estimated([0.0] * count, [0.0] * count), span=ALL)
    assert told["spread_ratio"].null_count() == told["amihud_ratio"].null_count() == count
    assert set(told["regime"]) == {"unknown"}


def test_estimates_and_quotes_of_one_symbol_are_not_compared() -> None:
    """A quoted spread of 2 bp after estimates of 10 bp is no fall, and estimates after it go on where they were."""
    spreads, amihud = steady()
    count = len(spreads)
    before = estimated(spreads, amihud)
    quotes = LIQUIDITY.frame(
        [row(count + n, spread_bp=2.0, spread_ratio=1.0, depth_ratio=0.5, amihud_20=0.5) for n in range(30)]
    )
    after = LIQUIDITY.frame([row(count + 30, basis="daily_bars", spread_bp=10.0, amihud_20=0.5)])
    told = liquidity_regimes(pl.concat([before, quotes, after]), span=ALL)
    assert told["regime"].to_list()[-31:] == ["normal"] * 31
    assert told["spread_ratio"][-1] == 1.0


# since

CALM: Numbers = {"spread_ratio": 1.0, "depth_ratio": 0.5}
WILD: Numbers = {"spread_ratio": 3.0, "depth_ratio": 0.5}


def test_since_is_the_session_in_which_the_run_began() -> None:
    told = liquidity_regimes(quoted(CALM, CALM, WILD, WILD, CALM), span=ALL)
    assert told["since"].to_list() == [DAYS[0], DAYS[0], DAYS[2], DAYS[2], DAYS[4]]


def test_since_reaches_back_before_the_span() -> None:
    told = liquidity_regimes(quoted(CALM, CALM, CALM), span=Span(DAYS[2], DAYS[2]))
    assert told.select("session", "since").rows() == [(DAYS[2], DAYS[0])]


def test_symbols_do_not_share_a_run() -> None:
    rows = [row(n, symbol=s, spread_ratio=1.0, depth_ratio=0.5) for n, s in ((0, "AAA"), (1, "BBB"), (1, "AAA"))]
    told = liquidity_regimes(LIQUIDITY.frame(rows), span=ALL)
    assert {(r["symbol"], r["session"]): r["since"] for r in told.rows(named=True)} == {
        ("AAA", DAYS[0]): DAYS[0],
        ("AAA", DAYS[1]): DAYS[0],
        ("BBB", DAYS[1]): DAYS[1],
    }


# On what the desk has


def test_real_daily_bars_are_stressed_in_the_autumn_of_2008_and_rarely_otherwise() -> None:
    told = liquidity_regimes(real(), span=span_of(embedded()[0]))
    assert told.equals(LIQUIDITY_REGIMES.conform(told))
    assert told.height == real().height
    stressed = pl.col("regime") == "stressed"
    known = told.filter(pl.col("regime") != "unknown")
    assert known.select(stressed.mean()).item() < 0.1
    autumn = known.filter(pl.col("session").is_between(date(2008, 10, 10), date(2008, 11, 7)))
    assert autumn.select(stressed.mean()).item() > 0.9


def test_a_single_sessions_estimate_would_call_a_quarter_of_all_sessions_stressed() -> None:
    """Why months are compared: the measured reason for the rule."""
    ratio = real()["spread_ratio"].drop_nulls()
    assert (ratio > 2).sum() > ratio.len() / 4


@given(st.integers(300, 3200))
@settings(deadline=None, max_examples=12)
def test_a_session_by_itself_and_in_thirteen_years_is_the_same_to_the_bit(place: int) -> None:
    day = embedded()[0]["session"].unique().sort()[place]
    alone = liquidity_regimes(real().filter(pl.col("session") <= day), span=Span(day, day))
    whole = liquidity_regimes(real(), span=span_of(embedded()[0]))
    assert alone.equals(whole.filter(pl.col("session") == day), null_equal=True)
    assert alone.height >= 3


ratios = st.one_of(st.none(), st.floats(0, 5))
shares = st.one_of(st.none(), st.floats(0, 1))


@given(st.lists(st.tuples(ratios, shares, st.sampled_from(["quotes", "daily_bars"])), min_size=1, max_size=30))
@settings(deadline=None, max_examples=25)
def test_every_row_has_a_known_word_and_passes_the_check(
    rows: list[tuple[float | None, float | None, str]],
) -> None:
    frame = LIQUIDITY.frame(
        [row(place, basis=b, spread_ratio=s, depth_ratio=d, spread_bp=s) for place, (s, d, b) in enumerate(rows)]
    )
    told = liquidity_regimes(frame, span=ALL)
    assert told.height == len(rows)
    assert set(told["regime"]) <= set(LIQUIDITY_WORDS)
    assert strange_liquidity(frame, told) == []


def test_nothing_has_no_regime() -> None:
    assert liquidity_regimes(LIQUIDITY.empty(), span=ALL).equals(LIQUIDITY_REGIMES.empty())
