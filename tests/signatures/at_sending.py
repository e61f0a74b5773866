"""The moment of sending as the tests of the controls have it: everything in order, or nothing known, and what is said otherwise."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.signatures.gated import DAY, SLOT, around, plan
from trading_assets.broker.model import AccountValues, Contract, MarginImpact, OrderRequest, Quote
from trading_assets.core.calendar import XNYS
from trading_assets.core.preferences import Preferences
from trading_assets.plans.model import TradePlan
from trading_assets.signatures.controls import judge_at_sending
from trading_assets.signatures.model import Verdict
from trading_assets.signatures.sending import AtSending, Counters

SESSION = XNYS.session(DAY)
NOW = SLOT.at + timedelta(seconds=5)
LATER = SLOT.at + timedelta(hours=1)
HASH = "a" * 64
CONTRACT = Contract("AAA", 265598)
REF = "D1:intent"
STRICT = Preferences(average_volume_min=10_000, short_selling=True)


def quote(bid: str | None = "49.98", ask: str | None = "50.00", *, at: datetime = NOW, **more: Any) -> Quote:
    """A sound live quote of 2 cents around the usual plan's entry."""
    told = {"last": Decimal("49.99"), **more}
    return Quote("AAA", at, Decimal(bid) if bid else None, Decimal(ask) if ask else None, **told)


def bracket(asked: TradePlan, *, limit: str | None = None) -> tuple[OrderRequest, ...]:
    """Entry, target and stop as the gateway writes them."""
    opens, closes = ("buy", "sell") if asked.side == "long" else ("sell", "buy")
    contract = replace(CONTRACT, symbol=asked.symbol)
    entry = OrderRequest(
        key="intent-entry",
        ref=REF,
        order_id=7,
        contract=contract,
        side=opens,  # type: ignore[arg-type]
        kind="limit",
        quantity=asked.quantity,
        tif="day",
        limit_price=Decimal(limit) if limit else asked.entry,
        transmit=False,
    )
    child = replace(entry, side=closes, tif="gtc", parent_id=7, oca_group=REF, limit_price=None)  # type: ignore[arg-type]
    target = replace(child, key="intent-target", order_id=8, limit_price=asked.target)
    stop = replace(child, key="intent-stop", order_id=9, kind="stop", stop_price=asked.stop, transmit=True)
    return entry, target, stop


def exiting(asked: TradePlan, *, kind: str = "limit", price: str | None = "49.90") -> tuple[OrderRequest, ...]:
    """One order that takes the plan's shares off."""
    order = OrderRequest(
        key="intent-exit",
        ref=REF,
        order_id=7,
        contract=replace(CONTRACT, symbol=asked.symbol),
        side="sell" if asked.side == "long" else "buy",
        kind=kind,  # type: ignore[arg-type]
        quantity=asked.quantity,
        tif="day",
        limit_price=Decimal(price) if price and kind == "limit" else None,
        stop_price=Decimal(price) if price and kind == "stop" else None,
    )
    return (order,)


def ready(asked: TradePlan, **otherwise: Any) -> AtSending:
    """Everything in order, five seconds after the open, but for what is said otherwise."""
    known: dict[str, Any] = {
        "now": NOW,
        "session": SESSION,
        "quantity": asked.quantity,
        "orders": bracket(asked) if asked.opens else exiting(asked),
        "leaving": 0,
        "seals": "",
        "quote": quote(at=otherwise.get("now", NOW)),
        "bar_at": None,
        "clock_skew": timedelta(milliseconds=40),
        "second_price": Decimal("50.00"),
        "contracts": 1,
        "listed": True,
        "universe": 5,
        "crossing": (),
        "halted": False,
        "reopened_at": None,
        "breaker": "",
        "account": "",
        "values": values(),
        "margin": MarginImpact(Decimal(2_500), Decimal(1_250), Decimal(100_000)),
        "capital_usd": Decimal(100_000),
        "counters": counters(),
        "cost_per_decision_usd": Decimal("0.05"),
        "cost_per_day_usd": Decimal(5),
        "limits_hash": HASH,
        "pinned_hash": HASH,
        "intent_hash": HASH,
        "lease": "",
        "reconciled_at": otherwise.get("now", NOW) - timedelta(seconds=2),
    }
    return AtSending(**{**known, **otherwise})


def unknown(now: datetime, *, quantity: int = 100) -> AtSending:
    """Nothing could be found out: every answer is missing, empty, or the absence of a proof."""
    return AtSending(
        now=now,
        session=None,
        quantity=quantity,
        orders=(),
        leaving=0,
        seals="no signature",
        quote=None,
        bar_at=None,
        clock_skew=None,
        second_price=None,
        contracts=0,
        listed=False,
        universe=0,
        crossing=("own orders could not be read",),
        halted=True,
        reopened_at=None,
        breaker="",
        account="the account is not known",
        values=AccountValues(),
        margin=None,
        capital_usd=Decimal(0),
        counters=counters(orders_last_minute=-1, orders_today=-1, decision_cost_usd=Decimal("NaN")),
        cost_per_decision_usd=Decimal(0),
        cost_per_day_usd=Decimal(0),
        limits_hash="",
        pinned_hash="",
        intent_hash="",
        lease="not held",
        reconciled_at=None,
        disagrees="",
    )


def counters(**otherwise: Any) -> Counters:
    """A desk that has not acted today."""
    idle: dict[str, Any] = {
        "orders_last_minute": 0,
        "orders_today": 0,
        "last_order": {},
        "entries_today": {},
        "stop_outs": 0,
        "decision_cost_usd": Decimal(0),
        "day_cost_usd": Decimal(0),
    }
    return Counters(**{**idle, **otherwise})


def values(**otherwise: Any) -> AccountValues:
    """100,000 USD in cash."""
    money = dict.fromkeys(("equity", "cash", "excess_liquidity", "intraday_excess_liquidity"), Decimal(100_000))
    return AccountValues(**{**money, **otherwise})


def sent(asked: TradePlan | None = None, *, limits: Preferences = STRICT, **otherwise: Any) -> Verdict:
    """The verdict at sending on a plan, 100 shares at 50 USD unless said otherwise, in an empty book."""
    wanted = asked or plan()
    return judge_at_sending(wanted, around(preferences=limits), ready(wanted, **otherwise))


def refused(verdict: Verdict) -> list[str]:
    """The controls that refuse; empty when it may go."""
    breached = [breach.control for breach in verdict.breaches]
    assert (verdict.ruling, verdict.quantity > 0) == (("veto", False) if breached else ("approve", True))
    return breached


def changed(orders: Iterable[OrderRequest], number: int, **fields: Any) -> tuple[OrderRequest, ...]:
    """The orders with one of them otherwise."""
    return tuple(replace(order, **fields) if place == number else order for place, order in enumerate(orders))
