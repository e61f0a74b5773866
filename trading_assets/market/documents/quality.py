"""The quality gate of documents: a Great Expectations suite over rows and source answers, one verdict per session.

Rows are prepared first (`judging.py`), so that every rule looks at one row and every failure names its source or item. A
failure closes the gate of its own table only: decisions that do not read news are not stopped by a source of news. What was refused
on the way in (an item from the future, a line that cannot be read) is a warning: it is not among the facts.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from trading_assets.core.calendar import Calendar
from trading_assets.core.ports import Span
from trading_assets.core.tables import Table
from trading_assets.market.documents import judging
from trading_assets.market.documents.model import MACRO_SERIES
from trading_assets.market.expectations import SessionVerdict, between, only, suite, verdicts_on

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite


def judge_documents(
    table: Table,
    rows: pl.DataFrame,
    answers: pl.DataFrame,
    *,
    span: Span,
    calendar: Calendar,
    sources: Sequence[str],
    silent_sessions_max: int,
) -> list[SessionVerdict]:
    """One verdict per session of the span, ascending.

    Args:
        table: NEWS, FILINGS or MACRO_SERIES.
        rows: Rows of the table up to the span's end, duplicates allowed. Macro values are compared with those before them: at least
            eight earlier values of each series give the rule its history.
        answers: Rows of SOURCE_ANSWERS of the table; `silent_sessions_max` sessions before the span let silence be counted.
        span: The sessions to judge.
        calendar: Sessions of the exchange.
        sources: Names of the sources that the settings list; each must have answered for each session.
        silent_sessions_max: Sessions without an item after which a live source counts as silent.
    """
    prepared = judging.prepared(
        table,
        rows,
        answers,
        span=span,
        calendar=calendar,
        sources=sources,
        silent_sessions_max=silent_sessions_max,
    )
    return verdicts_on(prepared, documents_suite(table), span=span, calendar=calendar)


def documents_suite(table: Table) -> "ExpectationSuite":
    """The rules for a table of documents; those of severity `warning` do not close the gate."""
    rules = [*_row_rules(), *_source_rules(), *(_macro_rules() if table is MACRO_SERIES else _text_rules())]
    return suite(table.name, rules)


def _row_rules() -> list[Any]:
    times = "published at {published_at}, fetched at {fetched_at}, knowable at {knowable_at}"
    return [
        only("from_the_future", 0, "{name}: " + times + ": published after it was fetched"),
        only("known_too_early", 0, "{name}: " + times + ": knowable before it was published"),
        only("misplaced", 0, "{name}: " + times + ": {session} is not the session in which it became knowable"),
        only("copies", 1, "{name}: stands {copies} times"),
    ]


def _text_rules() -> list[Any]:
    return [
        only("without_text", 0, "{name}: has no headline or form"),
        only("hidden_characters", 0, "{name}: holds {hidden_characters} control or invisible characters"),
    ]


def _macro_rules() -> list[Any]:
    bounds: dict[str, Any] = {"min_value": 1 / judging.FACTOR_MAX, "max_value": judging.FACTOR_MAX}
    says = "{name}: {value:g} is {factor:g} times the median of the values before it, {usual:g}: another unit?"
    return [
        only("unusable_numbers", 0, "{name}: {value} is not a finite number"),
        between("factor", says, **bounds),
    ]


def _source_rules() -> list[Any]:
    silent = "source {source} has brought nothing for {silent_sessions} sessions in a row"
    return [
        only("answered", "yes", "source {source} was not asked for this session"),
        only("failure", "", "source {source} failed: {failure}"),
        only("lost", 0, "source {source}: {lost} of its rows are gone from the lake"),
        only("refused", "", "source {source}, not stored: {refused}", severity="warning"),
        only("silence", "no", silent, severity="warning"),
    ]
