"""What the gate of documents says, and what it lets pass."""

import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from tests.market.documents.drafts import MONDAY, TUESDAY, WEEK, Told, at, filing, headline, value, window
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span
from trading_assets.core.tables import Table
from trading_assets.market.documents.ingest import answers_frame, collect_filings, collect_news
from trading_assets.market.documents.macro import collect_macro
from trading_assets.market.documents.model import FILINGS, MACRO_SERIES, NEWS, SOURCE_ANSWERS
from trading_assets.market.documents.ports import MacroDraft, RefusedItem, SeriesWanted, SourceUnavailable, Window
from trading_assets.market.documents.quality import judge_documents
from trading_assets.market.expectations import SessionVerdict

LEVEL = SeriesWanted("DCOILWTICO", "USD per barrel", 0)


def judged(
    table: Table,
    rows: pl.DataFrame,
    answers: pl.DataFrame,
    *,
    span: Span = WEEK,
    sources: Sequence[str] = ("told",),
    silent_sessions_max: int = 5,
) -> Mapping[date, SessionVerdict]:
    verdicts = judge_documents(
        table,
        rows,
        answers,
        span=span,
        calendar=XNYS,
        sources=sources,
        silent_sessions_max=silent_sessions_max,
    )
    assert [v.session for v in verdicts] == [s.day for s in XNYS.sessions(span.first, span.last)]
    return {verdict.session: verdict for verdict in verdicts}


