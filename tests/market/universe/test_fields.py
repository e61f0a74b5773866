"""Fields against a textbook: the same definitions written out for one symbol and one session, on split-adjusted bars."""

import math
import statistics
from datetime import date

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.market.frames import actions_frame, daily_frame, daily_row
from tests.market.universe.worlds import DAYS, bars_of, facts_of, reference_rows
from trading_assets.core.calendar import XNYS, Session
from trading_assets.market.adjust import split_adjusted
from trading_assets.market.universe.fields import BAR_FIELDS, LOOK_BACK_SESSIONS, REFERENCE_SESSIONS_MAX, Panel
from trading_assets.market.universe.membership import Facts

WALK = [100.0 * math.exp(0.02 * math.sin(n * 1.7) + 0.0007 * n) for n in range(len(DAYS))]


def value_of(facts: Facts, field: str, session: Session, symbol: str = "AAA") -> float | str | None:
    panel = Panel(
        facts.bars,
        facts.actions,
        facts.reference,
        sectors=facts.sectors,
        sessions=[session.day],
        calendar=XNYS,
    )
    return panel.values(field, session.day).get(symbol)


def textbook(bars: pl.DataFrame, actions: pl.DataFrame, field: str, session: date, symbol: str = "AAA") -> float | None:
    """The definition, in plain words, on bars in the share count of the session."""
    known = bars.filter((pl.col("symbol") == symbol) & (pl.col("session") <= session)).sort("session")
    if known.is_empty() or known["session"][-1] != session:
        return None
    raw = known["close"].to_list()
    adjusted = split_adjusted(known, actions, as_of_session=session)
    closes, volumes = adjusted["close"].to_list(), adjusted["volume"].to_list()
    if field == "price":
        return float(raw[-1])
    if field == "average_volume":
        return statistics.fmean(volumes[-20:]) if len(volumes) >= 20 else None
    if field == "dollar_volume":
        paid = [c * v for c, v in zip(closes, volumes, strict=True)]
        return statistics.fmean(paid[-20:]) if len(paid) >= 20 else None
    if field == "momentum_12_1":
        return float(closes[-22] / closes[-253] - 1) if len(closes) >= 253 else None
    returns = [math.log(b / a) for a, b in zip(closes[-21:], closes[-20:], strict=False)]
    return statistics.stdev(returns) * math.sqrt(252) if len(closes) >= 21 else None


def agrees(mine: float | str | None, other: float | None) -> bool:
    if mine is None or other is None:
        return mine is other
    return math.isclose(float(mine), other, rel_tol=1e-9, abs_tol=1e-12)


@pytest.mark.parametrize("field", BAR_FIELDS)
@pytest.mark.parametrize("place", [0, 18, 19, 20, 21, 251, 252, 253, 400])
def test_a_field_is_its_textbook_definition_from_its_first_value_on(field: str, place: int) -> None:
    bars = bars_of({"AAA": WALK})
    none = actions_frame()
    assert agrees(value_of(facts_of(bars), field, DAYS[place]), textbook(bars, none, field, DAYS[place].day))


@pytest.mark.parametrize("field", BAR_FIELDS)
@pytest.mark.parametrize("place", [299, 300, 301, 310, 330, 560])
def test_a_split_changes_no_field_but_the_price(field: str, place: int) -> None:
    split = actions_frame(("AAA", DAYS[300].day, "split", 7.0), ("AAA", DAYS[305].day, "split", 0.5))
    factors = [1.0] * 300 + [7.0] * 5 + [3.5] * (len(DAYS) - 305)
    rows = [
        daily_row("AAA", day, close / factor, volume=1000.0 * (n % 7 + 1) * factor)
        for n, (day, close, factor) in enumerate(zip(DAYS, WALK, factors, strict=True))
    ]
    bars = daily_frame(rows)
    facts = facts_of(bars, actions=split)
    mine = value_of(facts, field, DAYS[place])
    assert agrees(mine, textbook(bars, split, field, DAYS[place].day))
    if field not in {"price", "average_volume"}:
        whole = daily_frame(
            [
                daily_row("AAA", d, c, volume=1000.0 * (n % 7 + 1))
                for n, (d, c) in enumerate(zip(DAYS, WALK, strict=True))
            ]
        )
        assert agrees(mine, textbook(whole, actions_frame(), field, DAYS[place].day))


def test_a_split_on_a_session_without_a_bar_counts_from_the_next_bar() -> None:
    closes = [100.0] * 300 + [float("nan")] + [50.0] * 100
    bars = bars_of({"AAA": closes})
    split = actions_frame(("AAA", DAYS[300].day, "split", 2.0))
    assert value_of(facts_of(bars, actions=split), "volatility_20", DAYS[301]) == 0.0
    assert value_of(facts_of(bars, actions=split), "momentum_12_1", DAYS[330]) == 0.0


def test_a_symbol_without_a_bar_in_the_session_has_no_value() -> None:
    bars = bars_of({"AAA": [*WALK[:400], float("nan"), *WALK[401:]]})
    assert all(value_of(facts_of(bars), field, DAYS[400]) is None for field in BAR_FIELDS)
    assert value_of(facts_of(bars), "price", DAYS[401]) is not None


