"""F6 and F5 for every producer of the registry: no future, and the same bits however the sessions are asked for."""

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from functools import cache
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.causality.registry import EXCEPTIONS, PRODUCERS, Producer, span_of_day
from tests.causality.world import (
    AFTER_CLOCKS_WENT_BACK,
    ALTERATIONS,
    EARLY_CLOSE,
    EX_DATE,
    LOOKED_AT,
    SAMPLED,
    SLOTS,
    Frames,
    altered,
    cut,
    facts,
    known_at,
    scrambled,
)
from trading_assets.core.calendar import NEW_YORK, XNYS
from trading_assets.core.ports import Span
from trading_assets.core.slots import slots_of
from trading_assets.definitions import defs
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS, INTRADAY_BARS, QUOTE_BARS

every_producer = pytest.mark.parametrize("producer", PRODUCERS, ids=lambda producer: producer.name)
every_alteration = pytest.mark.parametrize("how", ALTERATIONS)
every_day = pytest.mark.parametrize("day", SAMPLED, ids=str)
DAYS = [session.day for session in XNYS.sessions(LOOKED_AT.first, LOOKED_AT.last)]


def moments_of(day: date) -> list[datetime]:
    """Every slot of a session, seven minutes after one of them, and the close."""
    session = XNYS.session(day)
    slots = [slot.at for slot in slots_of(session, SLOTS)]
    return [*slots, slots[2] + timedelta(minutes=7), session.close]


def around(day: date) -> Span:
    """A session between its neighbours."""
    return Span(XNYS.previous(day).day, XNYS.next(day).day)


@cache
def truth(producer: Producer, span: Span) -> pl.DataFrame:
    return producer.rows(facts(), span)


def made_of(producer: Producer, day: date, how: str) -> Iterator[tuple[datetime, pl.DataFrame]]:
    """For each moment of a day, the rows that are made when everything after it is altered.

    A producer that reads daily facts only is asked again only when one of them became known: the altered facts are the same
    until then.
    """
    seen: dict[tuple[int, ...], pl.DataFrame] = {}
    for moment in sorted(moments_of(day)):
        known = tuple(cut(t.name, facts()[t.name], moment).height for t in producer.reads)
        if known not in seen:
            seen[known] = producer.rows(altered(facts(), moment, ALTERATIONS[how]), around(day))
        yield moment, seen[known]


# --- no future (F6) ------------------------------------------------------------------------------------------------


@every_producer
@every_day
@every_alteration
def test_what_comes_after_a_slot_changes_no_bit_of_what_was_knowable_then(
    producer: Producer, day: date, how: str
) -> None:
    whole = truth(producer, around(day))
    compared = 0
    for moment, rows in made_of(producer, day, how):
        then = pl.col("knowable_at") <= moment
        assert rows.filter(then).equals(whole.filter(then), null_equal=True), f"{producer.name} at {moment}"
        compared += whole.filter(then).height
    assert compared > 0


@every_producer
def test_what_came_before_a_slot_does_change_what_is_made(producer: Producer) -> None:
    """Else the proof above would hold for a constant."""
    past = XNYS.session(date(2012, 10, 24)).close
    changed = producer.rows(altered(facts(), past, scrambled), around(EARLY_CLOSE))
    assert not changed.equals(truth(producer, around(EARLY_CLOSE)), null_equal=True)


@every_producer
def test_no_row_is_knowable_before_what_it_was_made_from(producer: Producer) -> None:
    """A row of a session cannot be known before the session's open, and one that reads its close not before that."""
    rows = truth(producer, LOOKED_AT)
    assert rows.height > 0
    opens = {session.day: session.open for session in XNYS.sessions(LOOKED_AT.first, LOOKED_AT.last)}
    early = [row for row in rows.select("session", "knowable_at").unique().rows() if row[1] < opens[row[0]]]
    assert all(opens[day] - moment <= timedelta(hours=1) for day, moment in early), "briefs are written before the open"
    assert not early or producer.name == "analyst_briefs"


def test_a_producer_that_looks_ahead_by_one_session_is_caught() -> None:
    def tomorrow(frames: Frames, span: Span) -> pl.DataFrame:
        bars = frames[DAILY_BARS.name].sort("symbol", "session")
        ahead = bars.with_columns(next=pl.col("close").shift(-1).over("symbol"))
        return ahead.filter(pl.col("session").is_between(span.first, span.last)).sort("session", "symbol")

    cheat = Producer(("cheat",), (DAILY_BARS,), tomorrow)
    for how in ALTERATIONS:
        with pytest.raises(AssertionError):
            test_what_comes_after_a_slot_changes_no_bit_of_what_was_knowable_then(cheat, EARLY_CLOSE, how)


