"""Two sources of the same daily bars, compared: where they differ beyond a tolerance, neither is believed.

The gate never picks one of them. A bar of the first source that the second does not have cannot be confirmed, which is as bad
as a difference; so is a bar that only the second has.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from trading_assets.core.errors import TableMismatch
from trading_assets.core.ports import Span
from trading_assets.core.settings import CrossCheck
from trading_assets.core.tables import Table
from trading_assets.market.model import CROSS_CHECK_BARS, DAILY_BARS

_PRICES = ("open", "high", "low", "close")
_BP = 10_000
_KEY = ("session", "symbol")


@dataclass(frozen=True, slots=True)
class SecondOpinion:
    """Rows of CROSS_CHECK_BARS, and how far they may be from the first source."""

    bars: pl.DataFrame
    tolerance: CrossCheck


def disagreements(bars: pl.DataFrame, second: SecondOpinion, *, span: Span) -> Mapping[date, tuple[str, ...]]:
    """Sentences by session, each naming symbol, session, both values and both sources; sessions without one are left out.

    Prices differ by |first - second| / first, in hundredths of a percent; volumes by |first - second| / first. A value that is
    no positive number agrees with nothing but itself (a volume of 0 with 0).

    Args:
        bars: Rows of DAILY_BARS; of a bar that stands twice the first one counts.
        second: The other source.
        span: The sessions to compare.

    Raises:
        TableMismatch: A frame does not have the columns of its table.
    """
    ours, theirs = _within(bars, DAILY_BARS, span), _within(second.bars, CROSS_CHECK_BARS, span)
    both = ours.join(theirs, on=_KEY, how="full", coalesce=True, suffix="_second").sort(*_KEY)
    said: dict[date, list[str]] = defaultdict(list)
    for row in _suspects(both, second.tolerance).iter_rows(named=True):
        said[row["session"]].extend(_sentences(row, second.tolerance))
    return {session: tuple(sentences) for session, sentences in said.items()}


def _within(frame: pl.DataFrame, table: Table, span: Span) -> pl.DataFrame:
    schema = dict(table.polars_schema())
    if dict(frame.schema) != schema:
        raise TableMismatch(f"bars to compare do not fit table {table.name}", value=frame.schema, bound=schema)
    rows = frame.filter(pl.col("session").is_between(span.first, span.last))
    return rows.unique(_KEY, keep="first", maintain_order=True).select(*_KEY, *_PRICES, "volume", "source")


def _suspects(both: pl.DataFrame, tolerance: CrossCheck) -> pl.DataFrame:
    """The rows that at least one sentence is due for, with how far each value is apart: a missing one by infinity."""
    measured = both.with_columns(_apart(name).alias(f"{name}_apart") for name in (*_PRICES, "volume"))
    same_source = (pl.col("source") == pl.col("source_second")).fill_null(value=False)
    beyond = (pl.col(f"{name}_apart") > _bound(name, tolerance) for name in (*_PRICES, "volume"))
    return measured.filter(same_source | pl.any_horizontal(*beyond))


def _bound(name: str, tolerance: CrossCheck) -> float:
    return tolerance.volume_tolerance_fraction if name == "volume" else tolerance.price_tolerance_bp / _BP


def _apart(name: str) -> pl.Expr:
    first, second = pl.col(name), pl.col(f"{name}_second")
    usable = first.is_finite() & second.is_finite() & (first > 0)
    same = (first == second) & first.is_finite()
    return pl.when(same).then(0.0).when(usable).then((first - second).abs() / first).otherwise(float("inf"))


def _sentences(row: Mapping[str, Any], tolerance: CrossCheck) -> Iterator[str]:
    name = f"{row['symbol']} on {row['session']}"
    first, second = row["source"], row["source_second"]
    if first is None:
        yield f"{name}: {second} has a bar that the first source does not have"
    elif second is None:
        yield f"{name}: {first} has a bar that cannot be confirmed: {tolerance.provider} has none"
    elif first == second:
        yield f"{name}: both bars come from {first}: a source cannot confirm itself"
    else:
        yield from _differences(name, row, tolerance)


def _differences(name: str, row: Mapping[str, Any], tolerance: CrossCheck) -> Iterator[str]:
    for column in (*_PRICES, "volume"):
        apart, bound = row[f"{column}_apart"], _bound(column, tolerance)
        if apart > bound:
            shown = f"{apart:.1%} apart, more than {bound:.0%}" if column == "volume" else _in_bp(apart, bound)
            values = (
                f"{column} {row[column]:g} of {row['source']} and {row[f'{column}_second']:g} of {row['source_second']}"
            )
            yield f"{name}: {values} are {shown}"


def _in_bp(apart: float, bound: float) -> str:
    return f"{apart * _BP:.1f} bp apart, more than {bound * _BP:g}"
