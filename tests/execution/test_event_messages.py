"""What facts tell the bus: new headlines and confirmed changes of regime, each once, and nothing of the past."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from threading import Thread
from typing import Any

import dagster as dg
import polars as pl
import pytest
import sqlalchemy as sa

from resources.bus_events import publish_once
from resources.desk import DESK, DeskResource
from resources.ledger.bus import read_messages
from resources.ledger.engine import open_ledger, reading
from tests.features.frames import embedded
from tests.orchestration.homes import living_in
from trading_assets.core.calendar import XNYS
from trading_assets.core.messages import Draft, Message, NewsArrived, RegimeChanged, Wanted
from trading_assets.core.ports import Span
from trading_assets.core.settings import Home
from trading_assets.market.documents import assets as documents
from trading_assets.market.documents.telling import news_drafts
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS
from trading_assets.regimes import assets as regimes
from trading_assets.regimes.rules import regime_labels
from trading_assets.regimes.telling import regime_drafts

DAY = date(2012, 8, 14)


def row(symbol: str = "AAPL", item: str = "i1", *, day: date = DAY, known: str = "10:00") -> dict[str, Any]:
    moment = at(known)
    return {"symbol": symbol, "item": item, "session": day, "published_at": moment, "knowable_at": moment}


def at(clock: str, day: date = DAY) -> datetime:
    """UTC."""
    return datetime.fromisoformat(f"{day}T{clock}:00+00:00").astimezone(UTC)


def told(where: sa.Engine) -> list[Message]:
    with reading(where) as connection:
        return list(read_messages(connection, Wanted(), after=0, limit=100))


@pytest.fixture
def engine(tmp_path: Path) -> sa.Engine:
    return open_ledger(tmp_path / "desk.sqlite", durability="NORMAL")


def test_a_new_headline_of_the_session_at_hand_is_one_message_of_the_moment_the_desk_has_it() -> None:
    drafts = news_drafts([row("MSFT", "i2"), row()], as_of=at("14:00"))
    assert [draft.payload for draft in drafts] == [
        NewsArrived(symbol="AAPL", news_id="i1", published=at("10:00")),
        NewsArrived(symbol="MSFT", news_id="i2", published=at("10:00")),
    ]
    assert {(draft.topic, draft.at, draft.session, draft.book) for draft in drafts} == {
        ("news", at("14:00"), DAY, DESK)
    }


@pytest.mark.parametrize(
    ("changed", "now"),
    [({"day": date(2012, 8, 13)}, at("14:00")), ({}, at("20:01")), ({"known": "14:01"}, at("14:00"))],
    ids=["an older session", "after the close it was for", "not yet knowable"],
)
def test_headlines_of_the_past_and_of_later_are_no_news(changed: dict[str, Any], now: datetime) -> None:
    assert news_drafts([row(**changed)], as_of=now) == ()


def test_a_headline_of_the_evening_is_news_for_the_next_session() -> None:
    assert len(news_drafts([row(day=date(2012, 8, 15), known="21:00")], as_of=at("21:30"))) == 1


def test_only_regimes_that_differ_from_the_session_before_are_told() -> None:
    session = XNYS.session(DAY)
    labels = [
        {"symbol": s, "regime": r} for s, r in (("MARKET", "ranging"), ("AAPL", "trending_up"), ("NEW", "ranging"))
    ]
    before = [{"symbol": s, "regime": r} for s, r in (("MARKET", "trending_up"), ("AAPL", "trending_up"), ("OLD", "x"))]
    [draft] = regime_drafts(labels, before, session)
    assert draft.payload == RegimeChanged(symbol="MARKET", before="trending_up", after="ranging")
    assert (draft.at, draft.session) == (session.close, DAY)


def test_the_same_event_is_stored_once_by_however_many_it_is_found(engine: sa.Engine) -> None:
    drafts = news_drafts([row(), row("MSFT", "i2")], as_of=at("14:00"))
    later = news_drafts([row(), row("IBM", "i3")], as_of=at("14:05"))
    assert len(publish_once(engine, [*drafts, *drafts])) == 2
    assert publish_once(engine, drafts) == ()
    threads = [Thread(target=publish_once, args=(engine, later)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(m.draft.correlation_id for m in told(engine)) == ["news/AAPL/i1", "news/IBM/i3", "news/MSFT/i2"]


def test_another_book_session_or_topic_is_another_event(engine: sa.Engine) -> None:
    [one] = news_drafts([row()], as_of=at("14:00"))
    other = Draft(
        one.book,
        one.session,
        one.at,
        one.sender,
        RegimeChanged(symbol="A", before="b", after="c"),
        correlation_id=one.correlation_id,
    )
    assert len(publish_once(engine, [one, other])) == 2


@pytest.fixture
def at_home(tmp_path: Path) -> Iterator[Home]:
    with living_in(tmp_path / "home", clock="2012-08-14T10:30:00-04:00") as home:
        yield home


def run(made: Any, span: Span) -> None:
    defs = dg.Definitions(
        assets=[made],
        jobs=[dg.define_asset_job("one", executor_def=dg.in_process_executor)],
        resources={"desk": DeskResource()},
    )
    tags = {"dagster/asset_partition_range_start": str(span.first), "dagster/asset_partition_range_end": str(span.last)}
    with dg.DagsterInstance.ephemeral() as instance:
        assert defs.resolve_job_def("one").execute_in_process(instance=instance, tags=tags).success


def test_a_headline_from_the_inbox_reaches_the_bus_once(at_home: Home) -> None:
    path = at_home.root / "inbox" / "news" / "wire.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    item = {"symbol": "AAPL", "headline": "Apple sued", "published_at": "2012-08-14T13:00:00Z"}
    path.write_text(json.dumps(item) + "\n")
    for _ in range(2):
        run(documents.news, Span(DAY, DAY))
    desk = DeskResource()
    news = [m.draft for m in told(desk.engine(DESK)) if m.draft.topic == "news"]
    assert [(d.payload.symbol, d.at) for d in news if isinstance(d.payload, NewsArrived)] == [("AAPL", at("14:30"))]


def test_changed_labels_of_the_newest_session_reach_the_bus_once_and_a_backfill_tells_nothing(tmp_path: Path) -> None:
    past = Span(date(2002, 6, 3), date(2006, 3, 31))
    bars, actions = (frame.filter(pl.col("session").is_between(past.first, past.last)) for frame in embedded())
    labels = regime_labels(bars, actions, span=past)
    by_day: dict[date, dict[str, str]] = {}
    for each in labels.rows(named=True):
        by_day.setdefault(each["session"], {})[each["symbol"]] = each["regime"]
    days = sorted(by_day)
    turned = next(i for i in range(len(days) - 1, 0, -1) if by_day[days[i]] != by_day[days[i - 1]])
    before, newest = days[turned - 1], days[turned]
    changed = {s: (by_day[before][s], r) for s, r in by_day[newest].items() if by_day[before].get(s, r) != r}
    with living_in(tmp_path / "home", clock=f"{newest}T18:00:00-04:00"):
        desk = DeskResource()
        desk.lake().write(DAILY_BARS, bars, past)
        desk.lake().write(CORPORATE_ACTIONS, actions, past)
        run(regimes.regime_labels, Span(days[turned - 5], before))
        assert told(desk.engine(DESK)) == []
        for _ in range(2):
            run(regimes.regime_labels, Span(newest, newest))
        found = [m.draft.payload for m in told(desk.engine(DESK))]
    assert changed
    assert {p.symbol: (p.before, p.after) for p in found if isinstance(p, RegimeChanged)} == changed
    assert len(found) == len(changed)