def test_a_window_does_not_reach_across_a_long_silence() -> None:
    """Twenty bars, a year of nothing, nineteen bars: the mean of twenty waits for the twentieth."""
    silence = LOOK_BACK_SESSIONS
    closes = [10.0] * 20 + [float("nan")] * silence + [10.0] * 40
    bars = bars_of({"AAA": closes})
    back = 20 + silence
    assert value_of(facts_of(bars), "average_volume", DAYS[back]) is None
    assert value_of(facts_of(bars), "average_volume", DAYS[back + 18]) is None
    assert value_of(facts_of(bars), "average_volume", DAYS[back + 19]) == 1_000_000.0


def test_a_short_silence_does_not_matter() -> None:
    closes = [10.0] * 20 + [float("nan")] * 5 + [10.0] * 40
    assert value_of(facts_of(bars_of({"AAA": closes})), "average_volume", DAYS[25]) == 1_000_000.0


@pytest.mark.parametrize(
    "spoilt", [{"close": float("nan")}, {"close": -1.0}, {"volume": float("nan")}, {"volume": -5.0}]
)
def test_a_bar_that_is_not_sound_is_as_good_as_none(spoilt: dict[str, float]) -> None:
    rows = [daily_row("AAA", day, 10.0) for day in DAYS[:30]]
    rows[25] |= spoilt
    facts = facts_of(daily_frame(rows))
    assert value_of(facts, "price", DAYS[25]) is None
    assert value_of(facts, "average_volume", DAYS[29]) == 1_000_000.0


def test_a_volume_of_zero_is_sound() -> None:
    assert value_of(facts_of(bars_of({"AAA": [10.0] * 30}, volume=0.0)), "average_volume", DAYS[29]) == 0.0


def test_a_sector_is_the_instruments() -> None:
    assert value_of(facts_of(bars_of({"AAA": [1.0]})), "sector", DAYS[0]) == "Widgets"


def test_the_newest_reference_fact_that_was_knowable_counts() -> None:
    rows = reference_rows(("AAA", DAYS[10], "pe", 20.0), ("AAA", DAYS[40], "pe", 25.0), ("BBB", DAYS[10], "pe", 9.0))
    facts = facts_of(bars_of({"AAA": WALK}), reference=rows)
    assert value_of(facts, "pe", DAYS[9]) is None
    assert value_of(facts, "pe", DAYS[39]) == 20.0
    assert value_of(facts, "pe", DAYS[40]) == 25.0
    assert value_of(facts, "market_cap", DAYS[40]) is None


def test_a_reference_fact_published_after_the_close_is_not_known_at_it() -> None:
    late = reference_rows(("AAA", DAYS[10], "pe", 20.0)).with_columns(
        pl.lit(DAYS[11].open).cast(pl.Datetime("us", "UTC")).alias("knowable_at")
    )
    facts = facts_of(bars_of({"AAA": WALK}), reference=late)
    assert value_of(facts, "pe", DAYS[10]) is None
    assert value_of(facts, "pe", DAYS[11]) == 20.0


def test_a_reference_fact_grows_too_old() -> None:
    facts = facts_of(bars_of({"AAA": WALK}), reference=reference_rows(("AAA", DAYS[10], "pe", 20.0)))
    assert value_of(facts, "pe", DAYS[10 + REFERENCE_SESSIONS_MAX]) == 20.0
    assert value_of(facts, "pe", DAYS[11 + REFERENCE_SESSIONS_MAX]) is None


_CLOSES = st.lists(st.one_of(st.floats(1, 1000), st.just(float("nan"))), min_size=260, max_size=300)


@settings(max_examples=25, deadline=None)
@given(_CLOSES, st.sampled_from(sorted(BAR_FIELDS)), st.integers(0, 299), st.floats(0.1, 10.0), st.integers(0, 299))
def test_random_bars_with_gaps_and_a_split_agree_with_the_textbook(
    closes: list[float], field: str, place: int, ratio: float, ex_date: int
) -> None:
    bars = bars_of({"AAA": closes})
    split = actions_frame(("AAA", DAYS[ex_date].day, "split", ratio))
    session = DAYS[min(place, len(closes) - 1)]
    assert agrees(value_of(facts_of(bars, actions=split), field, session), textbook(bars, split, field, session.day))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 500), st.integers(0, 40), st.sampled_from(sorted(BAR_FIELDS)))
def test_one_session_and_many_agree_to_the_last_bit(first: int, more: int, field: str) -> None:
    bars = bars_of({"AAA": WALK, "BBB": [close * 1.1 for close in WALK]})
    split = actions_frame(("AAA", DAYS[300].day, "split", 3.0))
    sessions = [day.day for day in DAYS[first : first + more + 1]]
    many = Panel(bars, split, reference_rows(), sectors={}, sessions=sessions, calendar=XNYS)
    for session in sessions[:: max(1, more // 3)]:
        start = XNYS.previous(session, LOOK_BACK_SESSIONS).day
        near = pl.col("session").is_between(start, session)
        alone = Panel(
            bars.filter(near),
            split.filter(near),
            reference_rows(),
            sectors={},
            sessions=[session],
            calendar=XNYS,
        )
        assert many.values(field, session) == alone.values(field, session)
