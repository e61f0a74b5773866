"""Who and what a closed trade's P&L belongs to: by hand, and as rules that hold for any votes."""

import json
import math
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.evaluation.books import day, trade_row, trades
from tests.evaluation.measured import (
    BOOK,
    entry,
    evidence_row,
    evidences,
    plan_rows,
    theses,
    thesis_row,
    trade_id,
    vote_rows,
)
from trading_assets.core.ids import short_id
from trading_assets.evaluation.attribution import attribution, shares_by, split_pnl, time_of_day, voice_shares
from trading_assets.evaluation.attribution_plot import draw_attribution
from trading_assets.evaluation.model import ATTRIBUTION, DIMENSIONS, UNEXPLAINED
from trading_assets.plans.ensemble import attributed
from trading_assets.plans.model import TRADE_PLANS, VOTES
from trading_assets.theses.memory.model import Lesson
from trading_assets.theses.model import THESES

MADE = entry(1)
COUNTS = {"technical": 1.2, "debate": 0.5, "breadth": -0.3}
money = st.decimals(min_value=-100_000, max_value=100_000, places=4)
voices = st.dictionaries(st.sampled_from("abcdef"), st.floats(-4, 4, allow_nan=False), max_size=6)


def shared(pnl: object = 200, **more: Any) -> pl.DataFrame:
    """One trade opened by MADE on the first session, with whatever is given instead of the whole record."""
    known: dict[str, pl.DataFrame] = {
        "plans": plan_rows(MADE),
        "votes": vote_rows(MADE),
        "theses": theses(thesis_row(MADE, COUNTS)),
        "evidence": evidences(evidence_row(1, "clean")),
    }
    frames = {**known, **{name: frame for name, frame in more.items() if name in known}}
    row = trade_row(3, pnl, trade_id=trade_id(MADE), opened=day(1), **more.get("trade", {}))
    return attribution(trades(row), book=BOOK, **frames)


def of(rows: pl.DataFrame, dimension: str) -> dict[str, tuple[float, Decimal]]:
    some = rows.filter(pl.col("dimension") == dimension).select("name", "share", "pnl")
    return {name: (share, pnl) for name, share, pnl in some.iter_rows()}


def test_a_trade_belongs_whole_to_its_strategy_regime_slot_evidence_thesis_and_author() -> None:
    rows = shared()
    whole = (1.0, Decimal("200.0000"))
    assert of(rows, "strategy") == {"pullback": whole}
    assert of(rows, "regime") == {"trending_up": whole}
    assert of(rows, "time_of_day") == {"09:30": whole}
    assert of(rows, "evidence") == {"clean": whole}
    assert of(rows, "thesis") == {f"AAPL long {MADE.thesis_id}": whole}
    assert of(rows, "author") == {"rules": whole}
    assert set(rows["session"]) == {day(3)}


def test_personas_share_by_weight_times_vote_and_a_vote_against_loses_when_the_trade_wins() -> None:
    """0.5 and 2 x 0.25 for, 0.25 against: of 1.25 each, 40 % twice and -20 %; the other 40 % nobody explains."""
    found = of(shared(), "persona")
    assert {name: share for name, (share, _) in found.items()} == {
        "contrarian": 0.4,
        "technical": 0.4,
        "momentum": -0.2,
        UNEXPLAINED: 0.4,
    }
    assert found["momentum"][1] == Decimal("-40.0000")
    assert of(shared(-200), "persona")["momentum"][1] == Decimal("40.0000")


def test_voices_that_all_agree_explain_the_whole_trade() -> None:
    made = entry(1, thesis_id=MADE.thesis_id).model_copy(update={"votes": {"contrarian": 0.5, "technical": 0.1}})
    rows = shared(plans=plan_rows(made), votes=vote_rows(made, weights={"contrarian": 1.0, "technical": 1.0}))
    found = of(rows, "persona")
    assert UNEXPLAINED not in found
    assert sum(pnl for _, pnl in found.values()) == 200


def test_the_rule_for_personas_has_the_sign_and_the_order_of_the_ensembles_own() -> None:
    """What raises a persona's weight is what it is shown to have earned."""
    lesson = Lesson.model_construct(pnl=Decimal(200), votes={"contrarian": 0.5, "momentum": -0.25, "technical": 0.25})
    equal = dict.fromkeys(lesson.votes, 1.0)
    found = of(shared(votes=vote_rows(MADE, weights=equal)), "persona")
    scale = {name: float(found[name][1]) / attributed(name, lesson) for name in lesson.votes}
    assert max(scale.values()) == pytest.approx(min(scale.values()))


def test_analysts_share_by_the_log_odds_that_counted_in_the_thesis_at_the_entry() -> None:
    found = of(shared(), "analyst")
    assert {name: share for name, (share, _) in found.items()} == {
        "technical": 0.6,
        "debate": 0.25,
        "breadth": -0.15,
        UNEXPLAINED: 0.3,
    }


