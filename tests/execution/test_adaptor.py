"""The hourly review: what it measures, that it can only make risk smaller, and what it leaves behind."""

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.desk import DESK, DeskResource
from resources.ledger.bus import read_messages
from resources.ledger.engine import reading
from tests.execution.world import EVER, by_rules, judge, market
from tests.orchestration.homes import living_in
from tests.plans.ideas import DAY, breakout, desk_of, known, slot_at
from trading_assets.agents import SCHEMAS
from trading_assets.briefs.facts import FACT_TABLES, Facts
from trading_assets.catalog import key_of
from trading_assets.core.calendar import NEW_YORK, XNYS
from trading_assets.core.errors import SlotRefused
from trading_assets.core.messages import RegimeChanged, Wanted
from trading_assets.core.operations import Adaptor
from trading_assets.core.parameters import BOUNDS, Parameters
from trading_assets.core.ports import Span
from trading_assets.core.settings import PROJECT, load_settings
from trading_assets.core.slots import Slot
from trading_assets.execution.adaptor.assets import review_assets
from trading_assets.execution.adaptor.market import standing_of, turned
from trading_assets.execution.adaptor.model import REVIEWS
from trading_assets.execution.adaptor.reviewing import (
    MOVES,
    NO_INTRADAY,
    BookToday,
    Review,
    review,
    review_due_or_refused,
    review_labels,
    tighter,
)
from trading_assets.execution.adaptor.roles import ADAPTOR, AdaptorInputs, Advice, complaint, rules_advice
from trading_assets.features.model import INTRADAY_FEATURES
from trading_assets.reasoning.baseline import ruled
from trading_assets.reasoning.skills import read_skill

SLOT = slot_at("12:05")
SYMBOLS = ("AAA", "BBB", "CCC")
CALM = BookToday(Decimal(10), 0.0001, ("pullback",), 1)
LOSING = BookToday(Decimal(-700), -0.007, ("pullback",), 1)
BASE = Parameters()


def bars(symbol: str, moves: Sequence[float], *, slot: Slot = SLOT, vwap: float = 100.0) -> list[dict[str, Any]]:
    """Five-minute bars from the open on: closes 100 times one plus each move, the last one ending five minutes before the slot."""
    last = slot.at - timedelta(minutes=5)
    rows = []
    for back, move in enumerate(reversed(moves)):
        end = last - timedelta(minutes=5 * back)
        close = 100.0 * (1 + move)
        row = {"symbol": symbol, "session": slot.session.day, "frequency": "5m", "start": end - timedelta(minutes=5)}
        row |= {"close": close, "return_from_open": move, "above_vwap": float(close > vwap), "knowable_at": end}
        rows.append(row)
    return rows[::-1]


def session(
    moves: Mapping[str, Sequence[float]], *, view: str = "trending_bull", vol: float = 0.16
) -> tuple[Facts, list[Any]]:
    """Facts at noon of symbols whose 20-session volatility is `vol`, and all bars so far."""
    rows = [row for symbol, path in moves.items() for row in bars(symbol, path)]
    newest = {symbol: [row for row in rows if row["symbol"] == symbol][-1] for symbol, path in moves.items() if path}
    daily = {"open": 100.0, "high": 100.0, "low": 100.0, "close": 100.0, "volume": 1e6}
    symbols = [known(view, daily, {"vol_20": vol}, symbol=symbol) for symbol in moves]
    facts = desk_of(*symbols, intraday=newest)
    regime = {"symbol": "MARKET", "strategy_view": view}
    return Facts(SLOT.at, facts.session, facts.symbols, None, regime, intraday=newest), rows


def path(end: float, *, steps: int = 10, wobble: float = 0.0) -> list[float]:
    return [end * (n + 1) / steps + wobble * (-1) ** n for n in range(steps)]


FALL = {symbol: path(-0.012, wobble=0.004) for symbol in SYMBOLS}
QUIET = {symbol: path(0.0005) for symbol in SYMBOLS}


def reviewed(
    moves: Mapping[str, Sequence[float]], book: BookToday = CALM, *, view: str = "trending_bull", **more: Any
) -> Review:
    facts, rows = session(moves, view=view)
    return review(SLOT, facts, rows, book, more.pop("parameters", BASE), by_rules(), **more)


# The market


def test_a_broad_fall_of_more_than_a_deviation_is_a_falling_market() -> None:
    facts, rows = session(FALL)
    now = standing_of(facts, rows, SLOT)
    assert (now.view, now.symbols, now.up_share, now.above_vwap_share) == ("trending_bear", 3, 0.0, 0.0)
    elapsed = (SLOT.at - timedelta(minutes=5) - SLOT.session.open) / (SLOT.session.close - SLOT.session.open)
    assert now.move == pytest.approx(FALL["AAA"][-1] / (0.16 * math.sqrt(elapsed / 252)), abs=1e-6)


