"""Screen, simulated filter and weights: bounded, in order, the same from anywhere, and never a small change."""

import math
from datetime import date
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.weekly.worlds import made, open_screen, plan, real, real_weeks, rules, targets, walked
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span
from trading_assets.core.preferences import Preferences
from trading_assets.weekly.model import TOTAL, Portfolios, Targets, targets_of
from trading_assets.weekly.portfolio import settled, shares_by_score, weekly_portfolios
from trading_assets.weekly.runs import runs_in
from trading_assets.weekly.screen import past_of, weekly_screen

SCORES = st.lists(st.floats(0.01, 1.0), max_size=12)
CAPS = st.floats(0.01, 1.0)


def rows_of(frame: pl.DataFrame, day: date | None = None) -> dict[str, dict[str, Any]]:
    """By symbol, the rows of a session, of the newest without any."""
    day = day or frame["session"].max()  # type: ignore[assignment]
    return {row["symbol"]: row for row in frame.filter(pl.col("session") == day).rows(named=True)}


# --- weights -------------------------------------------------------------------------------------------------------


@given(SCORES, CAPS)
@settings(max_examples=60, deadline=None)
def test_weights_never_pass_their_cap_nor_one_together_and_follow_the_score(scores: list[float], cap: float) -> None:
    given_ = shares_by_score(scores, cap)
    assert all(0 <= weight <= cap for weight in given_)
    whole = math.fsum(given_)
    assert whole <= 1
    assert whole >= min(1.0, cap * len(scores)) - 1e-6 * max(1, len(scores)), "what the cap allows is used"
    for one, other, a, b in zip(given_, given_[1:], scores, scores[1:], strict=False):
        assert (one - other) * (a - b) >= 0 or abs(one - other) <= 1e-6


def test_what_one_symbol_cannot_take_the_others_share() -> None:
    assert shares_by_score([4.0, 3.0, 1.0], 0.4) == (0.4, 0.4, 0.2), "the second passes the cap when it takes over"
    assert shares_by_score([1.0, 1.0, 2.0], 1.0) == (0.25, 0.25, 0.5)
    assert shares_by_score([0.5], 1.0) == (1.0,)
    assert shares_by_score([], 1.0) == ()


def test_a_small_change_is_not_made_and_a_large_one_is() -> None:
    before = {"AAA": 0.30, "BBB": 0.30, "DDD": 0.2}
    got = settled({"AAA": 0.315, "BBB": 0.25, "CCC": 0.01}, before, least=0.02, cap=1.0)
    assert got == {"AAA": 0.30, "BBB": 0.25, "CCC": 0.0}, "and what leaves is not among them"


def test_a_change_of_just_the_least_is_made() -> None:
    assert settled({"AAA": 0.25}, {"AAA": 0.125}, least=0.125, cap=1.0) == {"AAA": 0.25}


def test_weights_that_were_kept_never_make_more_than_the_whole() -> None:
    wanted, before = {"AAA": 0.50, "BBB": 0.50}, {"AAA": 0.515, "BBB": 0.40}
    assert settled(wanted, before, least=0.02, cap=1.0) == wanted


def test_a_symbol_above_a_new_cap_comes_down_however_little_it_is() -> None:
    assert settled({"AAA": 0.10}, {"AAA": 0.11}, least=0.02, cap=0.10) == {"AAA": 0.10}


@given(
    st.dictionaries(st.sampled_from("ABCDEF"), st.floats(0.01, 0.16), max_size=6),
    st.dictionaries(st.sampled_from("ABCDEF"), st.floats(0.01, 0.16), max_size=6),
    st.floats(0, 0.2),
)
@settings(max_examples=60, deadline=None)
def test_settled_weights_stay_whole_and_every_change_reaches_the_least(
    wanted: dict[str, float], before: dict[str, float], least: float
) -> None:
    got = settled(wanted, before, least=least, cap=1.0)
    assert got.keys() == wanted.keys()
    assert math.fsum(got.values()) <= 1
    if got != wanted:
        assert all(w == before.get(s, 0.0) or abs(w - before.get(s, 0.0)) >= least for s, w in got.items())


# --- the portfolio -------------------------------------------------------------------------------------------------


def test_every_run_day_has_a_row_for_each_simulated_symbol_and_one_for_all() -> None:
    screen, portfolios = real_weeks()
    days = sorted(set(screen["session"]))
    assert len(days) == 9
    assert sorted(set(portfolios["session"])) == days
    for day in days:
        rows, passed = rows_of(portfolios, day), screen.filter((pl.col("session") == day) & pl.col("passed"))
        assert {*passed["symbol"], TOTAL} <= set(rows)
        held = math.fsum(row["weight"] for symbol, row in rows.items() if symbol != TOTAL)
        assert rows[TOTAL]["weight"] == pytest.approx(held, abs=1e-6)
        assert all(row["reason"] for row in rows.values())
        assert rows[TOTAL]["valid_until"] > day


