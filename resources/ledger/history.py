"""What became of intents and fills, read back: rows as values, and the open end of each symbol's trading."""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from resources.ledger import schema as t
from trading_assets.execution.model import Fill
from trading_assets.execution.ports import DividendPaid, Intent
from trading_assets.plans.model import TradePlan
from trading_assets.signatures.model import Verdict

Trading = tuple[Sequence[Fill], Sequence[DividendPaid], Sequence[Intent]]


def trade_history(connection: sa.Connection, book: str, session: date, split: Collection[str]) -> Trading:
    """Fills, payments and entry intents, each in its order, of the symbols whose position a session may have ended.

    A symbol's history begins after the newest fill before the session that left nothing held, so it stays short however long the
    book trades. Of a symbol that was ever split everything is read: its shares before and after cannot be summed.
    """
    touched = _touched(connection, book, session, split)
    if not touched:
        return (), (), ()
    flat = _flat(connection, book, [symbol for symbol in touched if symbol not in split], session)
    fills, paid = t.FILLS.c, t.DIVIDENDS.c
    open_fills, open_paid = [], []
    for symbol in touched:
        seq, day = flat.get(symbol, (0, date.min))
        open_fills.append((fills.symbol == symbol) & (fills.seq > seq))
        open_paid.append((paid.symbol == symbol) & (paid.session > day))
    found = [fill_of(row) for row in connection.execute(_until(t.FILLS, book, session).where(sa.or_(*open_fills)))]
    payments = connection.execute(_until(t.DIVIDENDS, book, session).where(sa.or_(*open_paid)))
    opening = {fill.intent_id for fill in found if fill.role == "entry"}
    intents = _until(t.INTENTS, book, session).where(t.INTENTS.c.id.in_(opening), t.INTENTS.c.action == "enter")
    return (
        found,
        [DividendPaid(row.session, row.symbol, row.amount) for row in payments],
        [intent_of(row) for row in connection.execute(intents)],
    )


def _touched(connection: sa.Connection, book: str, session: date, split: Collection[str]) -> list[str]:
    """Symbols that a fill reduced, or of which a split may have left only cash."""
    fills, paid = t.FILLS.c, t.DIVIDENDS.c
    reduced = sa.select(fills.symbol).where(fills.book == book, fills.session == session, fills.role != "entry")
    cash = sa.select(paid.symbol).where(paid.book == book, paid.session == session, paid.symbol.in_(split))
    return sorted(connection.execute(sa.union(reduced, cash) if split else reduced.distinct()).scalars())


def _flat(connection: sa.Connection, book: str, symbols: Sequence[str], session: date) -> dict[str, tuple[int, date]]:
    """By symbol, the newest fill before the session after which nothing was held: its number and its session."""
    fills = t.FILLS.c
    signed = sa.case((fills.side == "buy", fills.quantity), else_=-fills.quantity)
    held = sa.func.sum(signed).over(partition_by=fills.symbol, order_by=fills.seq).label("held")
    running = sa.select(fills.symbol, fills.seq, fills.session, held).where(
        fills.book == book, fills.symbol.in_(symbols), fills.session < session
    )
    sums = running.subquery()
    last, day = sa.func.max(sums.c.seq).label("seq"), sa.func.max(sums.c.session).label("session")
    newest = sa.select(sums.c.symbol, last, day).where(sums.c.held == 0).group_by(sums.c.symbol)
    return {row.symbol: (row.seq, row.session) for row in connection.execute(newest)}


def _until(table: sa.Table, book: str, session: date) -> sa.Select[Any]:
    return sa.select(table).where(table.c.book == book, table.c.session <= session).order_by(table.c.seq)


def intent_of(row: Any) -> Intent:
    """A row of `intents`."""
    plan = TradePlan.model_validate_json(row.plan)
    verdict = Verdict.model_validate_json(row.verdict)
    return Intent(row.id, row.session, row.slot, plan, verdict, row.quantity, row.limits_hash)


def fill_of(row: Any) -> Fill:
    """A row of `fills`."""
    return Fill(
        id=row.id,
        order_id=row.order_id,
        intent_id=row.intent_id,
        symbol=row.symbol,
        side=row.side,
        role=row.role,
        quantity=row.quantity,
        price=row.price,
        fee=row.fee,
        session=row.session,
        at=datetime.fromisoformat(row.at),
        reason=row.reason,
    )