def test_the_same_fall_of_one_symbol_among_three_is_no_direction_of_the_market() -> None:
    facts, rows = session({**QUIET, "AAA": path(-0.05)})
    assert standing_of(facts, rows, SLOT).view == "range"


def test_a_small_move_of_all_is_no_direction() -> None:
    facts, rows = session({symbol: path(-0.002) for symbol in SYMBOLS})
    assert standing_of(facts, rows, SLOT).view == "range"


def test_realised_deviation_is_measured_against_the_norm_of_the_same_time() -> None:
    facts, rows = session({"AAA": path(0.0, wobble=0.01)})
    closes = [row["close"] for row in rows]
    realised = math.sqrt(sum(math.log(b / a) ** 2 for a, b in pairwise(closes)))
    elapsed = (rows[-1]["knowable_at"] - SLOT.session.open) / (SLOT.session.close - SLOT.session.open)
    assert standing_of(facts, rows, SLOT).volatility_ratio == pytest.approx(
        realised / (0.16 * math.sqrt(elapsed / 252)), abs=1e-6
    )


def test_bars_from_after_the_review_or_of_another_session_change_nothing() -> None:
    facts, rows = session(FALL)
    later = [
        {**row, "close": 1.0, "start": SLOT.at, "knowable_at": SLOT.at + timedelta(minutes=5)} for row in rows[-1:]
    ]
    other = [{**rows[0], "close": 1.0, "session": date(2012, 6, 14)}]
    assert standing_of(facts, [*rows, *later, *other], SLOT) == standing_of(facts, rows, SLOT)


@pytest.mark.parametrize("bad", [None, math.nan, math.inf])
def test_a_symbol_without_a_number_is_left_out_and_nothing_is_made_up(bad: float | None) -> None:
    facts, rows = session({"AAA": path(-0.012)})
    broken = {"AAA": {**facts.intraday["AAA"], "return_from_open": bad}}
    blind = Facts(facts.as_of, facts.session, facts.symbols, None, facts.market_regime, intraday=broken)
    assert standing_of(blind, rows, SLOT).view == "unknown"
    unscaled = Facts(facts.as_of, facts.session, {"AAA": breakout()}, None, None, intraday=facts.intraday)
    assert standing_of(unscaled, rows, SLOT).view == "unknown"
    assert standing_of(unscaled, rows, SLOT).volatility_ratio is None


def test_what_counts_as_a_turn() -> None:
    assert turned("trending_bull", "trending_bear")
    assert turned("range", "trending_bull")
    assert turned("unknown", "trending_bear")
    assert not turned("mild_trend", "trending_bull")
    assert not turned("trending_bull", "range")
    assert not turned("trending_bull", "unknown")


# Advice


def test_a_session_as_planned_is_held() -> None:
    made = reviewed(QUIET)
    assert (made.row["advice"], made.suggestions, made.drafts) == ("hold", (), ())
    assert json.loads(made.row["flags"]) == []


def test_one_sign_of_trouble_alone_is_held() -> None:
    assert reviewed({symbol: path(-0.012) for symbol in SYMBOLS}).row["advice"] == "hold"
    assert reviewed(QUIET, LOSING).row["advice"] == "hold"


def test_a_wild_fall_against_the_plan_makes_positions_one_step_smaller() -> None:
    made = reviewed(FALL)
    assert made.row["advice"] == "tighten"
    [one] = made.suggestions
    assert (one.name, one.before, one.after) == ("position_fraction", 0.05, 0.04)
    assert one.evidence["view_now"] == "trending_bear"
    assert one.evidence["review"] == "2012-06-15 12:05"
    assert json.loads(made.row["moves"]) == {"position_fraction": [0.05, 0.04]}


def test_with_a_loss_as_well_stops_come_nearer_too() -> None:
    assert {each.name for each in reviewed(FALL, LOSING).suggestions} == set(MOVES)


def test_a_fall_that_was_planned_on_is_no_turn() -> None:
    assert reviewed(FALL, view="trending_bear").row["turned"] is False
    assert reviewed(FALL, view="trending_bear").row["advice"] == "hold"


def test_at_the_lower_bound_nothing_is_left_to_move() -> None:
    small = Parameters(position_fraction=0.03, stop_fraction=0.005, stop_atr=1.0)
    made = reviewed(FALL, LOSING, parameters=small)
    assert (made.row["advice"], made.suggestions) == ("hold", ())


