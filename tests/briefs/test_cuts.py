"""News, macro series, pairs, liquidity and intraday bars in the facts: windows, vintages, and nothing a moment too early."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.lake import ParquetLake
from tests.briefs.documents import (
    AS_OF,
    BEFORE,
    TICK,
    TODAY,
    Row,
    bar,
    book,
    daily,
    facts_of,
    minutes,
    observed,
    paired,
    session_of,
    told,
    traded,
)
from trading_assets.briefs.cuts import IntradayRows, MacroRows, NewsRows, session_at_hand
from trading_assets.briefs.facts import CONTEXT_TABLES, FACT_TABLES, FactBook
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span
from trading_assets.features.model import CORRELATIONS, INTRADAY_FEATURES
from trading_assets.market.documents.model import MACRO_SERIES, NEWS
from trading_assets.market.model import DAILY_BARS
from trading_assets.regimes.model import LIQUIDITY_REGIMES


def test_the_session_at_hand_is_the_one_that_runs_or_the_next() -> None:
    assert session_at_hand(AS_OF) == TODAY.day
    assert session_at_hand(TODAY.close) == TODAY.day
    assert session_at_hand(TODAY.close + TICK) == XNYS.next(TODAY.day).day
    assert session_at_hand(datetime(2012, 6, 16, 12, tzinfo=UTC)) == TODAY.day
    assert session_at_hand(datetime(2099, 1, 1, tzinfo=UTC)) == XNYS.last


def test_a_headline_is_visible_from_its_moment_on_and_not_a_microsecond_before() -> None:
    held = book(news=[told("it rises", at=AS_OF)])
    assert held.at(AS_OF - TICK).news == {}
    assert [row["headline"] for row in held.at(AS_OF).news["AAA"]] == ["it rises"]


def test_news_of_the_ten_sessions_up_to_the_one_at_hand_are_shown_oldest_first() -> None:
    rows = [told(f"{ago} ago", ago=ago) for ago in (0, 1, 9, 10)]
    shown = facts_of(news=rows).news["AAA"]
    assert [row["headline"] for row in shown] == ["9 ago", "1 ago"]
    later = facts_of(news=rows, as_of=TODAY.close).news["AAA"]
    assert [row["headline"] for row in later] == ["9 ago", "1 ago", "0 ago"]


def test_what_is_published_overnight_belongs_to_the_session_at_hand() -> None:
    overnight = told("it rises", at=BEFORE.close + timedelta(hours=3))
    assert overnight["session"] == TODAY.day
    assert facts_of(news=[overnight]).news["AAA"][0]["session"] == TODAY.day


def test_news_of_one_symbol_are_those_of_the_whole_cut() -> None:
    rows = NewsRows(NEWS.frame([told("a", ago=2), told("b", ago=1), told("c", symbol="BBB", ago=11)]))
    assert tuple(rows.of("AAA", AS_OF)) == rows.at(AS_OF)["AAA"]
    assert (rows.of("BBB", AS_OF), rows.of("CCC", AS_OF)) == ([], [])
    assert list(rows.at(AS_OF)) == ["AAA"]


def test_a_revision_replaces_its_observation_from_its_own_moment_on() -> None:
    first = observed("CPI", date(2012, 4, 1), 2.0, at=TODAY.open - timedelta(days=20))
    revised = observed("CPI", date(2012, 4, 1), 3.0, at=AS_OF)
    held = book(macro_series=[first, revised])
    assert [row["value"] for row in held.at(AS_OF - TICK).macro["CPI"]] == [2.0]
    assert [row["value"] for row in held.at(AS_OF).macro["CPI"]] == [3.0]


def test_an_old_month_revised_today_stands_in_its_place_and_not_last() -> None:
    may = observed("CPI", date(2012, 5, 1), 5.0, at=TODAY.open - timedelta(days=9))
    march = observed("CPI", date(2012, 3, 1), 3.0, at=TODAY.open - timedelta(days=40))
    march_again = observed("CPI", date(2012, 3, 1), 3.3, at=TODAY.open - timedelta(days=2))
    shown = facts_of(macro_series=[may, march, march_again]).macro["CPI"]
    assert [(row["observed_on"].month, row["value"]) for row in shown] == [(3, 3.3), (5, 5.0)]


def test_macro_values_that_became_known_more_than_ninety_days_ago_are_left_out() -> None:
    days = [TODAY.day - timedelta(days=back) for back in (89, 92)]
    rows = [observed("SP500", day, 1.0, at=datetime(day.year, day.month, day.day, 15, tzinfo=UTC)) for day in days]
    assert [row["observed_on"] for row in facts_of(macro_series=rows).macro["SP500"]] == [days[0]]


def test_a_pair_and_a_liquidity_regime_are_those_of_the_last_session() -> None:
    earlier = XNYS.previous(BEFORE.day)
    facts = facts_of(
        correlations=[paired("AAA", "BBB"), paired("AAA", "BBB", session=earlier, gap_z=9.0)],
        liquidity_regimes=[traded("AAA"), traded("AAA", "stressed", session=earlier)],
    )
    assert [(row["symbol_a"], row["gap_z"]) for row in facts.correlations] == [("AAA", 2.5)]
    assert {symbol: row["regime"] for symbol, row in facts.liquidity.items()} == {"AAA": "normal"}


def test_a_pair_or_a_liquidity_regime_that_comes_late_is_not_seen_before() -> None:
    late = book(
        correlations=[paired("AAA", "BBB", at=AS_OF + TICK)], liquidity_regimes=[traded("AAA", at=AS_OF + TICK)]
    )
    assert (late.at(AS_OF).correlations, late.at(AS_OF).liquidity) == ((), {})
    after = late.at(AS_OF + TICK)
    assert (len(after.correlations), list(after.liquidity)) == (1, ["AAA"])


def test_an_intraday_bar_is_seen_when_it_has_ended() -> None:
    opened = TODAY.open
    held = book(
        intraday_features=[
            minutes("AAA", "5m", opened, close=1.0),
            minutes("AAA", "5m", opened + timedelta(minutes=5), close=2.0),
        ]
    )
    ended = opened + timedelta(minutes=10)
    assert held.at(opened + timedelta(minutes=5) - TICK).intraday == {}
    assert held.at(ended - TICK).intraday["AAA"]["close"] == 1.0
    assert held.at(ended).intraday["AAA"]["close"] == 2.0


def test_five_minutes_are_preferred_then_the_finest_that_is_there() -> None:
    opened = TODAY.open
    rows = [
        minutes("AAA", "1m", opened),
        minutes("AAA", "5m", opened),
        minutes("AAA", "1h", opened),
        minutes("BBB", "1h", opened),
    ]
    held = book(intraday_features=rows)
    seen = {
        label: held.at(opened + timedelta(minutes=at)).intraday for label, at in (("one", 1), ("five", 5), ("hour", 60))
    }
    assert {symbol: row["frequency"] for symbol, row in seen["one"].items()} == {"AAA": "1m"}
    assert {symbol: row["frequency"] for symbol, row in seen["five"].items()} == {"AAA": "5m"}
    assert {symbol: row["frequency"] for symbol, row in seen["hour"].items()} == {"AAA": "5m", "BBB": "1h"}


def test_intraday_bars_of_yesterday_say_nothing_today() -> None:
    rows = [minutes("AAA", "5m", BEFORE.open)]
    assert facts_of(intraday_features=rows).intraday == {}
    shown = book(bars=[bar(session=XNYS.previous(BEFORE.day))], intraday_features=rows).at(BEFORE.close)
    assert list(shown.intraday) == ["AAA"]


def test_a_desk_without_documents_has_facts_all_the_same() -> None:
    facts = facts_of()
    assert facts.session == BEFORE.day
    assert (facts.news, facts.macro, facts.correlations, facts.liquidity, facts.intraday) == ({}, {}, (), {}, {})
    empty = {table.name: table.empty() for table in (*FACT_TABLES, *CONTEXT_TABLES)}
    empty[DAILY_BARS.name] = DAILY_BARS.frame([bar()])
    assert FactBook(empty).at(AS_OF) == facts


def test_tables_with_no_rows_are_no_obstacle() -> None:
    assert [each(None).at(AS_OF) for each in (MacroRows, NewsRows, IntradayRows)] == [{}, {}, {}]
    assert NewsRows(NEWS.empty()).at(AS_OF) == {}


def test_a_load_reaches_back_as_far_as_each_table_is_looked_back_on(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The desk loads for one session what a backtest loads for years: both must see the same."""
    lake = ParquetLake(tmp_path_factory.mktemp("lake"))
    sessions = XNYS.sessions(date(2012, 1, 3), TODAY.day)
    span = Span(sessions[0].day, TODAY.day)
    tables = {
        DAILY_BARS: [bar(session=session) for session in sessions],
        NEWS: [told(f"{ago} ago", ago=ago) for ago in range(30)],
        MACRO_SERIES: [*daily("SP500", {}), observed("CPI", date(2012, 1, 1), 1.0, at=TODAY.open - timedelta(days=90))],
        CORRELATIONS: [paired("AAA", "BBB", session=session) for session in sessions],
        LIQUIDITY_REGIMES: [traded("AAA", session=session) for session in sessions],
        INTRADAY_FEATURES: [minutes("AAA", "5m", session.open) for session in sessions],
    }
    for table in (*FACT_TABLES, *CONTEXT_TABLES):
        lake.write(table, table.frame(tables.get(table, [])), span)
    for moment in (AS_OF, TODAY.open + timedelta(hours=1)):
        alone = FactBook.load(lake, Span(TODAY.day, TODAY.day), as_of=moment).at(moment)
        walked = FactBook.load(lake, span, as_of=TODAY.close).at(moment)
        assert alone == walked
        assert len(alone.news["AAA"]) == 9
        assert len(alone.macro["SP500"]) > 55


