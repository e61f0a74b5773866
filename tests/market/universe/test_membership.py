from collections.abc import Sequence
from datetime import date
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.market.frames import actions_frame
from tests.market.universe.worlds import DAYS, bars_of, facts_of, instrument, names, one, reference_rows, written
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import ConfigurationError
from trading_assets.core.ports import Span
from trading_assets.core.settings import Instrument
from trading_assets.market.universe.config import Universes
from trading_assets.market.universe.lists import members
from trading_assets.market.universe.membership import (
    Facts,
    Snapshot,
    facts_needed_from,
    members_at,
    members_of,
    memberships,
)
from trading_assets.market.universe.model import UNIVERSE, Refusal, UniverseRefused
from trading_assets.market.universe.periods import rebalanced_on

ABOVE_20 = {"field": "price", "operator": "greater_than", "value": 20.0}
PLAIN = written({"all": {"base": "instruments", "filters": [ABOVE_20]}})


def at(config: Universes, facts: Facts, session: date) -> Snapshot:
    return memberships(config, facts, span=one(session), calendar=XNYS)


def only(snapshot: Snapshot) -> Refusal:
    assert snapshot.frame.is_empty()
    assert len(snapshot.refusals) == 1
    return snapshot.refusals[0]


def test_members_are_the_instruments_that_pass() -> None:
    facts = facts_of(bars_of({"AAA": [30.0], "BBB": [10.0], "CCC": [25.0]}))
    assert names(at(PLAIN, facts, DAYS[0].day).frame, "all", DAYS[0].day) == ["AAA", "CCC"]


def test_a_row_says_why_since_when_and_from_when_it_is_known() -> None:
    facts = facts_of(bars_of({"AAA": [30.0], "BBB": [10.0]}))
    row = at(PLAIN, facts, DAYS[0].day).frame.row(0, named=True)
    assert row["reason"] == "instruments: 2 of 2; price greater_than 20.0: 1 of 2"
    assert row["rebalanced_on"] == DAYS[0].day
    assert row["knowable_at"] == DAYS[0].close


def test_rows_fit_the_table() -> None:
    facts = facts_of(bars_of({"AAA": [30.0, 31.0], "BBB": [50.0, 10.0]}))
    frame = memberships(PLAIN, facts, span=Span(DAYS[0].day, DAYS[1].day), calendar=XNYS).frame
    assert frame.equals(UNIVERSE.conform(frame))
    assert frame.height == 3


def test_a_universe_that_filters_to_nothing_is_a_refusal_that_names_universe_filter_and_counts() -> None:
    refusal = only(at(PLAIN, facts_of(bars_of({"AAA": [3.0], "BBB": [10.0]})), DAYS[0].day))
    assert refusal.universe == "all"
    assert refusal.what == "filter price greater_than 20.0 left nothing"
    assert str(refusal) == (
        f"universe all on {DAYS[0].day}: filter price greater_than 20.0 left nothing "
        "(instruments: 2 of 2; price greater_than 20.0: 0 of 2)"
    )
    assert "no members" in str(refusal.error())
    assert "config/universes.yaml" in str(refusal.error())


def test_a_session_without_any_bar_is_a_refusal() -> None:
    assert "price has no value" in only(at(PLAIN, facts_of(bars_of({"AAA": [30.0]})), DAYS[1].day)).what


@pytest.mark.parametrize("field", ["market_cap", "pe"])
def test_a_field_that_no_table_supplies_refuses_by_name(field: str) -> None:
    config = written({"big": {"base": "instruments", "filters": [{"field": field, "operator": "top_n", "value": 3}]}})
    assert field in only(at(config, facts_of(bars_of({"AAA": [30.0]})), DAYS[0].day)).what


def test_a_field_that_a_table_supplies_filters() -> None:
    config = written({"big": {"base": "instruments", "filters": [{"field": "pe", "operator": "bottom_n", "value": 1}]}})
    facts = facts_of(
        bars_of({"AAA": [30.0], "BBB": [30.0]}),
        reference=reference_rows(("AAA", DAYS[0], "pe", 30.0), ("BBB", DAYS[0], "pe", 10.0)),
    )
    assert names(at(config, facts, DAYS[0].day).frame, "big", DAYS[0].day) == ["BBB"]