def news_of(*sources: Told, asked: Window | None = None) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows and answers as the asset stores them."""
    of = asked or window()
    found = collect_news(sources, ["AAPL"], of, stored=NEWS.empty(), calendar=XNYS)
    return found.frame, answers_frame(NEWS, found.outcomes, of, held=found.frame, calendar=XNYS)


def macro_of(drafts: Sequence[MacroDraft]) -> tuple[pl.DataFrame, pl.DataFrame]:
    found = collect_macro([Told(drafts)], [LEVEL], window(), stored=MACRO_SERIES.empty(), calendar=XNYS)
    return found.frame, answers_frame(MACRO_SERIES, found.outcomes, window(), held=found.frame, calendar=XNYS)


def sound() -> tuple[pl.DataFrame, pl.DataFrame]:
    return news_of(Told([headline(), headline("Two", at(TUESDAY))]))


def spoilt(frame: pl.DataFrame, **columns: Any) -> pl.DataFrame:
    """The rows with other content, as a buggy writer would leave them."""
    kinds = NEWS.polars_schema()
    return frame.with_columns(**{name: pl.lit(content).cast(kinds[name]) for name, content in columns.items()})


def failures(verdicts: Mapping[date, SessionVerdict]) -> str:
    assert not all(verdict.passed for verdict in verdicts.values())
    return " // ".join(sentence for verdict in verdicts.values() for sentence in verdict.failures)


def test_what_the_ingest_stores_passes() -> None:
    verdicts = judged(NEWS, *sound())
    assert all(verdict.passed and not verdict.warnings for verdict in verdicts.values())


def test_sessions_without_any_item_pass() -> None:
    assert all(verdict.passed for verdict in judged(NEWS, *news_of(Told())).values())


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"published_at": datetime(2013, 4, 2, tzinfo=window().as_of.tzinfo)}, "published after it was fetched"),
        ({"knowable_at": at(MONDAY, "11:59")}, "knowable before it was published"),
        ({"knowable_at": at(date(2013, 3, 8))}, "is not the session in which it became knowable"),
        ({"headline": " "}, "has no headline"),
        ({"headline": "bell\x07"}, "1 control or invisible characters"),
        ({"summary": "\u202etxet\u200b"}, "2 control or invisible characters"),
    ],
)
def test_rows_of_a_buggy_writer_close_the_gate_of_their_session_only(columns: Mapping[str, Any], said: str) -> None:
    rows, answers = sound()
    bad = pl.concat(
        [spoilt(rows.filter(pl.col("session") == MONDAY), **columns), rows.filter(pl.col("session") != MONDAY)]
    )
    verdicts = judged(NEWS, bad, answers)
    assert said in failures(verdicts)
    assert [day for day, verdict in verdicts.items() if not verdict.passed] == [MONDAY]
    assert rows["item"][0][:20] in failures(verdicts), "the sentence names the item by its digest, not by its text"


def test_the_same_item_in_two_sessions_closes_the_gate() -> None:
    rows, answers = sound()
    twin = rows.filter(pl.col("session") == MONDAY).with_columns(
        session=pl.lit(TUESDAY), knowable_at=pl.lit(at(TUESDAY)).cast(pl.Datetime("us", "UTC"))
    )
    assert "stands 2 times" in failures(judged(NEWS, pl.concat([rows, twin]), answers))


def test_a_failed_source_closes_the_gate_and_is_named_with_its_reason() -> None:
    broken = Told(name="broken", failure=SourceUnavailable("broken limits the rate"))
    verdicts = judged(NEWS, *news_of(Told([headline()]), broken), sources=("told", "broken"))
    assert not any(verdict.passed for verdict in verdicts.values())
    assert verdicts[MONDAY].failures == ("source broken failed: broken limits the rate",)


def test_a_source_of_the_settings_that_was_never_asked_closes_the_gate() -> None:
    """An asset whose body is replaced by a constant leaves no answers."""
    verdicts = judged(NEWS, NEWS.empty(), SOURCE_ANSWERS.empty(), sources=("told", "other"))
    assert verdicts[MONDAY].failures == (
        "source told was not asked for this session",
        "source other was not asked for this session",
    )


def test_rows_that_are_gone_from_the_lake_close_the_gate() -> None:
    rows, answers = sound()
    verdicts = judged(NEWS, rows.filter(pl.col("session") != MONDAY), answers)
    assert failures(verdicts) == "source told: 1 of its rows are gone from the lake"
    assert verdicts[TUESDAY].passed


def test_what_was_refused_is_a_warning_and_closes_nothing() -> None:
    verdicts = judged(NEWS, *news_of(Told([headline()], problems=[RefusedItem("line 3 {x}"), RefusedItem("line 4")])))
    assert all(verdict.passed for verdict in verdicts.values())
    assert verdicts[MONDAY].warnings == ("source told, not stored: line 3 {x}", "source told, not stored: line 4")


def silent_answers(
    sessions: int, *, delivers: str = "live", late: timedelta = timedelta(0), failure: str = ""
) -> pl.DataFrame:
    """Answers without an item, of as many sessions before and including the Friday of the week."""
    first = XNYS.previous(WEEK.last, sessions - 1).day
    return SOURCE_ANSWERS.frame(
        [
            {
                "documents": "news",
                "session": session.day,
                "source": "told",
                "delivers": delivers,
                "items": 0,
                "failure": failure,
                "refused": "",
                "fetched_at": session.close + late,
                "knowable_at": session.close + late,
            }
            for session in XNYS.sessions(first, WEEK.last)
        ]
    )


def warned(answers: pl.DataFrame) -> list[date]:
    return [day for day, verdict in judged(NEWS, NEWS.empty(), answers).items() if verdict.warnings]


def test_a_live_source_that_is_silent_for_too_long_is_named_in_a_warning() -> None:
    assert warned(silent_answers(5)) == []
    assert warned(silent_answers(7)) == [date(2013, 3, 7), date(2013, 3, 8)]
    verdict = judged(NEWS, NEWS.empty(), silent_answers(6))[WEEK.last]
    assert verdict.warnings == ("source told has brought nothing for 6 sessions in a row",)
    assert verdict.passed


def test_silence_of_an_archive_of_a_backfill_or_of_a_failed_source_says_nothing() -> None:
    assert warned(silent_answers(20, delivers="archive")) == []
    assert warned(silent_answers(20, delivers="dropped")) == []
    assert warned(silent_answers(20, late=timedelta(hours=25))) == []
    assert warned(silent_answers(20, failure="down")) == []


def test_an_item_ends_the_silence() -> None:
    answers = silent_answers(12).with_columns(items=pl.when(pl.col("session") == MONDAY).then(1).otherwise("items"))
    row = news_of(Told([headline()]))[0]
    verdicts = judged(NEWS, row, answers)
    assert not any(verdict.warnings for verdict in verdicts.values())


def levels(*numbers: float) -> list[MacroDraft]:
    """Daily values of January and February, and then one for each day of the week from Monday on."""
    days = [session.day for session in XNYS.sessions(date(2013, 2, 14), WEEK.last)]
    return [value(number, at(day, "15:00"), of=day) for day, number in zip(days[-len(numbers) :], numbers, strict=True)]


def test_ordinary_values_pass() -> None:
    verdicts = judged(MACRO_SERIES, *macro_of(levels(90.0, 91.0, 250.0, 30.0, -37.0)))
    assert all(verdict.passed for verdict in verdicts.values())


@pytest.mark.parametrize("factor", [100.0, 0.01])
def test_a_value_in_another_unit_closes_its_session_only(factor: float) -> None:
    verdicts = judged(MACRO_SERIES, *macro_of(levels(90.0, 91.0, 92.0, 93.0 * factor, 94.0)))
    assert [day for day, verdict in verdicts.items() if not verdict.passed] == [date(2013, 3, 7)]
    assert "DCOILWTICO 2013-03-07" in failures(verdicts)
    assert "another unit?" in failures(verdicts)


def test_history_before_the_span_is_what_the_first_value_is_compared_with() -> None:
    rows, answers = macro_of(levels(90.0, 91.0, 92.0, 93.0, 9400.0))
    friday = Span(WEEK.last, WEEK.last)
    assert not judged(MACRO_SERIES, rows, answers, span=friday)[WEEK.last].passed
    alone = rows.filter(pl.col("session") == WEEK.last)
    assert judged(MACRO_SERIES, alone, answers, span=friday)[WEEK.last].passed


def test_the_second_value_of_a_series_is_compared_with_the_first_alone() -> None:
    verdicts = judged(MACRO_SERIES, *macro_of(levels(90.0, 9000.0)))
    assert [day for day, verdict in verdicts.items() if not verdict.passed] == [WEEK.last]


def test_a_rate_at_zero_is_compared_with_nothing() -> None:
    verdicts = judged(MACRO_SERIES, *macro_of(levels(0.0, 0.0, 0.0, 0.25, 0.0)))
    assert all(verdict.passed for verdict in verdicts.values())


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_stored_value_that_is_no_number_closes_the_gate(number: float) -> None:
    rows, answers = macro_of(levels(90.0, 91.0, 92.0, 93.0, 94.0))
    bad = rows.with_columns(value=pl.when(pl.col("session") == TUESDAY).then(number).otherwise("value"))
    verdicts = judged(MACRO_SERIES, bad, answers)
    assert "is not a finite number" in failures(verdicts)
    assert [day for day, verdict in verdicts.items() if not verdict.passed] == [TUESDAY]


def test_filings_are_judged_by_their_numbers() -> None:
    found = collect_filings([Told([filing()])], ["AAPL"], window(), stored=FILINGS.empty(), calendar=XNYS)
    answers = answers_frame(FILINGS, found.outcomes, window(), held=found.frame, calendar=XNYS)
    assert all(verdict.passed for verdict in judged(FILINGS, found.frame, answers).values())
    bad = found.frame.with_columns(form=pl.lit(""))
    assert "AAPL 0000320193-13-000001: has no headline or form" in failures(judged(FILINGS, bad, answers))