_MOMENTS = st.integers(0, 15 * 24 * 4).map(
    lambda quarters: AS_OF - timedelta(days=13) + timedelta(minutes=15 * quarters)
)


@st.composite
def _documents(draw: st.DrawFn) -> dict[str, Sequence[Row]]:
    moments = draw(st.lists(_MOMENTS, max_size=6))
    starts = [moment.replace(minute=0) for moment in moments]
    return {
        "news": [told(f"headline {n}", at=moment) for n, moment in enumerate(moments)],
        "macro_series": list(
            {
                moment: observed(
                    draw(st.sampled_from("XY")), date(2012, 5, draw(st.integers(1, 3))), float(n), at=moment
                )
                for n, moment in enumerate(moments)
            }.values()
        ),
        "intraday_features": list({start: minutes("AAA", "5m", start) for start in starts}.values()),
        "correlations": list(
            {
                s: paired("AAA", "BBB", session=XNYS.session(s), at=m)
                for m in moments
                if XNYS.is_session(s := session_of(m))
            }.values()
        ),
    }


@settings(deadline=None, max_examples=25)
@given(_documents(), _MOMENTS)
def test_whatever_comes_later_changes_nothing_of_what_was_seen(rows: dict[str, Sequence[Row]], as_of: datetime) -> None:
    whole = book(bars=[bar(session=XNYS.session(date(2012, 6, 4)))], **rows).at(as_of)
    then = {name: [row for row in of if row["knowable_at"] <= as_of] for name, of in rows.items()}
    cut = book(bars=[bar(session=XNYS.session(date(2012, 6, 4)))], **then).at(as_of)
    assert whole == cut
    seen = [row for of in (*whole.news.values(), *whole.macro.values()) for row in of]
    assert all(row["knowable_at"] <= as_of for row in (*seen, *whole.intraday.values(), *whole.correlations))
