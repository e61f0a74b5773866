"""Controls at the moment of sending: exactly at its bound an order goes, a hair beyond it does not, and unknown never does."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.signatures.at_sending import (
    LATER,
    NOW,
    SESSION,
    STRICT,
    bracket,
    counters,
    quote,
    ready,
    refused,
    sent,
    unknown,
    values,
)
from tests.signatures.gated import around, plan, portfolio
from trading_assets.broker.model import MarginImpact
from trading_assets.core.preferences import Preferences
from trading_assets.plans.model import TradePlan
from trading_assets.signatures.controls import CONTROLS, judge_at_sending

MILLISECOND = timedelta(milliseconds=1)


def far(limit: str) -> dict[str, Any]:
    """A bracket at a limit, in a market that asks 100."""
    market = quote("99.98", "100.00", last=Decimal(100))
    return {"quote": market, "second_price": Decimal(100), "orders": bracket(CALM, limit=limit)}


def past_open(now: datetime = LATER, **otherwise: Any) -> dict[str, Any]:
    """Some time after the open, with a bar of the minute before."""
    return {"now": now, "bar_at": now - timedelta(seconds=70), "session": SESSION, **otherwise}


def at_clock(hour: int, minute: int, *, less: timedelta = timedelta(0), **otherwise: Any) -> dict[str, Any]:
    """A New York time of the session; the exchange is four hours behind UTC in June."""
    now = SESSION.open.replace(hour=hour + 4, minute=minute) - less
    return past_open(now, **otherwise)


def decided_at(hour: int, minute: int, **more: Any) -> TradePlan:
    """A plan of that time."""
    as_of = SESSION.open.replace(hour=hour + 4, minute=minute) + timedelta(**more)
    return plan().model_copy(update={"as_of": as_of})


def margin(initial: str) -> MarginImpact:
    """An order that leaves 100,000 USD of excess liquidity."""
    return MarginImpact(Decimal(initial), Decimal(20_000), Decimal(120_000))


CALM = plan(50, entry="97.00", stop="95.50", target="100.00")
DEAR = plan(50, entry="50.25", stop="49.25", target="52.25")


@dataclass(frozen=True)
class Edge:
    """One control's bound: a moment exactly at it, one just beyond it, and the key one step tighter."""

    control: str
    limit: str
    value: Any
    tighter: Any
    at: Mapping[str, Any]
    beyond: Mapping[str, Any]
    asked: TradePlan = field(default_factory=plan)
    later: TradePlan | None = None


def after(seconds: float) -> dict[str, Any]:
    """So long after the last order in the symbol."""
    return {"counters": counters(last_order={"AAA": NOW - timedelta(seconds=seconds)})}


