"""The ledger's rows as tables of the lake: what was ordered, filled, held, and earned, session by session."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date, datetime

from trading_assets.core.calendar import XNYS
from trading_assets.core.money import usd
from trading_assets.core.ports import Lake, Span
from trading_assets.core.slots import Slot
from trading_assets.execution.corporate import Action
from trading_assets.execution.model import Fill, Order
from trading_assets.execution.ports import Decision, Intent, LedgerSession, SessionClose
from trading_assets.execution.round_trips import Origin, round_trips
from trading_assets.market.model import CORPORATE_ACTIONS

Row = dict[str, object]


def order_rows(orders: Sequence[Order], intents: Sequence[Intent], slot: Slot) -> list[Row]:
    """Rows of ORDERS for one slot."""
    strategies = {intent.id: intent.plan.strategy for intent in intents}
    return [
        {
            "session": order.session,
            "slot": slot.label,
            "strategy": strategies[order.intent_id],
            "order_id": order.id,
            "intent_id": order.intent_id,
            "symbol": order.symbol,
            "side": order.side,
            "type": order.type,
            "role": order.role,
            "quantity": order.quantity,
            "limit_price": order.limit_price,
            "stop_price": order.stop_price,
            "time_in_force": order.time_in_force,
            "knowable_at": slot.at,
        }
        for order in orders
    ]


def fill_rows(fills: Sequence[Fill], span: Span) -> list[Row]:
    """Rows of FILLS for the span's sessions."""
    return [
        {
            "session": fill.session,
            "fill_id": fill.id,
            "order_id": fill.order_id,
            "intent_id": fill.intent_id,
            "symbol": fill.symbol,
            "side": fill.side,
            "role": fill.role,
            "quantity": fill.quantity,
            "price": fill.price,
            "fee": fill.fee,
            "reason": fill.reason,
            "at": fill.at,
            "knowable_at": _close_of(fill.session),
        }
        for fill in fills
        if span.first <= fill.session <= span.last
    ]


def position_rows(closes: Sequence[SessionClose]) -> list[Row]:
    """Rows of POSITIONS, valued at each session's closes."""
    return [
        {
            "session": close.session,
            "symbol": symbol,
            "quantity": position.quantity,
            "cost": usd(position.cost),
            "close": close.prices[symbol],
            "market_value": usd(close.prices[symbol] * position.quantity),
            "unrealised_pnl": usd(close.prices[symbol] * position.quantity - position.cost),
            "knowable_at": _close_of(close.session),
        }
        for close in closes
        for symbol, position in sorted(close.book.positions.items())
    ]


def account_rows(closes: Sequence[SessionClose], decisions: Sequence[Decision]) -> list[Row]:
    """Rows of ACCOUNT: the book's totals and how many decisions, plans and vetoes the session saw."""
    decided = Counter(decision.session for decision in decisions)
    plans, vetoes = Counter[date](), Counter[date]()
    for decision in decisions:
        plans[decision.session] += decision.plans
        vetoes[decision.session] += decision.vetoes
    return [
        {
            "session": close.session,
            "cash": close.book.cash,
            "market_value": close.book.market_value(close.prices),
            "equity": close.equity,
            "fees": close.fees,
            "dividends": close.dividends,
            "traded_value": close.traded_value,
            "positions": len(close.book.positions),
            "decisions": decided[close.session],
            "plans": plans[close.session],
            "vetoes": vetoes[close.session],
            "knowable_at": _close_of(close.session),
        }
        for close in closes
    ]


def trade_rows(ledger: LedgerSession, lake: Lake, span: Span) -> list[Row]:
    """Rows of TRADES closed in the span's sessions."""
    origins = {
        intent.id: Origin(intent.plan.strategy, intent.plan.regime, intent.plan.stop)
        for intent in ledger.intents(span.last)
        if intent.plan.stop is not None
    }
    actions = lake.read(CORPORATE_ACTIONS, as_of=_close_of(span.last), last=span.last)
    splits = [Action.from_row(row) for row in actions.rows(named=True) if row["kind"] == "split"]
    trips = round_trips(ledger.fills(span.last), splits, ledger.dividends(span.last), origins)
    return [asdict(trip) for trip in trips if span.first <= trip.session <= span.last]


def _close_of(day: date) -> datetime:
    return XNYS.session(day).close