def test_an_instrument_is_a_member_only_in_its_life() -> None:
    begins, ends = DAYS[3].day, DAYS[5].day
    facts = facts_of(
        bars_of({"AAA": [30.0] * 10, "BBB": [30.0] * 10, "CCC": [30.0] * 10}),
        instruments=[instrument("AAA"), instrument("BBB", first_session=begins), instrument("CCC", last_session=ends)],
    )
    frame = memberships(PLAIN, facts, span=Span(DAYS[0].day, DAYS[9].day), calendar=XNYS).frame
    assert names(frame, "all", DAYS[2].day) == ["AAA", "CCC"]
    assert names(frame, "all", DAYS[3].day) == ["AAA", "BBB", "CCC"]
    assert names(frame, "all", DAYS[5].day) == ["AAA", "BBB", "CCC"]
    assert names(frame, "all", DAYS[6].day) == ["AAA", "BBB"]


def test_a_company_that_ended_stays_a_member_of_its_past() -> None:
    """No survivorship: the list of a past session holds what nobody can buy today."""
    ended = instrument("LEH", last_session=DAYS[5].day)
    facts = facts_of(bars_of({"LEH": [40.0] * 6, "AAA": [30.0] * 10}), instruments=[instrument("AAA"), ended])
    assert names(at(PLAIN, facts, DAYS[4].day).frame, "all", DAYS[4].day) == ["AAA", "LEH"]


def test_overlapping_lives_are_refused() -> None:
    facts = facts_of(bars_of({"AAA": [30.0]}), instruments=[instrument("AAA"), instrument("BBB", ticker="AAA")])
    with pytest.raises(ConfigurationError, match="trade as AAA at once"):
        at(PLAIN, facts, DAYS[0].day)


@pytest.mark.parametrize(
    ("rebalance", "session", "expected"),
    [
        ("daily", date(2012, 5, 16), date(2012, 5, 16)),
        ("weekly", date(2012, 5, 18), date(2012, 5, 14)),
        ("weekly", date(2012, 5, 14), date(2012, 5, 14)),
        ("weekly", date(2012, 9, 7), date(2012, 9, 4)),
        ("monthly", date(2012, 5, 31), date(2012, 5, 1)),
        ("monthly", date(2012, 1, 31), date(2012, 1, 3)),
        ("monthly", date(2012, 9, 4), date(2012, 9, 4)),
        ("monthly", XNYS.days[3], XNYS.days[0]),
    ],
)
def test_a_period_begins_on_its_first_session(rebalance: Any, session: date, expected: date) -> None:
    assert rebalanced_on(session, rebalance, XNYS) == expected


def test_a_membership_is_carried_to_the_next_rebalance() -> None:
    """BBB falls below 20 within January: it stays until the first session of February."""
    config = written({"all": {"base": "instruments", "filters": [ABOVE_20], "rebalance": "monthly"}})
    january = [day for day in DAYS if day.day < date(2010, 2, 1)]
    closes = [30.0] * 3 + [10.0] * 60
    facts = facts_of(bars_of({"AAA": [50.0] * 60, "BBB": closes}))
    frame = memberships(config, facts, span=Span(DAYS[0].day, DAYS[30].day), calendar=XNYS).frame
    assert names(frame, "all", january[-1].day) == ["AAA", "BBB"]
    assert names(frame, "all", DAYS[len(january)].day) == ["AAA"]
    carried = frame.filter(pl.col("session") == january[-1].day)
    assert carried["rebalanced_on"].unique().to_list() == [DAYS[0].day]
    assert carried["knowable_at"].unique().to_list() == [january[-1].close]


def test_a_member_whose_life_ends_is_not_carried_on() -> None:
    config = written({"all": {"base": "instruments", "filters": [ABOVE_20], "rebalance": "monthly"}})
    facts = facts_of(
        bars_of({"AAA": [50.0] * 6, "BBB": [50.0] * 60}),
        instruments=[instrument("AAA", last_session=DAYS[5].day), instrument("BBB")],
    )
    frame = memberships(config, facts, span=Span(DAYS[0].day, DAYS[8].day), calendar=XNYS).frame
    assert names(frame, "all", DAYS[5].day) == ["AAA", "BBB"]
    assert names(frame, "all", DAYS[6].day) == ["BBB"]


def test_too_few_that_live_on_is_a_refusal() -> None:
    config = written(
        {"all": {"base": "instruments", "filters": [ABOVE_20], "rebalance": "monthly", "min_securities": 2}}
    )
    facts = facts_of(
        bars_of({"AAA": [50.0] * 6, "BBB": [50.0] * 60}),
        instruments=[instrument("AAA", last_session=DAYS[5].day), instrument("BBB")],
    )
    assert "1 of 2 carried members live on, min_securities is 2" in only(at(config, facts, DAYS[6].day)).what


