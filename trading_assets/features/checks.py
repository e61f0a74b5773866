"""Checks on features. Each table has two, and both stop what comes after in the run.

`complete_and_finite` compares the rows with the rows that they were made from. `canary` computes a few of them again in the
plainest way: it turns red for an asset whose body was replaced.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

import dagster as dg

from resources.desk import DeskResource
from trading_assets.catalog import bullets, check_result, key_of
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Lake, Span
from trading_assets.core.tables import Table
from trading_assets.features.model import (
    BREADTH,
    CORRELATIONS,
    INDICATORS,
    INTRADAY_FEATURES,
    LIQUIDITY,
)
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS, INTRADAY_BARS, QUOTE_BARS
from trading_assets.partitions import SESSIONS, span_of

if TYPE_CHECKING:
    import polars as pl

_PEER_SESSIONS = 150


@dataclass(frozen=True, slots=True)
class _Stored:
    """The lake as it was at the close of a run's last session."""

    lake: Lake
    span: Span
    as_of: datetime

    def rows(self, table: Table) -> "pl.DataFrame":
        """The rows of the run's sessions."""
        return self.since(table, self.span.first)

    def since(self, table: Table, first: date | None) -> "pl.DataFrame":
        """The rows from a session on, or all, up to the run's last session."""
        return self.lake.read(table, as_of=self.as_of, first=first, last=self.span.last)


def _stored(context: dg.AssetCheckExecutionContext, desk: DeskResource) -> _Stored:
    span = span_of(list(context.partition_keys))
    return _Stored(desk.lake(), span, XNYS.session(span.last).close)


Judge = Callable[[_Stored], Sequence[str]]


def _check(table: Table, name: str, description: str, judge: Judge) -> dg.AssetChecksDefinition:
    """A blocking check that passes when `judge` finds nothing to say about the run's sessions."""

    @dg.asset_check(asset=key_of(table), name=name, description=description, blocking=True, partitions_def=SESSIONS)
    def check(context: dg.AssetCheckExecutionContext, desk: DeskResource) -> dg.AssetCheckResult:
        stored = _stored(context, desk)
        found = judge(stored)
        rows = stored.rows(table).height
        otherwise = "nothing to object to"
        return check_result(found, otherwise=otherwise, rows=rows, objections=len(found), shown=bullets(found))

    return check


def _complete(table: Table, description: str, judge: Judge) -> dg.AssetChecksDefinition:
    return _check(table, "complete_and_finite", f"{description} No value is NaN or infinite.", judge)


def _canary(table: Table, description: str, judge: Judge) -> dg.AssetChecksDefinition:
    text = f"A few rows, chosen by a digest of the run's sessions, agree to 1e-9 with {description}."
    return _check(table, "canary", text, judge)


def _not_finite(table: Table, rows: "pl.DataFrame") -> list[str]:
    """One sentence for each column that holds NaN or an infinite number."""
    import polars as pl

    names = [column.name for column in table.columns if column.type == "number"]
    broken = rows.select((pl.col(name).is_nan() | pl.col(name).is_infinite()).sum() for name in names)
    return [
        f"{count} values of {name} are not finite" for name, count in zip(names, broken.row(0), strict=True) if count
    ]


def _unmatched(made_from: "pl.DataFrame", rows: "pl.DataFrame", on: Sequence[str], what: str) -> list[str]:
    """What is in one of two tables and not in the other, told by the first such row."""
    found = []
    for sentence, left, right in (("has no row", made_from, rows), ("is a row without its origin", rows, made_from)):
        lost = left.select(on).join(right.select(on), on=list(on), how="anti", nulls_equal=True)
        found += [f"{what} {row} {sentence}, and {lost.height - 1} more" for row in lost.head(1).rows()]
    return found


def _of_each_bar(table: Table, bars: Table, on: Sequence[str]) -> Judge:
    def judge(stored: _Stored) -> Sequence[str]:
        rows = stored.rows(table)
        return [*_unmatched(stored.rows(bars), rows, on, "the bar"), *_not_finite(table, rows)]

    return judge


def _breadth_complete(stored: _Stored) -> Sequence[str]:
    rows = stored.rows(BREADTH)
    sessions = stored.rows(DAILY_BARS).select("session").unique()
    return [*_unmatched(sessions, rows, ["session"], "the session"), *_not_finite(BREADTH, rows)]


