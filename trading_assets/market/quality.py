"""The quality gate: Great Expectations suites that judge sessions of bars, one verdict per session.

Bars are prepared first: each row gets what a rule needs from its neighbours (the move since the close before, the activity
against the sessions before, the number of sessions that a symbol has been silent), so that every expectation looks at one
row and every failure names its symbol and session. A verdict on a session uses that session and earlier ones only.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import polars as pl

from trading_assets.core.calendar import Calendar
from trading_assets.core.ports import Span
from trading_assets.market import prepare, standstill
from trading_assets.market.cross_check import SecondOpinion, disagreements
from trading_assets.market.expectations import SessionVerdict, at_least, between, only, suite, verdicts_on
from trading_assets.market.universe.listings import Listed

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite


def judge_daily(
    bars: pl.DataFrame,
    actions: pl.DataFrame,
    *,
    span: Span,
    calendar: Calendar,
    instruments: Sequence[Listed] = (),
    second_opinion: SecondOpinion | None = None,
) -> list[SessionVerdict]:
    """One verdict per session of the span, ascending.

    Args:
        bars: Rows of DAILY_BARS up to the span's end, duplicates allowed. At least 30 sessions before the span give every rule
            its history; with less, a jump cannot be excused by heavy volume in the first sessions. The last bar of a symbol
            before a longer silence belongs to it, or its return is taken for a beginning.
        actions: Rows of CORPORATE_ACTIONS of the same time.
        span: The sessions to judge.
        calendar: Sessions of the exchange.
        instruments: Declared lives: they explain a ticker with a new owner, and bars outside them are failures.
        second_opinion: Bars of another source and how far apart the two may be; None when none is configured.

    Raises:
        TableMismatch: Columns or types of `bars` are not those of DAILY_BARS.
    """
    rows = prepare.daily(bars, actions, span=span, calendar=calendar, instruments=instruments)
    verdicts = verdicts_on(rows, daily_suite(), span=span, calendar=calendar)
    if second_opinion is None:
        return verdicts
    apart = disagreements(bars, second_opinion, span=span)
    return [_with_failures(verdict, apart.get(verdict.session, ())) for verdict in verdicts]


def judge_intraday(bars: pl.DataFrame, *, span: Span, calendar: Calendar) -> list[SessionVerdict]:
    """One verdict per session of the span, ascending; every session must have closed.

    Args:
        bars: Rows of INTRADAY_BARS of any frequencies up to the span's end, duplicates allowed.
        span: The sessions to judge.
        calendar: Sessions of the exchange.

    Raises:
        TableMismatch: Columns or types of `bars` are not those of INTRADAY_BARS.
    """
    rows = prepare.intraday(bars, span=span, calendar=calendar)
    return verdicts_on(rows, intraday_suite(), span=span, calendar=calendar)


def daily_suite() -> "ExpectationSuite":
    """The rules for daily bars; those of severity `warning` do not close the gate."""
    rules = (_bar_rules, _presence_rules, _move_rules, _daily_rules, _life_rules, _still_rules, _time_rules)
    return suite("daily_bars", [rule for some in rules for rule in some()])


def intraday_suite() -> "ExpectationSuite":
    """The rules for intraday bars; those of severity `warning` do not close the gate."""
    rules = (_bar_rules, _presence_rules, _move_rules, _intraday_rules, _time_rules)
    return suite("intraday_bars", [rule for some in rules for rule in some()])


def _bar_rules() -> list[Any]:
    bar = "{series}: open {open:g}, high {high:g}, low {low:g}, close {close:g}, volume {volume:g}: "
    return [
        only("unusable_numbers", 0, bar + "{unusable_numbers} of these are not finite numbers"),
        between("lowest_price", bar + "prices must be above 0", min_value=0, strict_min=True),
        between("volume", bar + "volume must not be below 0", min_value=0),
        at_least("high", "low", bar + "high must not be below low"),
        at_least("high", "higher_end", bar + "high must not be below open or close"),
        at_least("lower_end", "low", bar + "low must not be above open or close"),
        only("copies", 1, bar + "the same bar stands {copies} times"),
    ]


def _time_rules() -> list[Any]:
    early = "{series}: the bar of {start} is knowable {known_early_seconds} s before its end"
    return [only("known_early_seconds", 0, early)]


def _presence_rules() -> list[Any]:
    missing = "{series}: no bar; missing for {sessions_missing} session(s) in a row"
    ended = f"{{series}}: no bar for more than {prepare.SILENT_SESSIONS_MAX} sessions; counts as ended from here on"
    return [
        only("feed", "alive", "no bar of any symbol in this session"),
        only("sessions_missing", 0, missing),
        only("life", "going on", ended, severity="warning"),
    ]


def _move_rules() -> list[Any]:
    move = "{series}: close {close:g} after {reference:g} (actions taken into account) is a move of {move:+.1%}"
    usual = {"min_value": -prepare.MOVE_MAX, "max_value": prepare.MOVE_MAX}
    factor = {"min_value": 1 / prepare.FACTOR_MAX, "max_value": prepare.FACTOR_MAX}
    units = "{series}: close {close:g} after a usual {usual_close:g} looks 100 times {units}: pence and pounds?"
    return [
        only("units", "usual", units),
        between("factor", f"{move}: no action explains a factor beyond {prepare.FACTOR_MAX:g}", **factor),
        between("move_ordinary", move + " on {activity:.1f} times the usual trading: no action explains it", **usual),
        between("move_busy", move + " on {activity:.1f} times the usual trading", severity="warning", **usual),
    ]


def _daily_rules() -> list[Any]:
    says = "{series}: volume 0 in a whole session"
    unseen = "{series}: a split of {ratio:g} is recorded, but close {close:g} after {before:g} does not show it"
    return [
        between("volume", says, min_value=0, strict_min=True, severity="warning"),
        between("split_seen", unseen, min_value=prepare.SPLIT_SEEN_MIN),
        only("off_open_seconds", 0, "{series}: the bar starts at {start}, the session opens at {session_open}"),
    ]


def _life_rules() -> list[Any]:
    back = (
        "{series}: back after {back_after} sessions without a bar; if the ticker has a new owner, declare the one before in "
        "config/settings.yaml as {series}-{seen_before:%Y%m%d} (ticker {series}, last_session {seen_before}), and {series} "
        "with first_session {session}"
    )
    return [
        only("back_after", 0, back),
        only("declared_life", "within", "{series}: a bar {declared_life}; ingest the session anew"),
    ]


def _still_rules() -> list[Any]:
    again = "{series}: the same bar, volume {volume:g} included, for {repeated} sessions in a row"
    return [
        between("repeated_traded", again, max_value=standstill.REPEATED_TRADED_MAX),
        between("repeated", again, max_value=standstill.REPEATED_MAX),
        only("twin", "none", "{series}: the same bar as {twin}, volume {volume:g} included"),
        only("market", "moving", "{market}"),
        between(
            "acted_in_a_row",
            "{series}: a split or dividend in {acted_in_a_row} sessions in a row",
            max_value=standstill.ACTIONS_IN_A_ROW_MAX,
        ),
    ]


def _intraday_rules() -> list[Any]:
    found = "{series}: {bars_found} of {bars_possible} possible bars"
    return [
        only("place", "inside", "{series}: the bar of {start} starts outside the session"),
        only("off_grid_seconds", 0, "{series}: the bar of {start} starts {off_grid_seconds} s off its grid"),
        between("coverage", found, min_value=prepare.COVERAGE_MIN),
        between("coverage_usable", found, min_value=prepare.COVERAGE_USUAL, severity="warning"),
        between(
            "repeated_traded",
            "{series}: the same bar, volume {volume:g} included, {repeated} times in a row",
            max_value=standstill.REPEATED_INTRADAY_MAX,
        ),
        only("moves_within", "moving", "{series}: all {bars_found} bars of the session hold the same numbers"),
        only("session_twin", "none", "{series}: the same bars throughout the session as {session_twin}"),
    ]


def _with_failures(verdict: SessionVerdict, more: Sequence[str]) -> SessionVerdict:
    return replace(verdict, passed=False, failures=(*verdict.failures, *more)) if more else verdict
