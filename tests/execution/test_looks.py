"""A look between the slots on a real ledger and lake: it exits and trims, it never opens, and it happens once."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa

from resources.bus_events import message_of
from resources.ledger import schema as t
from resources.ledger.bus import publish
from resources.ledger.engine import reading
from resources.ledger.journal_files import JournalFiles
from resources.ledger.store import SqlLedger
from tests.execution.world import Market, decided, lane, market
from tests.plans.ideas import bar_at
from trading_assets.core.calendar import NEW_YORK, XNYS
from trading_assets.core.errors import DuplicateDecision, PermanentFailure, SlotRefused
from trading_assets.core.messages import Draft, Halted, Message, NewsArrived
from trading_assets.core.operations import Events
from trading_assets.core.ports import Span
from trading_assets.core.slots import Slot, slot_between, slots_of
from trading_assets.execution.between import with_reductions
from trading_assets.execution.cycle import SlotResult
from trading_assets.execution.lanes import Lane, decide_due, due_or_refused, load_world, look_or_refused
from trading_assets.execution.looking import look
from trading_assets.execution.model import Book, Position
from trading_assets.execution.orders import intent_for, orders_of
from trading_assets.execution.ports import Decision, SessionClose
from trading_assets.features.model import INTRADAY_FEATURES
from trading_assets.market.documents.model import NEWS
from trading_assets.plans.model import TradePlan
from trading_assets.plans.trader import Planned
from trading_assets.signatures.model import SIGNERS, Verdict

SPAN = Span(date(2012, 8, 8), date(2012, 8, 17))
DAY = date(2012, 8, 14)
BEFORE = date(2012, 8, 13)
EVENTS = Events()
HELD = "MSFT"


def at(clock: str, day: date = DAY) -> datetime:
    return datetime.combine(day, time.fromisoformat(clock), NEW_YORK).astimezone(UTC)


@cache
def _market() -> Market:
    return market(SPAN)


@pytest.fixture
def desk(tmp_path: Path) -> Lane:
    """A desk that holds 100 MSFT since 10 August, bought at 30 with a stop at 29."""
    where = lane(tmp_path / "home", "desk", of=_market())
    assert isinstance(where.ledger, SqlLedger)
    bought = slots_of(XNYS.session(date(2012, 8, 10)), ("09:30",))[0]
    plan = TradePlan(
        session=bought.session.day,
        slot=bought.label,
        as_of=bought.at,
        action="enter",
        strategy="pullback",
        symbol=HELD,
        regime="mild_trend",
        quantity=100,
        reference=Decimal("30.00"),
        entry=Decimal("30.00"),
        stop=Decimal("29.00"),
        target=Decimal("33.00"),
        thesis_id="",
        confidence=0.6,
        reasons=("a pullback",),
    )
    verdict = Verdict(
        signer=SIGNERS[0], plan_id=plan.id, plan_digest=plan.digest, ruling="approve", quantity=100, breaches=()
    )
    intent = intent_for(plan, verdict, book="desk", limits_hash=where.rules.limits_hash)
    _, *legs = [replace(order, status="working") for order in orders_of(intent)]
    book = Book(Decimal(97_000), {HELD: Position(HELD, 100, Decimal(3_000))}, {order.id: order for order in legs})
    zero = Decimal(0)
    with where.ledger.session() as ledger:
        decision = Decision(plan.session, plan.slot, plan.as_of, "ACTIVE", "1 plans", 1, 0, where.rules.limits_hash)
        ledger.add_decision(decision, [(plan, verdict)], [intent], orders_of(intent))
        ledger.add_settlement(SessionClose(BEFORE, book, {HELD: Decimal("30.39")}, zero, zero, zero), (), ())
    return where


def event(clock: str = "10:13:00", cause: str = "news on MSFT (message 1)") -> Slot:
    return slot_between(XNYS.session(DAY), at(clock), cause)


def with_bar(where: Lane, close: float, *, slot: Slot, symbol: str = HELD, **changed: Any) -> None:
    """The session's newest bar of a symbol, five minutes old at the slot."""
    row = bar_at(slot, minutes_old=5, symbol=symbol, close=close, **changed)
    blank = {column.name: None for column in INTRADAY_FEATURES.columns}
    where.lake.write(INTRADAY_FEATURES, INTRADAY_FEATURES.frame([{**blank, **row}]), Span(DAY, DAY))