def test_a_universe_rests_on_the_members_of_another_in_that_session() -> None:
    config = written(
        {
            "dear": {"base": "instruments", "filters": [ABOVE_20]},
            "dearest": {"base": "dear", "filters": [{"field": "price", "operator": "bottom_n", "value": 1}]},
        }
    )
    facts = facts_of(bars_of({"AAA": [30.0], "BBB": [10.0], "CCC": [25.0]}))
    assert names(at(config, facts, DAYS[0].day).frame, "dearest", DAYS[0].day) == ["CCC"]


def test_a_base_that_refuses_refuses_what_rests_on_it() -> None:
    config = written({"dear": {"base": "instruments", "filters": [ABOVE_20]}, "dearest": {"base": "dear"}})
    snapshot = at(config, facts_of(bars_of({"AAA": [3.0]})), DAYS[0].day)
    assert {refusal.universe for refusal in snapshot.refusals} == {"dear", "dearest"}
    assert any("its base dear has no members: filter price" in refusal.what for refusal in snapshot.refusals)


def test_one_refusal_does_not_stop_the_other_universes() -> None:
    config = written(
        {
            "none": {"base": "instruments", "filters": [{"field": "pe", "operator": "top_n", "value": 1}]},
            "all": {"base": "instruments"},
        }
    )
    snapshot = at(config, facts_of(bars_of({"AAA": [3.0]})), DAYS[0].day)
    assert names(snapshot.frame, "all", DAYS[0].day) == ["AAA"]
    assert [refusal.universe for refusal in snapshot.refusals] == ["none"]


def test_a_static_list_is_the_members_of_that_session() -> None:
    config = written({"index": {"base": "nasdaq100"}})
    session = date(2012, 12, 12)
    found = names(at(config, facts_of(bars_of({}), instruments=[]), session).frame, "index", session)
    assert sorted(found) == sorted(members("nasdaq100", session))
    assert "FB" in found
    assert "INFY" not in found


def test_a_session_before_a_lists_history_is_a_refusal_and_not_todays_list() -> None:
    config = written({"index": {"base": "nasdaq100"}})
    assert (
        "the members of nasdaq100 on 2007-01-31 are not known"
        in only(at(config, facts_of(bars_of({}), instruments=[]), date(2007, 1, 31))).what
    )


def test_a_list_may_be_carried_when_the_universe_says_so() -> None:
    config = written({"coins": {"base": "crypto_top20", "base_carried_sessions_max": 10}})
    session = XNYS.next(date(2022, 12, 16), 10).day
    assert len(names(at(config, facts_of(bars_of({}), instruments=[]), session).frame, "coins", session)) == 20
    assert "not known" in only(at(config, facts_of(bars_of({}), instruments=[]), XNYS.next(session).day)).what


def test_a_ticker_of_a_list_is_the_instrument_that_owned_it_then() -> None:
    owners = [
        instrument("WM-20080926", ticker="WM", last_session=date(2008, 9, 26)),
        instrument("WM", first_session=date(2009, 8, 5)),
    ]
    config = written({"index": {"base": "sp500"}}, aliases={"WAMUQ": "WM-20080926"})
    facts = facts_of(bars_of({}), instruments=owners)
    before = names(at(config, facts, date(2008, 9, 26)).frame, "index", date(2008, 9, 26))
    assert "WM-20080926" in before
    assert "WAMUQ" not in before
    after = names(at(config, facts, date(2010, 1, 4)).frame, "index", date(2010, 1, 4))
    assert "WM" in after
    assert "WM-20080926" not in after


def test_facts_reach_back_far_enough_for_every_base() -> None:
    config = written(
        {
            "deep": {"base": "weekly"},
            "weekly": {"base": "monthly", "rebalance": "weekly"},
            "monthly": {"base": "instruments", "rebalance": "monthly"},
        }
    )
    needed = facts_needed_from(config, one(date(2012, 6, 1)), XNYS)
    assert needed == XNYS.previous(date(2012, 5, 1), 300).day


def test_members_of_reads_stored_rows_in_order_of_rank() -> None:
    config = written({"all": {"base": "instruments", "rank_by": {"field": "price"}}})
    frame = at(config, facts_of(bars_of({"AAA": [1.0], "BBB": [3.0], "CCC": [2.0]})), DAYS[0].day).frame
    assert members_of(frame, "all", DAYS[0].day) == ("BBB", "CCC", "AAA")
    with pytest.raises(UniverseRefused, match="universe other has no members"):
        members_of(frame, "other", DAYS[0].day)
    with pytest.raises(UniverseRefused, match=str(DAYS[1].day)):
        members_of(frame, "all", DAYS[1].day)