def test_without_intraday_bars_the_row_says_so_and_nothing_is_advised() -> None:
    made = reviewed({symbol: [] for symbol in SYMBOLS}, LOSING)
    assert json.loads(made.row["flags"]) == [NO_INTRADAY]
    assert (made.row["advice"], made.row["view_now"], made.suggestions, made.drafts) == ("none", "unknown", (), ())
    assert REVIEWS.frame([made.row]).height == 1


def test_an_unknown_book_is_not_judged() -> None:
    assert reviewed(FALL, BookToday(None, None, (), 0)).row["advice"] == "none"


def test_a_turn_is_told_when_two_reviews_in_a_row_saw_it() -> None:
    first = reviewed(FALL)
    assert first.drafts == ()
    before = {**first.row, "slot": "11:05"}
    [draft] = reviewed(FALL, before=[before]).drafts
    assert draft.payload == RegimeChanged(symbol="MARKET", before="trending_bull", after="trending_bear")
    assert draft.at == SLOT.at
    calm = {**before, "slot": "11:10", "view_now": "range"}
    assert reviewed(FALL, before=[before, calm]).drafts == ()
    assert reviewed(FALL, before=[{**before, "slot": "12:05"}]).drafts == (), (
        "its own earlier attempt is no second look"
    )
    assert reviewed(QUIET, before=[before]).drafts == ()


inputs = st.builds(
    AdaptorInputs,
    view_open=st.sampled_from(["trending_bull", "range", "unknown"]),
    view_now=st.sampled_from(["trending_bull", "trending_bear", "range"]),
    turned=st.booleans(),
    symbols=st.integers(1, 500),
    up_share=st.floats(0, 1),
    above_vwap_share=st.floats(0, 1),
    move=st.floats(-50, 50),
    volatility_ratio=st.none() | st.floats(0, 50),
    day_pnl_fraction=st.floats(-1, 1),
    holdings=st.integers(0, 8),
    strategies=st.just(("pullback",)),
    may_move=st.sets(st.sampled_from(MOVES)).map(lambda names: tuple(sorted(names))),
)


@given(inputs)
@settings(max_examples=60, deadline=None)
def test_the_rules_keep_their_own_check_and_read_nothing_but_numbers(given_: AdaptorInputs) -> None:
    answer = ruled(ADAPTOR, given_)
    assert answer is not None
    assert set(answer.moves) <= set(given_.may_move)
    assert rules_advice(given_) == answer


@given(st.floats(0.03, 0.10), st.floats(0.005, 0.0093), st.floats(1.0, 2.1), st.sampled_from(MOVES))
@settings(max_examples=60, deadline=None)
def test_every_move_is_smaller_by_a_step_inside_its_bounds_and_with_the_rest_still_valid(
    size: float, stop: float, atr: float, name: Any
) -> None:
    now = Parameters(position_fraction=size, stop_fraction=stop, stop_atr=atr)
    after = tighter(name, now)
    if after is None:
        assert getattr(now, name) - BOUNDS[name].step < BOUNDS[name].low
        return
    assert BOUNDS[name].low - 1e-9 <= after < getattr(now, name)
    moved = now.with_values({name: max(after, BOUNDS[name].low)})
    assert moved != now


def test_an_advice_that_contradicts_itself_or_leaves_the_list_is_refused() -> None:
    facts, rows = session(FALL)
    base = {"reasons": ("It falls.",)}
    asked = AdaptorInputs.model_validate_json((PROJECT / "skills/adaptor/samples/turned.json").read_text())
    only = asked.model_copy(update={"may_move": ("position_fraction",)})
    assert complaint(asked, Advice(advice="tighten", moves=("stop_atr",), **base)) is None
    assert "at least one" in str(complaint(asked, Advice(advice="tighten", moves=(), **base)))
    assert "hold names none" in str(complaint(asked, Advice(advice="hold", moves=("stop_atr",), **base)))
    assert "once" in str(complaint(asked, Advice(advice="tighten", moves=("stop_atr", "stop_atr"), **base)))
    assert "stop_atr" in str(complaint(only, Advice(advice="tighten", moves=("stop_atr",), **base)))
    with pytest.raises(ValueError, match="moves"):
        Advice.model_validate({"advice": "tighten", "moves": ["positions_max"], **base})
    assert facts.session
    assert rows


def test_the_adaptor_is_an_agent_by_its_folder() -> None:
    skill = read_skill(PROJECT / "skills" / "adaptor", schemas=SCHEMAS)
    assert (skill.input_schema, skill.output_schema) == ("AdaptorInputs", "Advice")


