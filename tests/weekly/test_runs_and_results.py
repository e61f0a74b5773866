"""Run days, and what came of earlier portfolios: judged once, close to close, beside what was expected."""

import math
from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.features.frames import splits_of
from tests.weekly.worlds import DECISIONS, made, open_screen, plan, walked
from trading_assets.core.calendar import XNYS
from trading_assets.core.operations import OperationsSettings, Weekly
from trading_assets.core.ports import Span
from trading_assets.weekly.model import TOTAL, WEEKLY_PORTFOLIO, WEEKLY_RESULTS, WEEKLY_SCREEN
from trading_assets.weekly.portfolio import Plan
from trading_assets.weekly.reporting import report_of
from trading_assets.weekly.results import calibration, weekly_results
from trading_assets.weekly.runs import ends_on, next_run, outline_of, run_before, runs_in

DAYS = ("mon", "tue", "wed", "thu", "fri")


# --- run days ------------------------------------------------------------------------------------------------------


def test_a_closed_run_day_runs_after_the_session_before() -> None:
    """Good Friday 2024 is the 29th of March."""
    fridays = plan().outline
    assert runs_in(fridays, Span(date(2024, 3, 25), date(2024, 4, 5))) == (date(2024, 3, 28), date(2024, 4, 5))
    assert next_run(fridays, date(2024, 3, 22)) == date(2024, 3, 28)
    assert run_before(fridays, date(2024, 4, 5)) == date(2024, 3, 28)


def test_two_run_days_make_two_portfolios_a_week_each_valid_until_the_next() -> None:
    twice = plan(run_days=("tue", "fri")).outline
    assert runs_in(twice, Span(date(2024, 5, 6), date(2024, 5, 10))) == (date(2024, 5, 7), date(2024, 5, 10))
    assert next_run(twice, date(2024, 5, 7)) == date(2024, 5, 10)
    assert next_run(twice, date(2024, 5, 10)) == date(2024, 5, 14)


def test_a_weekly_desk_that_is_switched_off_has_no_run_days_and_nothing_stays_valid() -> None:
    off = plan(enabled=False).outline
    assert runs_in(off, Span(date(2024, 1, 2), date(2024, 12, 31))) == ()
    assert next_run(off, date(2024, 5, 10)) == date(2024, 5, 13), "for one session at most"


@given(
    st.dates(date(1995, 1, 1), date(2026, 1, 1)),
    st.sets(st.sampled_from(DAYS), min_size=1),
    st.integers(1, 13),
)
@settings(max_examples=40, deadline=None)
def test_the_next_run_is_the_first_run_day_after_a_session(day: date, days: set[str], every: int) -> None:
    told = OperationsSettings(weekly=Weekly.model_validate({"run_days": tuple(sorted(days)), "every_weeks": every}))
    outline, session = outline_of(told, DECISIONS), XNYS.next(day).day
    following = next_run(outline, session)
    runs = runs_in(outline, Span(session, session + timedelta(days=14 * every)))
    assert following == next(run for run in runs if run > session)
    assert run_before(outline, following) == max((run for run in runs if run < following), default=session) or (
        run_before(outline, following) <= session
    )


def test_a_horizon_ends_with_a_session_and_never_beyond_the_calendar() -> None:
    assert ends_on(date(2012, 6, 15), 5) == date(2012, 6, 22)
    assert ends_on(XNYS.days[-3], 5) is None


# --- results -------------------------------------------------------------------------------------------------------