def test_a_producer_that_looks_ahead_by_one_minute_is_caught() -> None:
    def last_of_the_day(frames: Frames, span: Span) -> pl.DataFrame:
        bars = frames[INTRADAY_BARS.name]
        day = bars.with_columns(close_of_day=pl.col("close").last().over("session", "symbol", "frequency"))
        return day.filter(pl.col("session").is_between(span.first, span.last)).sort(*INTRADAY_BARS.key)

    cheat = Producer(("cheat",), (INTRADAY_BARS,), last_of_the_day)
    for how in ALTERATIONS:
        with pytest.raises(AssertionError):
            test_what_comes_after_a_slot_changes_no_bit_of_what_was_knowable_then(cheat, EX_DATE, how)


# --- the same bits (F5) --------------------------------------------------------------------------------------------


def in_parts(producer: Producer, parts: list[Span]) -> pl.DataFrame:
    """Each part made from what was known at its last close."""
    return pl.concat([producer.rows(known_at(facts(), XNYS.session(part.last).close), part) for part in parts])


@every_producer
def test_one_session_at_a_time_is_the_backfill(producer: Producer) -> None:
    single = in_parts(producer, [span_of_day(day) for day in DAYS])
    assert single.equals(truth(producer, LOOKED_AT), null_equal=True)


@pytest.mark.slow
@every_producer
@given(cuts=st.sets(st.integers(1, len(DAYS) - 1), max_size=5))
@settings(deadline=None, max_examples=3)
def test_any_split_of_the_range_is_the_backfill(producer: Producer, cuts: set[int]) -> None:
    edges = [0, *sorted(cuts), len(DAYS)]
    parts = [Span(DAYS[a], DAYS[b - 1]) for a, b in pairwise(edges)]
    assert in_parts(producer, parts).equals(truth(producer, LOOKED_AT), null_equal=True)


@every_producer
def test_asking_twice_gives_the_same(producer: Producer) -> None:
    span = around(EARLY_CLOSE)
    assert producer.rows(facts(), span).equals(truth(producer, span), null_equal=True)


def test_a_producer_that_depends_on_where_the_span_begins_is_caught() -> None:
    def running(frames: Frames, span: Span) -> pl.DataFrame:
        rows = frames[DAILY_BARS.name].filter(pl.col("session").is_between(span.first, span.last))
        return rows.with_columns(total=pl.col("volume").cum_sum().over("symbol")).sort("session", "symbol")

    with pytest.raises(AssertionError):
        test_one_session_at_a_time_is_the_backfill(Producer(("cheat",), (DAILY_BARS,), running))


# --- nobody is forgotten -------------------------------------------------------------------------------------------


def assets() -> set[str]:
    """Last parts of the keys of every asset that the code location has."""
    return {key.path[-1] for key in defs.resolve_asset_graph().get_all_asset_keys()}


def registered() -> set[str]:
    return {name for producer in PRODUCERS for name in producer.assets}


def test_every_asset_is_proven_or_excepted_with_a_reason() -> None:
    """A new asset: register its pure function in tests/causality/registry.py, or say there why not."""
    assert assets() - registered() - EXCEPTIONS.keys() == set()


def test_no_asset_is_both_and_every_registered_name_is_an_asset() -> None:
    assert registered() & EXCEPTIONS.keys() == set()
    assert registered() - assets() == set()
    assert EXCEPTIONS.keys() - assets() == set()


def test_every_exception_says_why() -> None:
    reasons: Mapping[str, str] = EXCEPTIONS
    assert all(len(reason.split()) > 5 for reason in reasons.values())


# --- the world has what the proofs need ----------------------------------------------------------------------------


def test_the_looked_at_month_has_a_clock_change_a_split_and_an_early_close() -> None:
    before, after = XNYS.previous(AFTER_CLOCKS_WENT_BACK), XNYS.session(AFTER_CLOCKS_WENT_BACK)
    assert before.open.astimezone(NEW_YORK).utcoffset() != after.open.astimezone(NEW_YORK).utcoffset()
    assert XNYS.session(EARLY_CLOSE).is_early_close
    splits = facts()[CORPORATE_ACTIONS.name].filter(pl.col("kind") == "split")
    assert EX_DATE in splits["session"].to_list()
    assert len(moments_of(EX_DATE)) == 13 + 2
    assert len(moments_of(EARLY_CLOSE)) == 7 + 2
    assert {EX_DATE, EARLY_CLOSE} <= set(DAYS)


@every_alteration
@every_day
def test_an_alteration_leaves_the_past_and_changes_the_future(day: date, how: str) -> None:
    for moment in moments_of(day)[::4]:
        for name, frame in altered(facts(), moment, ALTERATIONS[how]).items():
            then, original = pl.col("knowable_at") <= moment, facts()[name]
            assert frame.filter(then).equals(original.filter(then))
            if name in {DAILY_BARS.name, INTRADAY_BARS.name, QUOTE_BARS.name}:
                assert not frame.filter(~then).equals(original.filter(~then))