# When


def test_reviews_are_due_once_an_hour_from_the_settings_and_never_late() -> None:
    adaptor, decisions = Adaptor(), load_settings(PROJECT / "config").decisions

    def due(clock: str, label: str = "", keys: Sequence[str] = (), how: Adaptor = adaptor, day: date = DAY) -> str:
        now = datetime.combine(day, time.fromisoformat(clock), NEW_YORK)
        return review_due_or_refused(keys, label, now=now, settings=how, decisions=decisions).label

    assert review_labels(adaptor) == ("10:05", "11:05", "12:05", "13:05", "14:05", "15:05")
    assert due("10:05:00") == due("10:14:59", "10:05", ["2012-06-15"]) == "10:05"
    for clock, label, keys in (
        ("10:15:00", "", ()),
        ("10:04:59", "", ()),
        ("11:06:00", "10:05", ()),
        ("10:06:00", "", ("2012-06-14",)),
    ):
        with pytest.raises(SlotRefused):
            due(clock, label, keys)
    with pytest.raises(SlotRefused, match="switched off"):
        due("10:06:00", how=Adaptor(enabled=False))
    with pytest.raises(SlotRefused, match="closed at 13:00"):
        due("14:06:00", day=date(2012, 7, 3))


# In Dagster

HOME_DAY = date(2012, 8, 14)


def run(slot: str) -> dg.ExecuteInProcessResult:
    job = dg.define_asset_job("adapt", executor_def=dg.in_process_executor)
    defs = dg.Definitions(assets=[*review_assets()], jobs=[job], resources={"desk": DeskResource()})
    config = {
        "ops": {"desk_reviews": {"config": {"slot": slot}}},
        "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
    }
    with dg.DagsterInstance.ephemeral() as instance:
        return defs.resolve_job_def("adapt").execute_in_process(
            instance=instance, partition_key=HOME_DAY.isoformat(), run_config=config, raise_on_error=False
        )


def stored_reviews(desk: DeskResource) -> list[dict[str, Any]]:
    return desk.lake().read(REVIEWS, as_of=EVER, lane=DESK).sort("slot").rows(named=True)


def test_two_reviews_of_a_falling_session_leave_rows_one_proposal_and_one_message(tmp_path: Path) -> None:
    """On real bars of the days before, with a made fall of the session itself."""
    small = market(Span(date(2012, 8, 8), date(2012, 8, 17)))
    with living_in(tmp_path / "home", clock="2012-08-14T11:06:00-04:00"):
        desk = DeskResource()
        lake = desk.lake()
        for table in FACT_TABLES:
            lake.write(table, small.frames[table.name], Span(date(2012, 7, 9), date(2012, 8, 17)))
        judge(lake, desk.gates(), Span(date(2012, 7, 9), date(2012, 8, 17)))
        rows = []
        for label in ("11:05", "12:05"):
            at = datetime.combine(HOME_DAY, time.fromisoformat(label), NEW_YORK).astimezone(UTC)
            slot = Slot(XNYS.session(HOME_DAY), label, at)
            for symbol in ("AAPL", "GOOG", "IBM", "MSFT"):
                rows += bars(symbol, path(-0.03, wobble=0.01), slot=slot)
        blank = {column.name: None for column in INTRADAY_FEATURES.columns}
        lake.write(
            INTRADAY_FEATURES, INTRADAY_FEATURES.frame([{**blank, **row} for row in rows]), Span(HOME_DAY, HOME_DAY)
        )
        assert run("11:05").success
        assert run("11:05").success, "a repeated review replaces its row and proposes nothing twice"
        assert not run("10:05").success
        first = stored_reviews(desk)
    with living_in(tmp_path / "home", clock="2012-08-14T12:06:00-04:00"):
        assert run("12:05").success
        desk = DeskResource()
        assert [(r["slot"], r["view_now"], r["advice"]) for r in stored_reviews(desk)] == [
            ("11:05", "trending_bear", "tighten"),
            ("12:05", "trending_bear", "tighten"),
        ]
        with reading(desk.engine(DESK)) as connection:
            told = [m.draft for m in read_messages(connection, Wanted(topics=frozenset({"regime"})), after=0, limit=9)]
        proposed = desk.proposals().proposals()
    assert len(first) == 1
    assert [draft.correlation_id for draft in told] == ["review/2012-08-14/trending_bear"]
    assert [(each.name, each.before, each.after, each.origin) for each in proposed] == [
        ("position_fraction", 0.05, 0.04, "adaptor")
    ]
    assert key_of(REVIEWS, DESK) == dg.AssetKey([DESK, "reviews"])