EDGES = (
    Edge("C5", "collar_fraction_max", 0.03, 0.0299, far("97.00"), far("96.99"), CALM),
    Edge("C6", "marketable_fraction_max", 0.005, 0.0049, {}, {"quote": quote(ask="49.99")}, DEAR),
    Edge(
        "C14",
        "orders_per_minute_max",
        10,
        9,
        {"counters": counters(orders_last_minute=9)},
        {"counters": counters(orders_last_minute=10)},
    ),
    Edge(
        "C14",
        "orders_per_day_max",
        60,
        59,
        {"counters": counters(orders_today=59)},
        {"counters": counters(orders_today=60)},
    ),
    Edge("C14", "symbol_pause_seconds_min", 60.0, 60.001, after(60), after(59.999)),
    Edge(
        "C15",
        "entries_per_symbol_max",
        3,
        2,
        {"counters": counters(entries_today={"AAA": 2, "BBB": 9})},
        {"counters": counters(entries_today={"AAA": 3})},
    ),
    Edge("C17", "universe_max", 50, 49, {"universe": 50}, {"universe": 51}),
    Edge("C18c", "average_volume_min", 500_000, 500_001, {"volume": 500_000.0}, {"volume": 499_999.0}),
    Edge("C21", "margin_fraction_max", 0.8, 0.7999999, {"margin": margin("80000")}, {"margin": margin("80000.01")}),
    Edge(
        "C23",
        "entries_from",
        "09:45",
        "09:46",
        at_clock(9, 45),
        at_clock(9, 45, less=MILLISECOND),
    ),
    Edge(
        "C23",
        "entries_until",
        "15:30",
        "15:29",
        at_clock(15, 31),
        at_clock(15, 31),
        decided_at(15, 30),
        decided_at(15, 30, milliseconds=1),
    ),
    Edge(
        "C24",
        "reopening_minutes_min",
        5.0,
        5.001,
        past_open(reopened_at=LATER - timedelta(minutes=5)),
        past_open(reopened_at=LATER - timedelta(minutes=5) + MILLISECOND),
    ),
    Edge(
        "C25",
        "quote_age_seconds_max",
        5.0,
        4.999,
        {"quote": quote(at=NOW - timedelta(seconds=5))},
        {"quote": quote(at=NOW - timedelta(seconds=5) - MILLISECOND)},
    ),
    Edge(
        "C25",
        "bar_age_intervals_max",
        1.5,
        1.49,
        past_open(bar_at=LATER - timedelta(seconds=150)),
        past_open(bar_at=LATER - timedelta(seconds=150) - MILLISECOND),
    ),
    Edge(
        "C25",
        "clock_skew_seconds_max",
        1.0,
        0.999,
        {"clock_skew": timedelta(seconds=-1)},
        {"clock_skew": timedelta(seconds=-1) - MILLISECOND},
    ),
    Edge(
        "C26",
        "second_price_fraction_max",
        0.01,
        0.0099,
        {"quote": quote(last=Decimal("50.50"))},
        {"quote": quote(last=Decimal("50.51"))},
    ),
    Edge(
        "C30",
        "capital_excess_usd_max",
        10_000.0,
        9_999.99,
        {"values": values(equity=Decimal(110_000))},
        {"values": values(equity=Decimal("110000.01"))},
    ),
    Edge(
        "C34",
        "reconciled_seconds_max",
        15.0,
        14.999,
        {"reconciled_at": NOW - timedelta(seconds=15)},
        {"reconciled_at": NOW - timedelta(seconds=15) - MILLISECOND},
    ),
)
SENDING_FIELDS = frozenset(edge.limit for edge in EDGES)
IDS = [f"{edge.control}-{edge.limit}" for edge in EDGES]


def judged(asked: TradePlan, limits: Mapping[str, Any], moment: Mapping[str, Any]) -> list[str]:
    """The controls that refuse at a moment; `volume` is the symbol's average."""
    otherwise = {key: value for key, value in moment.items() if key != "volume"}
    surroundings = around(preferences=STRICT.model_copy(update=limits), volume=moment.get("volume", 1_000_000.0))
    return refused(judge_at_sending(asked, surroundings, ready(asked, **otherwise)))


@pytest.mark.parametrize("edge", EDGES, ids=IDS)
def test_an_order_exactly_at_the_bound_goes(edge: Edge) -> None:
    assert judged(edge.asked, {edge.limit: edge.value}, edge.at) == []


@pytest.mark.control("C5", "C6", "C14", "C15", "C17", "C18c", "C21", "C23", "C24", "C25", "C26", "C30", "C34")
@pytest.mark.parametrize("edge", EDGES, ids=IDS)
def test_an_order_a_hair_beyond_the_bound_does_not_go(edge: Edge) -> None:
    assert judged(edge.later or edge.asked, {edge.limit: edge.value}, edge.beyond) == [edge.control]


@pytest.mark.parametrize("edge", EDGES, ids=IDS)
def test_the_bound_at_sending_is_the_preferences_own_value(edge: Edge) -> None:
    assert judged(edge.asked, {edge.limit: edge.tighter}, edge.at) == [edge.control]