def judged(how: Plan, span: Span, bars: pl.DataFrame, actions: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    facts, _ = made()
    screen, portfolios = walked(facts, span, how)
    days = runs_in(how.outline, span)
    return portfolios, weekly_results(portfolios, screen, bars, actions, how.outline, days=days)


def test_every_portfolio_whose_horizon_ended_is_judged_once_and_by_the_first_run_after_it() -> None:
    facts, span = made()
    how = plan(open_screen(), p_loss_max=1.0, horizon_sessions=7)
    portfolios, results = judged(how, span, facts.bars, facts.actions)
    totals = results.filter(pl.col("symbol") == TOTAL)
    due = [day for day in sorted(set(portfolios["session"])) if (ends_on(day, 7) or date.max) <= span.last]
    runs = runs_in(how.outline, span)
    wanted = [
        (day, next(run for run in runs if run >= (ends_on(day, 7) or date.max)))
        for day in due
        if any(run >= (ends_on(day, 7) or date.max) for run in runs)
    ]
    assert wanted
    assert sorted(totals.select("made", "session").rows()) == wanted


def test_an_outcome_is_the_ratio_of_closes_with_splits_taken_out() -> None:
    """AAA splits two for one ten sessions before the end; the stored closes halve, the outcome does not."""
    facts, span = made()
    how = plan(open_screen(), p_loss_max=1.0, run_days=DAYS)
    _, results = judged(how, span, facts.bars, facts.actions)
    closes = {(row["symbol"], row["session"]): row["close"] for row in facts.bars.rows(named=True)}
    ex_date = facts.actions["session"].to_list()[0]
    through = 0
    for row in results.filter(pl.col("symbol") != TOTAL).rows(named=True):
        plain = closes[row["symbol"], row["ended"]] / closes[row["symbol"], row["made"]]
        split = row["symbol"] == "AAA" and row["made"] < ex_date <= row["ended"]
        through += split
        assert row["outcome"] == pytest.approx(plain * (2 if split else 1) - 1, abs=1e-6)
    assert through > 0


def test_the_total_is_the_weighted_sum_beside_the_mean_of_the_universe() -> None:
    facts, span = made()
    how = plan(open_screen(), p_loss_max=1.0, holdings_max=2)
    portfolios, results = judged(how, span, facts.bars, facts.actions)
    for day in sorted(set(results["made"])):
        rows = {row["symbol"]: row for row in results.filter(pl.col("made") == day).rows(named=True)}
        total = rows.pop(TOTAL)
        assert total["outcome"] == pytest.approx(math.fsum(r["weight"] * r["outcome"] for r in rows.values()), abs=2e-6)
        assert total["universe"] == pytest.approx(math.fsum(r["outcome"] for r in rows.values()) / 4, abs=2e-6)
        assert total["inside_90"] == (total["low_90"] <= total["outcome"] <= total["high_90"])
        expected = portfolios.filter((pl.col("session") == day) & (pl.col("symbol") == TOTAL)).row(0, named=True)
        assert total["high_90"] == expected["high_90"]


def test_a_symbol_without_a_bar_in_the_horizon_has_no_outcome_and_is_cash() -> None:
    facts, span = made()
    how = plan(open_screen(), p_loss_max=1.0)
    first = runs_in(how.outline, span)[0]
    gone = facts.bars.filter((pl.col("symbol") != "BBB") | (pl.col("session") <= first))
    _, results = judged(how, span, gone, facts.actions)
    rows = {row["symbol"]: row for row in results.filter(pl.col("made") == first).rows(named=True)}
    assert rows["BBB"]["weight"] > 0
    assert rows["BBB"]["outcome"] is None
    assert rows["BBB"]["inside_90"] is None
    others = math.fsum(r["weight"] * r["outcome"] for s, r in rows.items() if s not in {"BBB", TOTAL})
    assert rows[TOTAL]["outcome"] == pytest.approx(others, abs=2e-6)


def test_a_later_split_changes_no_outcome() -> None:
    facts, span = made()
    how = plan(open_screen(), p_loss_max=1.0)
    _, usual = judged(how, span, facts.bars, facts.actions)
    later = splits_of(("BBB", XNYS.next(span.last).day, 3.0))
    _, again = judged(how, span, facts.bars, pl.concat([facts.actions, later]))
    assert again.equals(usual, null_equal=True)


def test_without_portfolios_there_is_nothing_to_judge() -> None:
    facts, span = made()
    empty = weekly_results(
        WEEKLY_PORTFOLIO.empty(), WEEKLY_SCREEN.empty(), facts.bars, facts.actions, plan().outline, days=[span.last]
    )
    assert empty.is_empty()
    assert calibration(empty).inside_90 is None
    assert calibration(empty).judged == 0


def test_calibration_counts_what_lay_inside() -> None:
    day = date(2012, 6, 15)
    shared = {"session": day, "made": day, "ended": day, "knowable_at": XNYS.session(day).close}
    bands = {"low_90": -0.1, "low_50": -0.02, "middle": 0.0, "high_50": 0.02, "high_90": 0.1, "expected_return": 0.0}

    def row(symbol: str, outcome: float | None, inside: tuple[bool | None, bool | None], **more: Any) -> dict[str, Any]:
        told = {"symbol": symbol, "outcome": outcome, "universe": 0.01, "p_loss": 0.4, "weight": 0.5}
        return {**shared, **bands, **told, "inside_50": inside[0], "inside_90": inside[1], **more}

    found = calibration(
        WEEKLY_RESULTS.frame(
            [
                row("AAA", 0.01, (True, True)),
                row("BBB", -0.05, (False, True)),
                row("CCC", 0.2, (False, False), weight=0.0),
                row("DDD", None, (None, None)),
                row(TOTAL, 0.02, (True, True)),
            ]
        )
    )
    assert (found.judged, found.inside_50, found.inside_90) == (3, 1 / 3, 2 / 3)
    assert found.lost == 1 / 3
    assert found.lost_expected == pytest.approx(0.4)
    assert (found.portfolios, found.hit_rate, found.beat_universe) == (1, 0.5, 1.0)


# --- the report ----------------------------------------------------------------------------------------------------


class Shelf:
    """A lake of a few frames."""

    def __init__(self, **frames: pl.DataFrame) -> None:
        self._frames = frames

    def read(self, table: Any, *, as_of: Any, first: date | None = None, last: date | None = None) -> pl.DataFrame:
        rows = self._frames.get(table.name, table.empty()).filter(pl.col("knowable_at") <= as_of)
        shown: pl.DataFrame = rows.filter(pl.col("session").is_between(first or date.min, last or date.max))
        return shown


def test_the_report_says_what_is_wanted_why_and_what_came_of_it() -> None:
    facts, span = made()
    how = plan(open_screen(), p_loss_max=1.0, capital_fraction=0.2)
    portfolios, results = judged(how, span, facts.bars, facts.actions)
    day = max(portfolios["session"])
    told = report_of(Shelf(weekly_portfolio=portfolios, weekly_results=results), day, as_of=XNYS.session(day).close)  # type: ignore[arg-type]
    for row in portfolios.filter(pl.col("session") == day).rows(named=True):
        assert f"| {row['symbol']} | {row['action']} |" in told.markdown
        assert row["reason"] in told.markdown
    assert "The weekly desk may use 20.0% of equity." in told.markdown
    assert f"{told.calibration.judged} simulated symbols" in told.markdown
    assert set(told.plots) == {"expected.png", "bands.png", "growth.png"}
    assert all(content.startswith(b"\x89PNG") for content in told.plots.values())


def test_the_report_of_a_week_without_data_says_so() -> None:
    day = date(2012, 6, 15)
    told = report_of(Shelf(), day, as_of=XNYS.session(day).close)  # type: ignore[arg-type]
    assert "No portfolio was made" in told.markdown
    assert "None has been judged yet." in told.markdown
    assert told.plots == {}
