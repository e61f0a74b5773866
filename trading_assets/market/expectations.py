"""Great Expectations as the desk uses it: rules over prepared rows, and one verdict per session.

Rows come prepared (whatever a rule needs from neighbouring rows stands in the row itself), so that each rule looks at one row and
each failure is a sentence that names it. The library takes seconds to import and is imported when a suite is made.
"""

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from trading_assets.core.calendar import Calendar, days_of
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.ports import Span

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

Severity = Literal["critical", "warning"]
_TRACE = ("session", "row")


@dataclass(frozen=True, slots=True)
class SessionVerdict:
    """What the gate says about one session; each sentence names symbol, value and rule."""

    session: date
    passed: bool
    failures: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def suite(name: str, rules: Sequence[Any]) -> "ExpectationSuite":
    """The rules under one name."""
    from great_expectations import ExpectationSuite

    return ExpectationSuite(name=name, expectations=list(rules))


def rule(expectation: str, says: str, *, severity: Severity = "critical", **terms: object) -> Any:
    """An expectation whose `meta` holds the sentence for a row that breaks it; braces name the row's columns."""
    expectations = _great_expectations().expectations
    return getattr(expectations, expectation)(meta={"says": says}, severity=severity, **terms)


def between(column: str, says: str, **terms: Any) -> Any:
    """The column's value lies between `min_value` and `max_value`; an empty one passes."""
    return rule("ExpectColumnValuesToBeBetween", says, column=column, **terms)


def only(column: str, allowed: object, says: str, **terms: Any) -> Any:
    """The column's value is the one allowed; an empty one passes."""
    return rule("ExpectColumnValuesToBeInSet", says, column=column, value_set=[allowed], **terms)


def at_least(higher: str, lower: str, says: str) -> Any:
    """One column's value is not below the other's; a row with an empty one passes."""
    return rule(
        "ExpectColumnPairValuesAToBeGreaterThanB",
        says,
        column_A=higher,
        column_B=lower,
        or_equal=True,
        ignore_row_if="either_value_is_missing",
    )


def verdicts_on(
    rows: pl.DataFrame, rules: "ExpectationSuite", *, span: Span, calendar: Calendar
) -> list[SessionVerdict]:
    """One verdict per session of the span, ascending.

    Args:
        rows: Prepared rows; `session` and `row` (the row's number) trace a broken rule back to its row.
        rules: The suite.
        span: Sessions to judge; one without rows passes.
        calendar: Sessions of the exchange.

    Raises:
        PermanentFailure: A rule could not be evaluated at all.
    """
    said: Mapping[Severity, dict[date, list[str]]] = {"critical": defaultdict(list), "warning": defaultdict(list)}
    for result in _validated(rows, rules):
        for session, sentence in _broken(rows, result):
            said[result.expectation_config.severity.value][session].append(sentence)
    failures, warnings = said["critical"], said["warning"]
    return [
        SessionVerdict(day, day not in failures, tuple(failures.get(day, ())), tuple(warnings.get(day, ())))
        for day in days_of(calendar.sessions(span.first, span.last))
    ]


def _great_expectations() -> Any:
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx

    return gx


def _validated(rows: pl.DataFrame, rules: "ExpectationSuite") -> list[Any]:
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = _great_expectations().get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("lake").add_dataframe_asset(rules.name)
    batch = asset.add_batch_definition_whole_dataframe("span").get_batch({"dataframe": rows.to_pandas()})
    form = {"result_format": "COMPLETE", "unexpected_index_column_names": list(_TRACE)}
    return list(batch.validate(rules, result_format=form).results)


def _broken(rows: pl.DataFrame, result: Any) -> list[tuple[date, str]]:
    """Session and sentence for each row that breaks the expectation."""
    config = result.expectation_config
    if result.exception_info.get("raised_exception") or "unexpected_index_list" not in result.result:
        raise PermanentFailure("an expectation could not be evaluated", value=config.type, bound=result.exception_info)
    numbers = sorted({int(trace["row"]) for trace in result.result["unexpected_index_list"] or ()})
    found = (rows.row(number, named=True) for number in numbers)
    return [(row["session"], config.meta["says"].format(**row)) for row in found]