def test_members_at_some_sessions_are_those_of_the_span() -> None:
    facts = facts_of(bars_of({"AAA": [30.0] * 5, "BBB": [10.0, 30.0, 10.0, 30.0, 10.0]}))
    asked = [DAYS[1].day, DAYS[4].day, DAYS[7].day]
    found = members_at(PLAIN, facts, "all", asked, calendar=XNYS)
    assert found[asked[0]] == ("AAA", "BBB")
    assert found[asked[1]] == ("AAA",)
    assert isinstance(found[asked[2]], Refusal)


RICH = written(
    {
        "liquid": {
            "base": "instruments",
            "filters": [
                {"field": "price", "operator": "greater_than", "value": 12.0},
                {"field": "dollar_volume", "operator": "top_n", "value": 4},
            ],
            "rank_by": {"field": "dollar_volume"},
            "rebalance": "weekly",
        },
        "strong": {
            "base": "liquid",
            "filters": [{"field": "volatility_20", "operator": "bottom_n", "value": 3}],
            "max_securities": 2,
            "rank_by": {"field": "average_volume"},
        },
    }
)
SYMBOLS = ("AAA", "BBB", "CCC", "DDD", "EEE")
NOW = DAYS[120]


def world(seed: int) -> pl.DataFrame:
    closes = {
        symbol: [20.0 + 10.0 * ((n * (7 + place) + seed * 31) % 11) / 11 + place for n in range(180)]
        for place, symbol in enumerate(SYMBOLS)
    }
    frame = bars_of(closes)
    wobble = 1.0 + (pl.col("close") * 100).cast(pl.Int64()).cast(pl.Float64()) % 17
    return frame.with_columns(volume=pl.col("volume") * wobble)


def up_to_now(facts: Facts) -> pl.DataFrame:
    return memberships(RICH, facts, span=Span(DAYS[60].day, NOW.day), calendar=XNYS).frame


_FUTURE = st.lists(
    st.tuples(st.sampled_from(SYMBOLS), st.integers(121, 179), st.floats(0.01, 100.0)), min_size=1, max_size=30
)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10), _FUTURE, st.booleans())
def test_no_change_to_bars_or_splits_after_a_session_changes_its_members(
    seed: int, changes: list[tuple[str, int, float]], cut: bool
) -> None:
    bars = world(seed)
    before = up_to_now(facts_of(bars))
    later = bars.filter(pl.col("session") <= NOW.day) if cut else bars
    for symbol, place, factor in changes:
        hit = (pl.col("symbol") == symbol) & (pl.col("session") == DAYS[place].day)
        later = later.with_columns(pl.when(hit).then(pl.col("close") * factor).otherwise("close").alias("close"))
    splits = {(symbol, DAYS[place].day): factor for symbol, place, factor in changes}
    actions = actions_frame(*((symbol, day, "split", factor) for (symbol, day), factor in splits.items()))
    assert up_to_now(facts_of(later, actions=actions)).equals(before)


def changed_lives(ends: Sequence[tuple[str, int]], newcomers: Sequence[tuple[str, int]]) -> list[Instrument]:
    lives = {symbol: instrument(symbol) for symbol in SYMBOLS}
    for symbol, place in ends:
        lives[symbol] = instrument(symbol, last_session=DAYS[place].day)
    for symbol, place in newcomers:
        lives[symbol] = instrument(symbol, first_session=DAYS[place].day)
    return list(lives.values())


@settings(max_examples=20, deadline=None)
@given(
    st.integers(0, 10),
    st.lists(st.tuples(st.sampled_from(SYMBOLS), st.integers(120, 179)), max_size=4),
    st.lists(st.tuples(st.sampled_from(["ZZX", "ZZY"]), st.integers(121, 179)), max_size=2),
)
def test_no_listing_or_delisting_after_a_session_changes_its_members(
    seed: int, ends: list[tuple[str, int]], newcomers: list[tuple[str, int]]
) -> None:
    bars = world(seed)
    strangers = bars_of({"ZZX": [99.0] * 180, "ZZY": [98.0] * 180}, volume=9e9)
    before = up_to_now(facts_of(bars, instruments=changed_lives([], [])))
    after = up_to_now(facts_of(pl.concat([bars, strangers]), instruments=changed_lives(ends, newcomers)))
    assert after.equals(before)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10), st.integers(60, 119))
def test_any_split_of_the_range_gives_the_same_rows_to_the_last_bit(seed: int, middle: int) -> None:
    facts = facts_of(world(seed), actions=actions_frame(("BBB", DAYS[90].day, "split", 3.0)))
    whole = up_to_now(facts)
    halves = [
        memberships(RICH, facts, span=Span(first, last), calendar=XNYS).frame
        for first, last in ((DAYS[60].day, DAYS[middle].day), (DAYS[middle + 1].day, NOW.day))
    ]
    assert pl.concat(halves).sort(*UNIVERSE.key).equals(whole)