def with_news(where: Lane, headline: str, clock: str) -> None:
    row = {"symbol": HELD, "session": DAY, "item": headline, "headline": headline, "summary": "", "publisher": "Wire"}
    moment = at(clock)
    row |= {"url": "", "source": "files", "published_at": moment, "fetched_at": moment, "basis": "observed"}
    where.lake.write(NEWS, NEWS.frame([{**row, "knowable_at": moment}]), Span(DAY, DAY))


def look_at(where: Lane, slot: Slot) -> SlotResult:
    return decide_due(where, slot)[0]


def orders(result: SlotResult) -> list[tuple[str, str, int, str]]:
    return [(i.plan.action, i.plan.symbol, i.quantity, f"{i.plan.reference:.2f}") for i in result.intents]


def test_a_look_without_a_reason_to_sell_is_on_record_with_its_event_and_orders_nothing(desk: Lane) -> None:
    slot = event()
    result = look_at(desk, slot)
    assert (result.decision.slot, result.decision.as_of, result.decision.state) == ("10:13:00", slot.at, "REDUCING")
    assert "news on MSFT (message 1)" in result.decision.reason
    assert orders(result) == []
    with desk.ledger.reading() as ledger:
        assert [each.slot for each in ledger.decisions(DAY, DAY)] == ["10:13:00"]
    assert set(decided(desk, Span(DAY, DAY))["theses"]["slot"].to_list()) <= {"10:13:00"}


@pytest.mark.parametrize("price", [28.99, 29.00])
def test_a_price_of_the_session_that_passed_the_stop_sells_everything_at_once(desk: Lane, price: float) -> None:
    slot = event()
    with_bar(desk, price, slot=slot)
    result = look_at(desk, slot)
    assert orders(result) == [("exit", HELD, 100, f"{price:.2f}")]
    assert [(o.type, o.side, o.role) for o in result.orders] == [("market", "sell", "exit")]
    told = result.plans[0].reasons
    assert "has passed the stop at 29.00" in told[0]
    assert told[-1] == "seen because of news on MSFT (message 1)"
    assert not any(order.opens for order in result.orders)


@pytest.mark.parametrize(
    "changed", [{"close": 29.01}, {"minutes_old": 40}, {"symbol": "IBM"}], ids=["above", "stale", "another symbol"]
)
def test_a_price_above_the_stop_an_old_one_or_one_of_another_symbol_sells_nothing(
    desk: Lane, changed: dict[str, Any]
) -> None:
    slot = event()
    row = bar_at(slot, **{"minutes_old": 5, "symbol": HELD, "close": 20.0, **changed})
    blank = {column.name: None for column in INTRADAY_FEATURES.columns}
    desk.lake.write(INTRADAY_FEATURES, INTRADAY_FEATURES.frame([{**blank, **row}]), Span(DAY, DAY))
    assert orders(look_at(desk, slot)) == []


def test_a_bar_that_becomes_known_a_second_after_the_event_is_not_seen(desk: Lane) -> None:
    slot = event()
    with_bar(desk, 20.0, slot=slot, knowable_at=slot.at + timedelta(seconds=1))
    assert orders(look_at(desk, slot)) == []


def test_what_is_on_its_way_out_is_not_sold_twice(desk: Lane) -> None:
    with_bar(desk, 28.0, slot=event("10:13:00"))
    assert len(look_at(desk, event("10:13:00")).orders) == 1
    later = event("10:20:00")
    assert orders(look_at(desk, later)) == []


def test_where_the_open_would_buy_a_look_buys_nothing(desk: Lane) -> None:
    """The same facts, book and minute: only the slot is another."""
    opened = look_at(desk, slots_of(XNYS.session(date(2012, 8, 14)), ("09:30",))[0])
    assert any(plan.opens for plan in opened.plans), "the open of this day proposes entries"
    for clock in ("09:40:01", "10:13:00", "15:59:59"):
        result = look_at(desk, event(clock))
        assert not any(plan.opens for plan in result.plans)
        assert result.decision.state == "REDUCING"