def test_p_loss_above_its_bound_leaves_a_symbol_out_and_says_so() -> None:
    facts, span = real()
    last = Span(span.last, span.last)
    everyday: dict[str, Any] = {"run_days": ("mon", "tue", "wed", "thu", "fri")}
    loose = rows_of(walked(facts, last, plan(open_screen(), p_loss_max=1.0, **everyday))[1])
    losses = sorted(row["p_loss"] for symbol, row in loose.items() if symbol != TOTAL)
    bound = (losses[0] + losses[-1]) / 2
    strict = rows_of(walked(facts, last, plan(open_screen(), p_loss_max=bound, **everyday))[1])
    for symbol, row in strict.items():
        if symbol != TOTAL:
            assert (row["weight"] > 0) == (row["p_loss"] <= bound)
            assert (f"is above {bound:g}" in row["reason"]) == (row["p_loss"] > bound)


def test_no_more_are_held_than_allowed_and_each_within_the_limit_of_one_position() -> None:
    facts, span = real()
    two = plan(open_screen(), p_loss_max=1.0, holdings_max=2, capital_fraction=0.2)
    _, portfolios = walked(facts, span, two)
    for day in set(portfolios["session"]):
        rows = rows_of(portfolios, day)
        weights = [row["weight"] for symbol, row in rows.items() if symbol != TOTAL]
        assert sum(weight > 0 for weight in weights) == 2
        assert max(weights) <= 0.25, "5 % of equity is a quarter of a fifth"
        assert rows[TOTAL]["weight"] == pytest.approx(0.5, abs=1e-5), "the rest stays cash"
        assert any("beyond the 2 that are held" in row["reason"] for row in rows.values())


def test_the_operators_limit_of_positions_binds_too() -> None:
    assert plan(holdings_max=5, limits=Preferences(positions_max=3)).holdings_max == 3


def test_a_symbol_keeps_its_weight_until_the_change_is_large_enough() -> None:
    facts, span = real()
    still = plan(open_screen(), p_loss_max=1.0, turnover_min_fraction=1.0)
    _, portfolios = walked(facts, span, still, before=targets({"IBM": 0.2}, session=span.first, until=span.last))
    rows = rows_of(portfolios)
    assert rows["IBM"]["action"] == "keep"
    assert rows["IBM"]["weight"] == 0.2
    assert {row["action"] for symbol, row in rows.items() if symbol not in {"IBM", TOTAL}} == {"pass"}
    assert rows[TOTAL]["weight"] == 0.2


def test_what_was_held_and_is_wanted_no_more_leaves_whole_with_the_reason() -> None:
    facts, span = real()
    before = targets({"GONE": 0.01, "IBM": 0.3}, session=span.first, until=span.last)
    _, portfolios = walked(facts, span, plan(p_loss_max=0.000001), before=before)
    first = rows_of(portfolios, min(portfolios["session"]))
    assert (first["GONE"]["action"], first["GONE"]["reason"]) == ("leave", "it has no indicators")
    assert first["IBM"]["action"] == "leave"
    assert first["IBM"]["weight"] == 0
    assert first[TOTAL]["weight"] == 0
    assert first[TOTAL]["low_90"] is None
    assert not set(rows_of(portfolios)) & {"GONE"}, "it is told once"


def test_the_paths_of_the_whole_are_those_of_its_parts() -> None:
    """One symbol that weighs all is expected as the portfolio is."""
    facts, span = real()
    alone = rows_of(walked(facts, span, plan(open_screen(), p_loss_max=1.0, holdings_max=1))[1])
    (held,) = [row for symbol, row in alone.items() if symbol != TOTAL and row["weight"] > 0]
    assert held["weight"] == 1.0
    for name in ("p_loss", "expected_return", "low_90", "middle", "high_90"):
        assert alone[TOTAL][name] == held[name]


def test_symbols_that_move_apart_make_a_calmer_portfolio() -> None:
    _, portfolios = real_weeks()
    rows = rows_of(portfolios)
    width = {symbol: row["high_90"] - row["low_90"] for symbol, row in rows.items() if row["weight"] > 0}
    mean = math.fsum(rows[s]["weight"] * w for s, w in width.items() if s != TOTAL) / rows[TOTAL]["weight"]
    assert width[TOTAL] < mean * rows[TOTAL]["weight"]


# --- what bad input gets -------------------------------------------------------------------------------------------