def _correlations_complete(stored: _Stored) -> Sequence[str]:
    import polars as pl

    from trading_assets.features.canary_daily import peer_disagreements
    from trading_assets.features.grids import sessions_before

    rows = stored.rows(CORRELATIONS)
    bars = stored.since(DAILY_BARS, sessions_before(stored.span.first, _PEER_SESSIONS))
    traded = bars.select("session", pl.col("symbol"))
    strangers = [
        f"{count} rows have a {side} without a bar"
        for side in ("symbol_a", "symbol_b")
        if (count := rows.join(traded, left_on=["session", side], right_on=["session", "symbol"], how="anti").height)
    ]
    peers = peer_disagreements(bars, stored.since(CORPORATE_ACTIONS, None), rows, span=stored.span)
    return [*strangers, *peers, *_not_finite(CORRELATIONS, rows)]


def _indicators_canary(stored: _Stored) -> Sequence[str]:
    from trading_assets.features.canary import indicator_disagreements

    bars, actions = stored.since(DAILY_BARS, None), stored.since(CORPORATE_ACTIONS, None)
    return indicator_disagreements(bars, actions, stored.rows(INDICATORS), span=stored.span)


def _breadth_canary(stored: _Stored) -> Sequence[str]:
    from trading_assets.features.canary import breadth_disagreements
    from trading_assets.features.grids import sessions_before

    bars, actions = stored.since(DAILY_BARS, sessions_before(stored.span.first, 1)), stored.rows(CORPORATE_ACTIONS)
    return breadth_disagreements(bars, actions, stored.rows(INDICATORS), stored.rows(BREADTH), span=stored.span)


def _intraday_canary(stored: _Stored) -> Sequence[str]:
    from trading_assets.features.canary_intraday import intraday_disagreements
    from trading_assets.features.grids import sessions_before
    from trading_assets.features.intraday import HISTORY

    first = sessions_before(stored.span.first, HISTORY)
    bars, actions, quotes = (stored.since(table, first) for table in (INTRADAY_BARS, CORPORATE_ACTIONS, QUOTE_BARS))
    return intraday_disagreements(bars, actions, quotes, stored.rows(INTRADAY_FEATURES), span=stored.span)


def _liquidity_canary(stored: _Stored) -> Sequence[str]:
    from trading_assets.features.canary_daily import liquidity_disagreements
    from trading_assets.features.grids import sessions_before
    from trading_assets.features.liquidity import HISTORY

    first = sessions_before(stored.span.first, HISTORY)
    bars, actions, quotes = (stored.since(table, first) for table in (DAILY_BARS, CORPORATE_ACTIONS, QUOTE_BARS))
    return liquidity_disagreements(bars, actions, quotes, stored.rows(LIQUIDITY), span=stored.span)


def _correlations_canary(stored: _Stored) -> Sequence[str]:
    from trading_assets.features.canary_daily import correlation_disagreements

    bars, actions = stored.since(DAILY_BARS, None), stored.since(CORPORATE_ACTIONS, None)
    return correlation_disagreements(bars, actions, stored.rows(CORRELATIONS), span=stored.span)


indicators_complete_and_finite = _complete(
    INDICATORS,
    "Each daily bar has one row of indicators, and the close is the bar's.",
    _of_each_bar(INDICATORS, DAILY_BARS, ["session", "symbol", "close"]),
)
indicators_canary = _canary(INDICATORS, "TA-Lib and numpy on the split-adjusted series", _indicators_canary)
breadth_complete_and_finite = _complete(
    BREADTH, "Each session with a daily bar has one row of breadth.", _breadth_complete
)
breadth_canary = _canary(BREADTH, "counting symbol by symbol", _breadth_canary)
intraday_features_complete_and_finite = _complete(
    INTRADAY_FEATURES,
    "Each intraday bar has one row of features, and the close is the bar's.",
    _of_each_bar(INTRADAY_FEATURES, INTRADAY_BARS, ["session", "symbol", "frequency", "start", "close"]),
)
intraday_features_canary = _canary(INTRADAY_FEATURES, "loops over the session's bars", _intraday_canary)
liquidity_complete_and_finite = _complete(
    LIQUIDITY,
    "Each daily bar has one row of liquidity.",
    _of_each_bar(LIQUIDITY, DAILY_BARS, ["session", "symbol"]),
)
liquidity_canary = _canary(LIQUIDITY, "textbook formulas over 21 sessions", _liquidity_canary)
correlations_complete_and_finite = _complete(
    CORRELATIONS, "Every pair that must have a row has one, of two symbols with a bar.", _correlations_complete
)
correlations_canary = _canary(CORRELATIONS, "numpy.corrcoef and a loop over the pair's past", _correlations_canary)
