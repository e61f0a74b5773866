"""Documents prepared for judgement: one row per document, and one per source and session, with the columns that the rules look at.

A column that does not concern a row is empty, and rules pass over empty values.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from types import MappingProxyType
from typing import Any, Final

import polars as pl

from trading_assets.core.calendar import Calendar, days_of
from trading_assets.core.ports import Span
from trading_assets.core.tables import Table
from trading_assets.market.documents.model import FILINGS, MACRO_SERIES, NEWS
from trading_assets.market.documents.times import session_of

FACTOR_MAX: Final = 50.0
ON_TIME: Final = timedelta(hours=24)
_HISTORY_VALUES = 8
_HIDDEN = r"[\p{Cc}\p{Cf}]"
_NAMED_BY: Mapping[str, tuple[str, str]] = MappingProxyType(
    {NEWS.name: ("symbol", "item"), FILINGS.name: ("symbol", "accession"), MACRO_SERIES.name: ("series", "observed_on")}
)
_TEXTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {NEWS.name: ("headline", "summary"), FILINGS.name: ("form", "description")}
)
_TIMES = ("published_at", "fetched_at", "knowable_at")
_ABSENT: Mapping[str, Any] = MappingProxyType(
    {
        "session": pl.Date(),
        "name": pl.String(),
        **dict.fromkeys(_TIMES, pl.Datetime("us", "UTC")),
        **dict.fromkeys(("from_the_future", "known_too_early", "misplaced", "copies", "without_text"), pl.Int64()),
        **dict.fromkeys(("hidden_characters", "unusable_numbers", "lost", "silent_sessions"), pl.Int64()),
        **dict.fromkeys(("value", "usual", "factor"), pl.Float64()),
        **dict.fromkeys(("source", "answered", "failure", "refused", "silence"), pl.String()),
    }
)


def prepared(
    table: Table,
    rows: pl.DataFrame,
    answers: pl.DataFrame,
    *,
    span: Span,
    calendar: Calendar,
    sources: Sequence[str],
    silent_sessions_max: int,
) -> pl.DataFrame:
    """Rows to judge for the span, numbered by `row`; arguments as in `quality.judge_documents`."""
    described = _macro(rows) if table is MACRO_SERIES else _texts(rows, _TEXTS[table.name])
    documents = _timed(_named(described, _NAMED_BY[table.name]), calendar)
    sessions = days_of(calendar.sessions(span.first, span.last))
    asked = pl.DataFrame(
        [*_unasked(answers, sessions, sources), *_answered(rows, answers, calendar, silent_sessions_max)],
        schema=dict(_ABSENT),
    )
    together = pl.concat([_shaped(documents), asked])
    return (
        together.filter(pl.col("session").is_between(span.first, span.last))
        .sort("session", maintain_order=True)
        .with_row_index("row")
    )


def _shaped(frame: pl.DataFrame) -> pl.DataFrame:
    """All columns of a row to judge; those that the frame lacks are empty."""
    return frame.select(
        (pl.col(name) if name in frame.columns else pl.lit(None)).cast(kind).alias(name)
        for name, kind in _ABSENT.items()
    )


def _named(rows: pl.DataFrame, by: tuple[str, str]) -> pl.DataFrame:
    copied = ("series", "observed_on", "knowable_at") if by[0] == "series" else by
    return rows.with_columns(
        name=pl.format("{} {}", by[0], pl.col(by[1]).cast(pl.String()).str.head(20)),
        copies=pl.len().over(copied).cast(pl.Int64()),
    )


def _timed(rows: pl.DataFrame, calendar: Calendar) -> pl.DataFrame:
    instants = rows["knowable_at"].unique()
    proper = pl.DataFrame(
        {"knowable_at": instants, "proper": [session_of(instant, calendar) for instant in instants]},
        schema={"knowable_at": rows.schema["knowable_at"], "proper": pl.Date()},
    )
    return rows.join(proper, on="knowable_at", how="left", maintain_order="left").with_columns(
        from_the_future=(pl.col("published_at") > pl.col("fetched_at")).cast(pl.Int64()),
        known_too_early=(pl.col("knowable_at") < pl.col("published_at")).cast(pl.Int64()),
        misplaced=(pl.col("session") != pl.col("proper")).cast(pl.Int64()),
    )


def _texts(rows: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    hidden = pl.sum_horizontal(pl.col(name).str.count_matches(_HIDDEN).cast(pl.Int64()) for name in columns)
    empty = pl.col(columns[0]).str.strip_chars() == ""
    return rows.with_columns(hidden_characters=hidden, without_text=empty.cast(pl.Int64()))


def _macro(rows: pl.DataFrame) -> pl.DataFrame:
    """`usual` is the median size of the eight values before, by date; a value is judged against it by their ratio."""
    finite = pl.col("value").is_finite()
    size = pl.when(finite).then(pl.col("value").abs())
    before = size.shift(1).rolling_median(_HISTORY_VALUES, min_samples=1).over("series")
    ordered = rows.sort("series", "observed_on", "knowable_at").with_columns(
        unusable_numbers=(~finite).cast(pl.Int64()), usual=before, size=size
    )
    comparable = (pl.col("usual") > 0) & (pl.col("size") > 0)
    return ordered.with_columns(factor=pl.when(comparable).then(pl.col("size") / pl.col("usual")))


def _unasked(answers: pl.DataFrame, sessions: Sequence[date], sources: Sequence[str]) -> Iterator[dict[str, object]]:
    answered = set(answers.select("session", "source").iter_rows())
    for session in sessions:
        for source in sources:
            if (session, source) not in answered:
                yield {"session": session, "source": source, "answered": "no"}


def _answered(
    rows: pl.DataFrame, answers: pl.DataFrame, calendar: Calendar, silent_sessions_max: int
) -> Iterator[dict[str, object]]:
    held = {(source, session): count for source, session, count in rows.group_by("source", "session").len().iter_rows()}
    silent: dict[str, int] = {}
    for answer in answers.sort("session").iter_rows(named=True):
        session, source = answer["session"], answer["source"]
        silent[source] = silent.get(source, 0) + 1 if _is_silent(answer, calendar) else 0
        lines = answer["refused"].split("\n") if answer["refused"] else [""]
        for number, line in enumerate(lines):
            yield {
                "session": session,
                "source": source,
                "answered": "yes",
                "failure": answer["failure"] if number == 0 else "",
                "refused": line,
                "lost": max(0, answer["items"] - held.get((source, session), 0)),
                "silent_sessions": silent[source],
                "silence": "yes" if silent[source] > silent_sessions_max and number == 0 else "no",
            }


def _is_silent(answer: Mapping[str, Any], calendar: Calendar) -> bool:
    """A live source that answered on its day, in full, and had nothing; what a backfill does not find says nothing."""
    on_time = answer["fetched_at"] <= calendar.session(answer["session"]).close + ON_TIME
    return answer["delivers"] == "live" and on_time and not answer["failure"] and answer["items"] == 0