def test_a_universe_of_one_is_held_whole_or_not_at_all() -> None:
    facts, span = made(("AAA",))
    _, portfolios = walked(facts, span, plan(open_screen(), p_loss_max=1.0))
    assert portfolios.height
    assert {row["weight"] for row in portfolios.rows(named=True)} == {1.0}


def test_a_universe_that_the_screen_refuses_whole_wants_nothing_and_says_how_many_it_saw() -> None:
    facts, span = real()
    dear = rules(screen=({"rule": "price_min", "usd": 1e9},))
    screen, portfolios = walked(facts, span, plan(dear))
    assert not screen["passed"].any()
    assert set(portfolios["symbol"]) == {TOTAL}
    assert set(portfolios["weight"]) == {0.0}
    assert set(portfolios["reason"]) == {f"{screen['symbol'].n_unique()} screened, 0 simulated, 0 wanted"}


def test_a_week_without_data_makes_no_portfolio_and_the_next_goes_on_from_the_one_before() -> None:
    facts, span = real()
    how = plan(open_screen(), p_loss_max=1.0)
    days, past = runs_in(how.outline, span), past_of(facts, last=span.last)
    screen = weekly_screen(facts, past, how.rules, days=days)
    gap = weekly_portfolios(screen.filter(pl.col("session") != days[3]), past, how, days=days)
    assert days[3] not in set(gap["session"])
    assert rows_of(gap, days[4])[TOTAL]["made_before"] == days[2]
    assert weekly_portfolios(screen.clear(), past, how, days=days).is_empty()


def test_a_range_is_its_run_days_one_at_a_time() -> None:
    facts, span = made()
    how = plan(open_screen(), p_loss_max=0.6, run_days=("tue", "fri"), turnover_min_fraction=0.05)
    _, whole = walked(facts, span, how)
    before: Targets | None = None
    parts = []
    for day in runs_in(how.outline, span):
        _, one = walked(facts, Span(day, day), how, before=before)
        before = targets_of(one.rows(named=True))
        parts.append(one)
    assert pl.concat(parts).equals(whole, null_equal=True)
    assert whole["session"].n_unique() == 8, "two run days a week"


def test_the_future_of_a_run_day_changes_none_of_its_rows() -> None:
    facts, span = made()
    how = plan(open_screen(), p_loss_max=0.6)
    day = runs_in(how.outline, span)[1]
    _, whole = walked(facts, span, how)
    later = pl.col("session") > day
    fewer = type(facts)(*(frame.filter(~later) for frame in (facts.bars, facts.actions, facts.panel, facts.labels)))
    _, cut = walked(fewer, Span(span.first, day), how)
    assert cut.equals(whole.filter(~later), null_equal=True)


# --- as the cycle sees it ------------------------------------------------------------------------------------------


def test_the_newest_portfolio_that_was_knowable_is_seen_and_no_later_one() -> None:
    _, rows = real_weeks()
    days = sorted(set(rows["session"]))
    seen = Portfolios(rows.rows(named=True))
    assert seen.at(XNYS.session(days[0]).open) is None
    close = XNYS.session(days[2]).close
    first, then = seen.at(close), seen.at(XNYS.next(days[2]).open)
    assert first is not None
    assert first == then
    assert first.session == days[2]
    wanted = {symbol: row["weight"] for symbol, row in rows_of(rows, days[2]).items() if symbol != TOTAL}
    assert dict(first.weights) == {symbol: weight for symbol, weight in wanted.items() if weight > 0}


@pytest.mark.parametrize("wrong", [math.nan, -0.1, 1.1])
def test_rows_that_make_no_portfolio_are_none(wrong: float) -> None:
    _, rows = real_weeks()
    newest = list(rows_of(rows).values())
    assert targets_of(newest) is not None
    assert targets_of([{**row, "weight": wrong} for row in newest]) is None
    assert targets_of([{**row, "capital_fraction": wrong} for row in newest]) is None
    assert targets_of([row for row in newest if row["symbol"] != TOTAL]) is None
    assert targets_of([{**row, "weight": 0.9} for row in newest]) is None, "together more than the whole"


def test_a_portfolio_opens_from_the_session_after_its_run_until_the_next_run_day() -> None:
    made_on, until = date(2012, 6, 15), date(2012, 6, 22)
    seen = targets({"AAA": 0.5}, session=made_on, until=until)
    assert seen.is_stale(made_on)
    assert not seen.is_stale(date(2012, 6, 18))
    assert not seen.is_stale(until)
    assert seen.is_stale(date(2012, 6, 25))
    assert seen.fraction("AAA") == 0.25
    assert seen.fraction("BBB") == 0.0