def test_a_plan_that_opens_stops_a_look_before_anything_is_written(desk: Lane) -> None:
    slot = event()
    opened = look_at(desk, slots_of(XNYS.session(DAY), ("09:30",))[0])
    entry = next(plan for plan in opened.plans if plan.opens)
    world = load_world(desk, Span(DAY, DAY), as_of=slot.at)
    with desk.ledger.reading() as ledger:
        view = look(slot, world, desk.rules, ledger)
    with pytest.raises(PermanentFailure, match="may only reduce"):
        with_reductions(view, view.mind, Planned(plans=(entry,)), desk.rules)


def test_bad_news_is_heard_again_and_moves_the_thesis_that_the_holding_stands_on(desk: Lane) -> None:
    look_at(desk, slots_of(XNYS.session(DAY), ("09:30",))[0])
    quiet = look_at(desk, event("10:05:00"))
    with_news(desk, "Microsoft sued for fraud, shares plunge after huge loss and recall", "10:12:59")
    result = look_at(desk, event("10:13:00"))
    assert quiet.mind is not None
    assert result.mind is not None
    before, after = (mind.of(HELD, "long") for mind in (quiet.mind, result.mind))
    assert before is not None
    assert after is None or after.confidence < before.confidence - 0.02
    spoke = [word for thesis in result.mind.theses for word in thesis.contributions if word.source == "news"]
    assert any(word.at == event("10:13:00").at for word in spoke)
    again = look_at(desk, event("10:19:00"))
    assert again.mind is not None
    assert all(w.at <= event("10:13:00").at for th in again.mind.theses for w in th.contributions if w.source == "news")


def test_a_halt_between_the_slots_sells_what_is_held(desk: Lane) -> None:
    with desk.ledger.session() as ledger:
        ledger.add_halt("operator: a doubt", as_of=at("10:12:30"))
    result = look_at(desk, event(cause="halt 1 (message 5)"))
    assert result.decision.state == "HALTED"
    assert "halt 1 (message 5)" in result.decision.reason
    assert [order[:3] for order in orders(result)] == [("exit", HELD, 100)]


def test_the_same_event_is_looked_at_once_and_an_overtaken_one_never(desk: Lane) -> None:
    look_at(desk, event("10:13:00"))
    with pytest.raises(DuplicateDecision):
        look_at(desk, event("10:13:00"))
    with pytest.raises(SlotRefused, match="overtaken"):
        look_at(desk, event("10:12:00"))
    with desk.ledger.reading() as ledger:
        assert [each.slot for each in ledger.decisions(DAY, DAY)] == ["10:13:00"]


def test_the_desk_goes_on_at_its_next_slot_with_the_mind_and_the_day_of_the_look(desk: Lane) -> None:
    with_bar(desk, 28.0, slot=event())
    sold = look_at(desk, event())
    scheduled = look_at(desk, slots_of(XNYS.session(DAY), ("10:30",))[0])
    assert scheduled.decision.state != "IDLE", "there are intraday bars"
    assert sold.mind is not None
    with desk.ledger.reading() as ledger:
        assert ledger.mind(at("10:30:00")) == sold.mind
        placed = {order.id for order, _ in ledger.orders_placed(DAY, DAY)}
    assert {order.id for order in sold.orders} <= placed
    slots = decided(desk, Span(DAY, DAY))["orders"]["slot"].unique().to_list()
    assert slots == ["10:13:00"]


# What may be asked for


def told(where: Lane, clock: str = "10:13:00", symbol: str = HELD) -> Message:
    assert isinstance(where.ledger, SqlLedger)
    payload = NewsArrived(symbol=symbol, news_id="n", published=at(clock))
    (number,) = publish(_engine(where), [Draft("desk", DAY, at(clock), "ingest", payload)])
    found = message_of(_engine(where), number)
    assert found is not None
    return found


def _engine(where: Lane) -> sa.Engine:
    return where.ledger._engine  # type: ignore[attr-defined, no-any-return]