def test_what_a_thesis_believed_beyond_its_sources_belongs_to_nobody() -> None:
    believed = thesis_row(MADE, {"technical": 1.0}, confidence=1 / (1 + math.exp(-2.0)))
    found = of(shared(theses=theses(believed)), "analyst")
    assert found["technical"][0] == pytest.approx(0.5, abs=1e-5)
    assert found[UNEXPLAINED][0] == pytest.approx(0.5, abs=1e-5)


def test_an_analyst_who_spoke_against_the_side_of_the_trade_counts_against_it() -> None:
    against = thesis_row(MADE, {"technical": 1.0}, direction="short")
    assert of(shared(theses=theses(against)), "analyst")["technical"][0] == -1.0


def test_the_thesis_is_read_as_it_stood_when_the_trade_was_opened_and_not_later() -> None:
    later = {**thesis_row(MADE, {"news": 3.0}), "session": day(2)}
    found = of(shared(theses=theses(thesis_row(MADE, COUNTS), later)), "analyst")
    assert "news" not in found


@pytest.mark.parametrize(
    ("missing", "unexplained"),
    [
        ({"plans": TRADE_PLANS.empty()}, {"time_of_day", "thesis", "author", "persona", "analyst"}),
        ({"theses": THESES.empty()}, {"thesis", "author", "analyst"}),
        ({"votes": VOTES.empty()}, {"persona"}),
        ({"votes": vote_rows(MADE, weights={"contrarian": 1.0})}, {"persona"}),
    ],
)
def test_what_is_not_on_record_is_unexplained_and_never_guessed(
    missing: dict[str, pl.DataFrame], unexplained: set[str]
) -> None:
    rows = shared(**missing)
    alone = {name for name in DIMENSIONS if of(rows, name).keys() == {UNEXPLAINED}}
    assert alone == unexplained
    assert {sum(pnl for _, pnl in of(rows, name).values()) for name in DIMENSIONS} == {Decimal(200)}


def test_a_decision_that_nobody_labelled_is_unknown() -> None:
    assert of(shared(evidence=evidences()), "evidence").keys() == {"unknown"}
    assert of(shared(plans=TRADE_PLANS.empty()), "evidence").keys() == {"unknown"}


def test_the_plan_of_another_book_is_not_the_trades() -> None:
    row = trade_row(3, 200, trade_id=short_id("desk", MADE.id), opened=day(1))
    frames = (plan_rows(MADE), vote_rows(MADE), theses(thesis_row(MADE, COUNTS)), evidences(evidence_row(1)))
    assert of(attribution(trades(row), *frames, book=BOOK), "thesis").keys() == {UNEXPLAINED}
    assert of(attribution(trades(row), *frames, book="desk"), "thesis").keys() != {UNEXPLAINED}


def test_no_trade_is_no_row() -> None:
    empty = attribution(trades(), plan_rows(), vote_rows(), theses(), evidences(), book=BOOK)
    assert empty.equals(ATTRIBUTION.empty())


@settings(max_examples=60, deadline=None)
@given(pnl=money, counted=voices, beside=st.floats(-4, 4))
@example(pnl=Decimal("0.0001"), counted={"a": 1e-300, "b": -1e-300}, beside=0.0)
@example(pnl=Decimal(7), counted={"a": math.inf}, beside=0.0)
def test_shares_sum_to_one_and_their_money_to_the_trade_whatever_was_said(
    pnl: Decimal, counted: dict[str, float], beside: float
) -> None:
    shares = voice_shares(counted, beside=beside)
    assert math.fsum(shares.values()) == pytest.approx(1.0, abs=1e-5)
    assert all(abs(share) <= 1.0 for name, share in shares.items() if name != UNEXPLAINED)
    assert all(shares[name] * counted[name] >= 0 for name in shares if name != UNEXPLAINED)
    parts = split_pnl(pnl, shares)
    assert sum(parts.values(), Decimal(0)) == pnl
    assert parts.keys() == shares.keys()


def test_slots_that_an_event_made_have_one_name() -> None:
    assert [time_of_day(slot) for slot in ("09:30", "10:03:13", "15:30")] == ["09:30", "event", "15:30"]


def test_names_are_listed_by_what_they_earned() -> None:
    listed = shares_by(shared(), "persona")
    assert [name for name, *_ in listed] == ["contrarian", "technical", UNEXPLAINED, "momentum"]
    assert listed[-1] == ("momentum", 1, Decimal("-40.0000"))


def test_the_picture_is_small_and_the_same_for_the_same_rows() -> None:
    picture = draw_attribution(shared())
    assert picture.startswith(b"\x89PNG")
    assert len(picture) < 60_000
    assert draw_attribution(shared().reverse()) == picture
    assert draw_attribution(ATTRIBUTION.empty()).startswith(b"\x89PNG")


def test_votes_are_kept_as_the_plan_has_them() -> None:
    assert json.loads(plan_rows(MADE)["votes"][0]) == dict(MADE.votes)