@pytest.mark.parametrize("edge", EDGES, ids=IDS)
def test_the_bound_at_delivery_is_the_documented_one(edge: Edge) -> None:
    delivered = {"entries_from": "09:30"}.get(edge.limit, edge.value)
    assert getattr(Preferences(), edge.limit) == delivered


def test_everything_in_order_goes() -> None:
    verdict = sent()
    assert (verdict.ruling, verdict.quantity, verdict.signer, verdict.breaches) == ("approve", 100, "gateway", ())
    assert (verdict.plan_id, verdict.plan_digest) == (plan().id, plan().digest)


def test_where_nothing_is_known_every_control_that_asks_refuses() -> None:
    asked = plan()
    found = judge_at_sending(
        asked, around(portfolio(cash="NaN"), STRICT, state="HALTED", volume=None, sectors={}), unknown(NOW)
    )
    silent = {control.id for control in CONTROLS if control.sending_rule} - {each.control for each in found.breaches}
    assert found.ruling == "veto"
    assert silent == {"C15", "C28c"}  # nothing was entered before; a purchase borrows nothing


@pytest.mark.parametrize("name", sorted(each.name for each in fields(ready(plan())) if "| None" in str(each.type)))
def test_one_answer_that_is_missing_is_enough_to_refuse(name: str) -> None:
    lenient = {"reopened_at", "short_restricted"}
    moment = past_open() if name == "bar_at" else {}
    assert bool(judged(plan(), {}, {**moment, name: None})) == (name not in lenient)


def test_a_shrunk_intent_is_judged_on_what_was_signed() -> None:
    """The plan asked for 600; the gate allowed 100, which the signers signed."""
    asked = plan(600)
    signed = asked.model_copy(update={"quantity": 100})
    verdict = judge_at_sending(asked, around(preferences=STRICT), ready(signed))
    assert (verdict.ruling, verdict.quantity, verdict.plan_digest) == ("approve", 100, asked.digest)


def test_nothing_is_shrunk_at_sending() -> None:
    found = judge_at_sending(plan(), around(portfolio(cash=4_999), STRICT), ready(plan(), values=values()))
    assert (found.ruling, found.quantity) == ("veto", 0)
    assert {"C9b"} <= {each.control for each in found.breaches}


def test_money_is_counted_at_the_limit_that_is_sent() -> None:
    """Free cash pays 100 shares at 49.90 and not at the plan's 50.00."""
    asked, book = plan(), portfolio(cash="99998")
    limits = STRICT.model_copy(update={"position_fraction_max": 0.0499})
    dear = judge_at_sending(asked, around(book, limits), ready(asked))
    cheap = judge_at_sending(asked, around(book, limits), ready(asked, orders=bracket(asked, limit="49.89")))
    assert (refused(dear), refused(cheap)) == (["C7"], [])


def test_a_verdict_at_sending_lists_every_breach_in_the_catalogues_order() -> None:
    asked = plan()
    moment = ready(asked, seals="expired", quote=None, lease="lost", listed=False, account="DU2")
    found = judge_at_sending(asked, around(portfolio(cash=4_000), STRICT, state="REDUCING"), moment)
    told = [each.control for each in found.breaches]
    places = [[control.id for control in CONTROLS].index(each) for each in told]
    assert places == sorted(places)
    assert {"C1", "C2", "C5", "C6", "C7", "C9b", "C17", "C19c", "C24", "C25", "C26", "C29", "C33"} <= set(told)
    assert all(each.value and each.bound and each.sentence.startswith(f"{each.control} ") for each in found.breaches)


def test_the_same_moment_is_judged_the_same_way() -> None:
    asked = plan()
    moment = ready(asked, crossing=("b", "a"), seals="x", quote=replace(quote(), kind="delayed"))
    assert judge_at_sending(asked, around(), moment) == judge_at_sending(asked, around(), moment)
