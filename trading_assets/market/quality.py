"""The quality gate: Great Expectations suites that judge sessions of bars, one verdict per session.

Bars are prepared first: each row gets what a rule needs from its neighbours (the move since the close before, the activity
against the sessions before, the number of sessions that a symbol has been silent), so that every expectation looks at one
row and every failure names its symbol and session. A verdict on a session uses that session and earlier ones only.
"""

import os
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from trading_assets.core.calendar import Calendar, days_of
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.ports import Span
from trading_assets.market import prepare

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

Severity = Literal["critical", "warning"]
_TRACE = ("series", "session", "row")


@dataclass(frozen=True, slots=True)
class SessionVerdict:
    """What the gate says about one session; each sentence names symbol, value and rule."""

    session: date
    passed: bool
    failures: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def judge_daily(bars: pl.DataFrame, actions: pl.DataFrame, *, span: Span, calendar: Calendar) -> list[SessionVerdict]:
    """One verdict per session of the span, ascending.

    Args:
        bars: Rows of DAILY_BARS up to the span's end, duplicates allowed. At least 30 sessions before the span give every rule
            its history; with less, a jump cannot be excused by heavy volume in the first sessions.
        actions: Rows of CORPORATE_ACTIONS of the same time.
        span: The sessions to judge.
        calendar: Sessions of the exchange.

    Raises:
        TableMismatch: Columns or types of `bars` are not those of DAILY_BARS.
    """
    rows = prepare.daily(bars, actions, span=span, calendar=calendar)
    return _verdicts(rows, daily_suite(), span=span, calendar=calendar)


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
    return _verdicts(rows, intraday_suite(), span=span, calendar=calendar)


def daily_suite() -> "ExpectationSuite":
    """The rules for daily bars; those of severity `warning` do not close the gate."""
    return _suite("daily_bars", [*_bar_rules(), *_presence_rules(), *_move_rules(), *_daily_rules()])


def intraday_suite() -> "ExpectationSuite":
    """The rules for intraday bars; those of severity `warning` do not close the gate."""
    return _suite("intraday_bars", [*_bar_rules(), *_presence_rules(), *_move_rules(), *_intraday_rules()])


def _suite(name: str, rules: list[Any]) -> "ExpectationSuite":
    from great_expectations import ExpectationSuite

    return ExpectationSuite(name=name, expectations=rules)


def _rule(expectation: str, says: str, *, severity: Severity = "critical", **terms: object) -> Any:
    """An expectation whose `meta` holds the sentence for a row that breaks it."""
    expectations = _great_expectations().expectations
    return getattr(expectations, expectation)(meta={"says": says}, severity=severity, **terms)


def _between(column: str, says: str, **terms: Any) -> Any:
    return _rule("ExpectColumnValuesToBeBetween", says, column=column, **terms)


def _only(column: str, allowed: object, says: str, **terms: Any) -> Any:
    return _rule("ExpectColumnValuesToBeInSet", says, column=column, value_set=[allowed], **terms)


def _at_least(higher: str, lower: str, says: str) -> Any:
    return _rule(
        "ExpectColumnPairValuesAToBeGreaterThanB",
        says,
        column_A=higher,
        column_B=lower,
        or_equal=True,
        ignore_row_if="either_value_is_missing",
    )


def _bar_rules() -> list[Any]:
    bar = "{series}: open {open:g}, high {high:g}, low {low:g}, close {close:g}, volume {volume:g}: "
    return [
        _only("unusable_numbers", 0, bar + "{unusable_numbers} of these are not finite numbers"),
        _between("lowest_price", bar + "prices must be above 0", min_value=0, strict_min=True),
        _between("volume", bar + "volume must not be below 0", min_value=0),
        _at_least("high", "low", bar + "high must not be below low"),
        _at_least("high", "higher_end", bar + "high must not be below open or close"),
        _at_least("lower_end", "low", bar + "low must not be above open or close"),
        _only("copies", 1, bar + "the same bar stands {copies} times"),
    ]


def _presence_rules() -> list[Any]:
    missing = "{series}: no bar; missing for {sessions_missing} session(s) in a row"
    ended = f"{{series}}: no bar for more than {prepare.SILENT_SESSIONS_MAX} sessions; counts as ended from here on"
    return [
        _only("feed", "alive", "no bar of any symbol in this session"),
        _only("sessions_missing", 0, missing),
        _only("life", "going on", ended, severity="warning"),
    ]


def _move_rules() -> list[Any]:
    move = "{series}: close {close:g} after {reference:g} (actions taken into account) is a move of {move:+.1%}"
    usual = {"min_value": -prepare.MOVE_MAX, "max_value": prepare.MOVE_MAX}
    factor = {"min_value": 1 / prepare.FACTOR_MAX, "max_value": prepare.FACTOR_MAX}
    return [
        _between("factor", f"{move}: no action explains a factor beyond {prepare.FACTOR_MAX:g}", **factor),
        _between("move_ordinary", move + " on {activity:.1f} times the usual trading: no action explains it", **usual),
        _between("move_busy", move + " on {activity:.1f} times the usual trading", severity="warning", **usual),
    ]


def _daily_rules() -> list[Any]:
    says = "{series}: volume 0 in a whole session"
    return [_between("volume", says, min_value=0, strict_min=True, severity="warning")]


def _intraday_rules() -> list[Any]:
    found = "{series}: {bars_found} of {bars_possible} possible bars"
    return [
        _only("place", "inside", "{series}: the bar of {start} starts outside the session"),
        _only("off_grid_seconds", 0, "{series}: the bar of {start} starts {off_grid_seconds} s off its grid"),
        _between("coverage", found, min_value=prepare.COVERAGE_MIN),
        _between("coverage_usable", found, min_value=prepare.COVERAGE_USUAL, severity="warning"),
    ]


def _great_expectations() -> Any:
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx

    return gx


def _verdicts(rows: pl.DataFrame, suite: "ExpectationSuite", *, span: Span, calendar: Calendar) -> list[SessionVerdict]:
    said: Mapping[Severity, dict[date, list[str]]] = {"critical": defaultdict(list), "warning": defaultdict(list)}
    for result in _validated(rows, suite):
        severity = result.expectation_config.severity.value
        for session, sentence in _broken(rows, result):
            said[severity][session].append(sentence)
    failures, warnings = said["critical"], said["warning"]
    return [
        SessionVerdict(day, day not in failures, tuple(failures.get(day, ())), tuple(warnings.get(day, ())))
        for day in days_of(calendar.sessions(span.first, span.last))
    ]


def _validated(rows: pl.DataFrame, suite: "ExpectationSuite") -> list[Any]:
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = _great_expectations().get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("lake").add_dataframe_asset(suite.name)
    batch = asset.add_batch_definition_whole_dataframe("span").get_batch({"dataframe": rows.to_pandas()})
    form = {"result_format": "COMPLETE", "unexpected_index_column_names": list(_TRACE)}
    return list(batch.validate(suite, result_format=form).results)


def _broken(rows: pl.DataFrame, result: Any) -> list[tuple[date, str]]:
    """Session and sentence for each row that breaks the expectation."""
    config = result.expectation_config
    if result.exception_info.get("raised_exception") or "unexpected_index_list" not in result.result:
        raise PermanentFailure("an expectation could not be evaluated", value=config.type, bound=result.exception_info)
    numbers = sorted({int(trace["row"]) for trace in result.result["unexpected_index_list"] or ()})
    found = (rows.row(number, named=True) for number in numbers)
    return [(row["session"], config.meta["says"].format(**row)) for row in found]
