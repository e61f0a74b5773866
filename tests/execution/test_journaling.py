"""What the journal tells and the bus announces: everything of the rows, nothing as a float, and the way back to the decision."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.resources.ledger.entries import DAYS, at, close, decision, fill, intent, order, paid
from tests.resources.ledger.journaled import vetoed_plan
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.journal import Entry, canonical, sha256
from trading_assets.core.messages import Decided, Filled, Halted, Ordered, Resumed
from trading_assets.execution.journaling import (
    Change,
    changes,
    decision_drafts,
    decision_entries,
    decision_id,
    fill_drafts,
    fill_entries,
    halt_draft,
    halt_entry,
    parameter_entries,
    resume_draft,
    resume_entry,
    settlement_entry,
)
from trading_assets.execution.model import OrderRole, Side
from trading_assets.execution.ports import Decision, Halt
from trading_assets.plans.model import PlanAction, PlanSide, TradePlan

DAY = DAYS[0]
WANTED = intent(DAY)
ENTRY, STOP = order(WANTED), order(WANTED, "stop")
JUDGED = ((WANTED.plan, WANTED.verdict), vetoed_plan(DAY))
PLACED = {ENTRY.id: (ENTRY, WANTED), STOP.id: (STOP, WANTED)}
CAUSE = f"desk/{DAY}/09:30"
SUNDAY = datetime(2024, 3, 10, 3, 0, tzinfo=UTC)


def decided() -> tuple[Entry, ...]:
    return decision_entries(decision(DAY), JUDGED, [WANTED], [ENTRY, STOP], book="desk")


def body_of(entry: Entry) -> Any:
    """The body as it comes back from the ledger."""
    return json.loads(canonical(entry.body))


def floats_in(value: object, path: str = "") -> list[str]:
    if isinstance(value, float):
        return [path]
    if isinstance(value, dict):
        return [found for key, inner in value.items() for found in floats_in(inner, f"{path}.{key}")]
    if isinstance(value, list):
        return [found for inner in value for found in floats_in(inner, path)]
    return []


# Decisions


def test_a_decision_is_told_once_with_each_veto_and_each_intent() -> None:
    told = [(entry.kind, entry.symbol, entry.title) for entry in decided()]
    assert told == [
        ("decision", "", "decided, 1 planned, 0 vetoed"),
        ("veto", "AAA", "entry shrunk, momentum_breakout"),
        ("veto", "BBB", "entry vetoed, mean_reversion"),
        ("order", "AAA", "entry ordered, momentum_breakout"),
    ]


def test_everything_of_a_slot_carries_the_correlation_id_of_its_decision() -> None:
    fills = fill_entries([fill(ENTRY)], PLACED, book="desk")
    drafts = (*decision_drafts(decision(DAY), [ENTRY], book="desk"), *fill_drafts([fill(ENTRY)], PLACED, book="desk"))
    assert {entry.correlation_id for entry in (*decided(), *fills)} == {CAUSE}
    assert {draft.correlation_id for draft in drafts} == {CAUSE}
    assert decision_id("desk", DAY, "09:30") == CAUSE


def test_a_fill_of_a_later_session_leads_back_to_the_decision_that_placed_its_order() -> None:
    late = replace(fill(STOP), session=DAYS[4], at=at(DAYS[4]))
    (entry,) = fill_entries([late], PLACED, book="desk")
    assert (entry.session, entry.correlation_id) == (DAYS[4], CAUSE)


def test_an_approved_plan_is_no_veto() -> None:
    approved = WANTED.verdict.model_copy(update={"ruling": "approve", "quantity": 10, "breaches": ()})
    entries = decision_entries(decision(DAY), [(WANTED.plan, approved)], [WANTED], [ENTRY], book="desk")
    assert [entry.kind for entry in entries] == ["decision", "order"]


def test_an_idle_slot_is_one_line() -> None:
    idle = Decision(DAY, "10:00", at(DAY), "IDLE", "no strategy acts in this slot", 0, 0, "f" * 64)
    (entry,) = decision_entries(idle, (), (), (), book="desk")
    assert (entry.title, body_of(entry)["judged"]) == ("idle", [])


def test_a_veto_holds_the_whole_plan_and_every_breached_control_with_value_and_bound() -> None:
    entry = decided()[2]
    body, (plan, verdict) = body_of(entry), JUDGED[1]
    assert body["plan"] == plan.model_dump(mode="json")
    assert [(b["control"], b["value"], b["bound"]) for b in body["verdict"]["breaches"]] == [
        ("C10", "26,000.00 USD in Energy", "25,000.00 USD"),
        ("C8", "9 positions", "8 positions"),
    ]
    assert body["plan_digest"] == verdict.plan_digest == TradePlan.model_validate(body["plan"]).digest


def test_an_order_holds_its_intent_and_the_digests_of_what_is_stored_whole() -> None:
    body = body_of(decided()[3])
    assert body["plan_sha256"] == sha256(WANTED.plan.model_dump_json())
    assert body["verdict_sha256"] == sha256(WANTED.verdict.model_dump_json())
    assert [each["placed"]["id"] for each in body["orders"]] == [ENTRY.id, STOP.id]
    assert body["orders"][1]["placed"]["stop_price"] == "95.25"


def test_each_intent_gets_its_own_orders() -> None:
    other = intent(DAY, "CCC")
    orders = [ENTRY, STOP, order(other), order(other, "stop")]
    entries = decision_entries(decision(DAY), (), [WANTED, other], orders, book="desk")
    assert [[o["placed"]["symbol"] for o in body_of(e)["orders"]] for e in entries[1:]] == [["AAA"] * 2, ["CCC"] * 2]


@pytest.mark.parametrize("stray", ["foreign", "mixed"])
def test_orders_that_do_not_stand_with_their_intent_are_refused(stray: str) -> None:
    other = intent(DAY, "CCC")
    orders = [order(other)] if stray == "foreign" else [ENTRY, order(other), STOP]
    intents = [WANTED] if stray == "foreign" else [WANTED, other]
    with pytest.raises(PermanentFailure, match="does not stand with its intent"):
        decision_entries(decision(DAY), (), intents, orders, book="desk")


def test_no_amount_is_a_float_in_any_entry() -> None:
    halt = Halt(3, "C12", at(DAY))
    entries = (
        *decided(),
        *fill_entries([fill(ENTRY)], PLACED, book="desk"),
        settlement_entry(close(DAY), [paid(DAY)], book="desk", at=at(DAY)),
        halt_entry(halt, book="desk"),
        resume_entry(halt, "seen", book="desk", at=at(DAY)),
        *parameter_entries({"a": 0.1}, {"a": 0.2}, book="desk", origin="o", reason="r", at=at(DAY)),
    )
    allowed = {".plan.confidence"}
    assert {path for entry in entries for path in floats_in(body_of(entry))} <= allowed


# Fills


@pytest.mark.parametrize(
    ("role", "price", "wanted", "slippage", "points"),
    [
        ("entry", "100.4000", ("100.5000", "limit"), "-0.1000", "-10.0"),
        ("entry", "100.5000", ("100.5000", "limit"), "0.0000", "0.0"),
        ("stop", "95.2000", ("95.2500", "stop"), "0.0500", "5.2"),
        ("stop", "95.3000", ("95.2500", "stop"), "-0.0500", "-5.2"),
    ],
)
def test_slippage_is_what_the_price_is_worse_than_the_order(
    role: str, price: str, wanted: tuple[str, str], slippage: str, points: str
) -> None:
    filled = fill(ENTRY if role == "entry" else STOP, price=price)
    body = body_of(fill_entries([filled], PLACED, book="desk")[0])
    assert (body["wanted"], body["wanted_is"]) == wanted
    assert (body["slippage"], body["slippage_bp"]) == (slippage, points)


def test_a_market_order_is_measured_against_the_last_price_of_its_decision() -> None:
    leaving = intent(DAY, action="exit")
    market = replace(order(leaving), side="sell", type="market", role="exit", limit_price=None)
    filled = fill(market, price="99.1234")
    body = body_of(fill_entries([filled], {market.id: (market, leaving)}, book="desk")[0])
    assert (body["wanted"], body["wanted_is"]) == ("100.1234", "last price at the decision")
    assert body["slippage"] == "1.0000"


def test_a_fill_of_an_order_that_nobody_placed_is_refused() -> None:
    for tell in (fill_entries, fill_drafts):
        with pytest.raises(PermanentFailure, match="order is not known"):
            tell([fill(ENTRY)], {}, book="desk")


@pytest.mark.parametrize(
    ("action", "role", "side", "title"),
    [
        ("enter", "entry", "buy", "bought 7, entry"),
        ("enter", "target", "sell", "sold 7, target"),
        ("enter", "close", "sell", "sold 7, close"),
        ("enter", "entry", "sell", "sold short 7, entry"),
        ("enter", "stop", "buy", "bought to cover 7, stop"),
        ("add", "addition", "buy", "bought 7, addition"),
        ("add", "stop", "sell", "sold 7, stop"),
        ("trim", "exit", "sell", "sold 7, trim"),
        ("trim", "exit", "buy", "bought to cover 7, trim"),
        ("exit", "exit", "buy", "bought to cover 7, exit"),
    ],
)
def test_a_fill_is_told_by_what_it_did_to_the_position(
    action: PlanAction, role: OrderRole, side: Side, title: str
) -> None:
    plan = WANTED.plan.model_copy(update={"action": action})
    filled = replace(fill(ENTRY), role=role, side=side)
    (entry,) = fill_entries([filled], {ENTRY.id: (ENTRY, replace(WANTED, plan=plan))}, book="desk")
    assert entry.title == title


@pytest.mark.parametrize(
    ("action", "side", "noun"),
    [
        ("enter", "long", "entry"),
        ("add", "long", "addition"),
        ("trim", "long", "trim"),
        ("exit", "long", "exit"),
        ("enter", "short", "short entry"),
        ("exit", "short", "short exit"),
    ],
)
def test_an_order_and_a_veto_are_told_by_action_and_side(action: PlanAction, side: PlanSide, noun: str) -> None:
    plan = WANTED.plan.model_copy(update={"action": action, "side": side})
    veto = WANTED.verdict.model_copy(update={"ruling": "veto", "quantity": 0})
    entries = decision_entries(decision(DAY), [(plan, veto)], [replace(WANTED, plan=plan)], [ENTRY], book="desk")
    assert [entry.title for entry in entries[1:]] == [
        f"{noun} vetoed, {plan.strategy}",
        f"{noun} ordered, {plan.strategy}",
    ]


def test_a_settlement_tells_the_book_after_the_session() -> None:
    body = body_of(settlement_entry(close(DAY), [paid(DAY)], book="desk", at=at(DAY)))
    assert (body["equity"], body["cash"], body["fees"]) == ("99707.1241", "99000.1234", "0.0350")
    assert body["positions"] == [{"symbol": "AAA", "quantity": 7, "cost": "703.5343", "price": "101.0001"}]
    assert body["paid"] == [{"symbol": "AAA", "amount": "1.2300"}]


@settings(max_examples=25, deadline=None)
@given(cash=st.decimals(-(10**9), 10**9, places=4))
def test_booked_amounts_are_told_to_the_last_place(cash: Decimal) -> None:
    body = body_of(settlement_entry(close(DAY, cash), [], book="desk", at=at(DAY)))
    assert Decimal(body["cash"]) == cash
    assert body["cash"].split(".")[1].__len__() == 4


# Halts and settings


def test_a_halt_and_its_answer_share_a_correlation_id() -> None:
    halt = Halt(7, "operator: lunch", at(DAY))
    answer = resume_entry(halt, "back", book="desk", at=at(DAY) + timedelta(hours=1))
    assert halt_entry(halt, book="desk").correlation_id == answer.correlation_id == "desk/halt/7"
    assert body_of(answer) == {"halt_id": 7, "cause": "operator: lunch", "reason": "back"}


def test_a_halt_belongs_to_the_new_york_day_even_when_the_exchange_is_closed() -> None:
    entry = halt_entry(Halt(1, "x", SUNDAY), book="desk")
    assert entry.session.isoformat() == "2024-03-09"
    assert halt_draft(Halt(1, "x", SUNDAY), book="desk").session == entry.session


def test_only_settings_that_differ_are_told_each_by_its_whole_name() -> None:
    before = {"budget": {"day": 5.0, "calls": 8}, "gone": True, "same": [1, 2]}
    after = {"budget": {"day": 4.0, "calls": 8}, "new": {}, "same": [1, 2]}
    assert changes(before, after) == (
        Change("budget.day", "5.0", "4.0"),
        Change("gone", "true", None),
        Change("new", None, "{}"),
    )
    entries = parameter_entries(before, after, book="desk", origin="operator", reason="careful", at=at(DAY))
    assert [entry.title for entry in entries] == ["changed budget.day", "changed gone", "changed new"]
    assert entries[0].body == {
        "name": "budget.day",
        "before": "5.0",
        "after": "4.0",
        "origin": "operator",
        "reason": "careful",
    }


def test_a_number_that_becomes_a_text_or_a_truth_value_is_a_change() -> None:
    assert changes({"a": 1}, {"a": True}) == (Change("a", "1", "true"),)
    assert changes({"a": 1}, {"a": "1"}) == (Change("a", "1", '"1"'),)
    assert changes({"a": 1, "b": {"c": 2}}, {"a": 1, "b": {"c": 2}}) == ()


# Messages


def test_a_decision_is_announced_before_its_orders() -> None:
    drafts = decision_drafts(decision(DAY), [ENTRY, STOP], book="desk")
    assert [type(draft.payload) for draft in drafts] == [Decided, Ordered, Ordered]
    assert drafts[1].payload == Ordered(
        order_id=ENTRY.id, intent_id=WANTED.id, symbol="AAA", side="buy", role="entry", quantity=7
    )
    assert {(draft.book, draft.session, draft.at) for draft in drafts} == {("desk", DAY, at(DAY))}


def test_fills_halts_and_answers_are_announced_as_they_are() -> None:
    (filled,) = fill_drafts([fill(ENTRY)], PLACED, book="desk")
    assert isinstance(filled.payload, Filled)
    assert (filled.payload.price, filled.payload.fee) == (Decimal("100.4999"), Decimal("0.0350"))
    halt = Halt(2, "C11", at(DAY))
    assert halt_draft(halt, book="desk").payload == Halted(halt_id=2, cause="C11")
    answer = resume_draft(halt, "seen", book="desk", at=at(DAYS[1]))
    assert (answer.payload, answer.session) == (Resumed(halt_id=2, reason="seen"), DAYS[1])