def refused(
    where: Lane, message: Message | None, *, label: str = "", keys: Sequence[str] = (), now: str = "10:14:00"
) -> str:
    with pytest.raises(SlotRefused) as raised:
        look_or_refused(where.ledger, where.rules, keys, label, message, now=at(now), settings=EVENTS)
    return str(raised.value)


def test_an_event_on_the_bus_gives_its_slot_however_it_is_asked_for(desk: Lane) -> None:
    message = told(desk)
    for keys in ([], ["2012-08-14"]):
        for label in ("", "10:13:00"):
            slot = look_or_refused(desk.ledger, desk.rules, keys, label, message, now=at("10:14:00"), settings=EVENTS)
            assert (slot.label, slot.cause) == ("10:13:00", f"news on MSFT (message {message.id})")


def test_an_event_that_is_not_on_the_bus_is_refused(desk: Lane) -> None:
    assert message_of(_engine(desk), 99) is None
    assert message_of(_engine(desk), 0) is None
    assert "events on the bus only" in refused(desk, None, label="10:13:00")


def test_another_label_session_or_hour_than_the_events_is_refused(desk: Lane) -> None:
    message = told(desk)
    assert "10:13:00 is the slot of message" in refused(desk, message, label="10:14:00")
    assert "10:13:00 is the slot of message" in refused(desk, message, keys=["2012-08-13"])
    assert "deserves no look now" in refused(desk, message, now="10:29:00")
    assert "deserves no look now" in refused(desk, message, now="10:12:59")
    assert "closed" in refused(desk, message, now="16:00:00")
    assert "deserves no look now" in refused(desk, told(desk, symbol="TSLA"))


def test_an_event_that_was_looked_at_or_that_comes_too_soon_after_a_look_is_refused(desk: Lane) -> None:
    first = told(desk)
    look_at(desk, look_or_refused(desk.ledger, desk.rules, (), "", first, now=at("10:14:00"), settings=EVENTS))
    assert "deserves no look now" in refused(desk, first)
    second = told(desk, "10:16:00")
    assert "5 minutes lie between two looks" in refused(desk, second, now="10:17:00")
    assert (
        look_or_refused(desk.ledger, desk.rules, (), "", second, now=at("10:18:00"), settings=EVENTS).label
        == "10:16:00"
    )


def test_an_events_label_without_its_event_is_refused_like_any_slot_that_is_not_due(desk: Lane) -> None:
    with pytest.raises(SlotRefused, match="due slots only"):
        due_or_refused(desk.rules, (), "10:01:00", now=at("10:01:00"))


def test_a_halt_that_the_ledger_tells_of_is_an_event_by_itself(desk: Lane) -> None:
    with desk.ledger.session() as ledger:
        ledger.add_halt("operator: a doubt", as_of=at("10:12:30"))
    with reading(_engine(desk)) as connection:
        number = connection.scalar(sa.select(sa.func.max(t.MESSAGES.c.id)).where(t.MESSAGES.c.topic == "halt"))
    message = message_of(_engine(desk), int(number or 0))
    assert message is not None
    assert isinstance(message.draft.payload, Halted)
    slot = look_or_refused(desk.ledger, desk.rules, (), "", message, now=at("10:13:00"), settings=EVENTS)
    assert slot.label == "10:12:30"
    assert look_at(desk, slot).intents


def test_the_journal_and_the_lakes_rows_carry_the_longer_label(desk: Lane, tmp_path: Path) -> None:
    assert isinstance(desk.ledger, SqlLedger)
    files = JournalFiles(tmp_path / "journal")
    where = replace(desk, ledger=SqlLedger(_engine(desk), "desk", files))
    with_bar(where, 28.0, slot=event())
    look_at(where, event())
    pages = [path.read_text() for path in (tmp_path / "journal").rglob("*.md")]
    assert any("Slot 10:13:00 was decided in state REDUCING" in page and "news on MSFT" in page for page in pages)
    verdicts = decided(where, Span(DAY, DAY))["verdicts"].filter(pl.col("symbol") == HELD)
    assert verdicts["slot"].unique().to_list() == ["10:13:00"]
