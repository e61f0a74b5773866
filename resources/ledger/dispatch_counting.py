"""How often a book has acted, what its account is worth, and what the broker said last."""

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from resources.ledger import schema as t
from resources.ledger.dispatch_changes import adopt_balance
from resources.ledger.dispatch_executions import Executions
from resources.ledger.dispatch_reading import read_adopted
from resources.ledger.dispatch_rows import POSITIONS, REPORTS
from resources.ledger.dispatch_states import Work
from resources.ledger.text import instant_of, instant_text
from trading_assets.broker.journaling import new_york_day
from trading_assets.broker.lifecycle import OPENING
from trading_assets.broker.model import Snapshot
from trading_assets.core.calendar import NEW_YORK
from trading_assets.core.money import usd
from trading_assets.execution.dispatch import Equity
from trading_assets.signatures.sending import Counters

_L, _C, _M = t.LEGS.c, t.CLOSES.c, t.MODEL_CALLS.c
_MINUTE = timedelta(minutes=1)
_ZERO = Decimal(0)


def read_counters(
    connection: sa.Connection, book: str, executions: Executions, session: date, decision: str, as_of: datetime
) -> Counters:
    """See the port. A day is New York's; slices of an entry are orders of their own and one entry."""
    first, last = _day(session)
    today = (_L.book == book) & (_L.sent_at >= first) & (_L.sent_at < last) & _L.role.in_(sorted(OPENING))
    sent = connection.execute(sa.select(_L.symbol, _L.intent_id, _L.sent_at).where(today).order_by(_L.sent_at)).all()
    since = instant_text(as_of - _MINUTE)
    entries: dict[str, set[str]] = {}
    for row in sent:
        entries.setdefault(row.symbol, set()).add(row.intent_id)
    return Counters(
        orders_last_minute=sum(row.sent_at > since for row in sent),
        orders_today=len(sent),
        last_order={row.symbol: instant_of(row.sent_at) for row in sent},
        entries_today={symbol: len(intents) for symbol, intents in sorted(entries.items())},
        stop_outs=_stop_outs(connection, book, executions, session),
        decision_cost_usd=_cost(connection, _M.decision == decision),
        day_cost_usd=_cost(connection, _M.day == session),
    )


def read_equity(connection: sa.Connection, book: str, session: date) -> Equity:
    """See the port. A book that has never settled begins its day with the first balance that the broker told on it."""
    answered = _last_answer(connection, book)
    before = sa.select(_C.equity).where(_C.book == book, _C.session < session).order_by(_C.session.desc()).limit(1)
    told = connection.execute(sa.select(t.SNAPSHOTS).where(t.SNAPSHOTS.c.book == book)).first()
    day_open: Decimal | None = connection.execute(before).scalar()
    if day_open is None and told is not None and told.day == session:
        day_open = told.day_open
    since = new_york_day(instant_of(answered)) if answered else date.min
    closes = sa.select(_C.equity).where(_C.book == book, _C.session < session, _C.session >= since)
    peaks: list[Decimal] = list(connection.execute(closes).scalars())
    if told is not None and told.peak is not None and told.at >= answered:
        peaks.append(told.peak)
    return Equity(day_open, max(peaks, default=None))


def write_snapshot(work: Work, snapshot: Snapshot, executions: Executions, *, token: int, as_of: datetime) -> None:
    """Replaces what the broker said last, and carries on the day's first balance and the highest since the last answered halt."""
    before = work.connection.execute(sa.select(t.SNAPSHOTS).where(t.SNAPSHOTS.c.book == work.book)).first()
    adopted = read_adopted(work.connection, work.book)
    equity = None if snapshot.values.equity is None else usd(snapshot.values.equity)
    cash = None if snapshot.values.cash is None else usd(snapshot.values.cash)
    day = new_york_day(as_of)
    row = {
        "at": instant_text(as_of),
        "token": token,
        "agrees": _agrees(snapshot, executions.by_symbol, adopted.shares),
        "equity": equity,
        "cash": cash,
        "day": day,
        "day_open": before.day_open if before and before.day == day and before.day_open is not None else equity,
        "peak": _peak(work, before, equity),
        "state": f"{POSITIONS.dump_json(snapshot.positions).decode()}\n{REPORTS.dump_json(snapshot.open_orders).decode()}",
    }
    if before is None:
        work.connection.execute(t.SNAPSHOTS.insert(), {"book": work.book, **row})
    else:
        work.connection.execute(t.SNAPSHOTS.update().where(t.SNAPSHOTS.c.book == work.book).values(row))
    booked = all(done.exec_id in executions.all for done in snapshot.executions)
    if adopted.cash is None and cash is not None and booked:
        account = snapshot.accounts[0] if snapshot.accounts else ""
        adopt_balance(work, cash, account=account, why="the first complete snapshot", as_of=as_of)


def _peak(work: Work, before: Any, equity: Decimal | None) -> Decimal | None:
    known = [] if equity is None else [equity]
    if before is not None and before.peak is not None and before.at >= _last_answer(work.connection, work.book):
        known.append(before.peak)
    return max(known, default=None)


def _agrees(snapshot: Snapshot, booked: dict[str, Decimal], adopted: dict[str, Decimal]) -> bool:
    told: dict[str, Decimal] = {}
    for held in snapshot.positions:
        told[held.symbol] = told.get(held.symbol, _ZERO) + held.quantity
    symbols = told.keys() | booked.keys() | adopted.keys()
    return all(told.get(s, _ZERO) == booked.get(s, _ZERO) + adopted.get(s, _ZERO) for s in symbols)


def _last_answer(connection: sa.Connection, book: str) -> str:
    """When the operator last acknowledged a halt; empty, which is before every instant, where he never did."""
    answers = t.ACKNOWLEDGEMENTS.c
    query = sa.select(sa.func.max(answers.at)).join(t.HALTS, t.HALTS.c.id == answers.halt_id)
    newest: str | None = connection.execute(query.where(t.HALTS.c.book == book)).scalar()
    return newest or ""


def _stop_outs(connection: sa.Connection, book: str, executions: Executions, session: date) -> int:
    """Stops that have traded in a session; one that needed several executions is one."""
    keys = {booked.leg_key for booked in executions.counted(session, session) if booked.leg_key}
    stops: Iterable[str] = connection.execute(
        sa.select(_L.key).where(_L.book == book, _L.role.in_(("stop", "protect")), _L.key.in_(sorted(keys)))
    ).scalars()
    return len(list(stops))


def _cost(connection: sa.Connection, which: sa.ColumnElement[bool]) -> Decimal:
    """What models cost but for backfills, whatever lane asked them, USD."""
    query = sa.select(sa.func.sum(_M.cost, type_=t.CallUsd)).where(which, _M.backfill == "")
    spent: Decimal | None = connection.execute(query).scalar()
    return spent if spent is not None else _ZERO


def _day(day: date) -> tuple[str, str]:
    """Both midnights of a New York day."""
    midnight = datetime.combine(day, time.min, tzinfo=NEW_YORK)
    return instant_text(midnight), instant_text(datetime.combine(day + timedelta(days=1), time.min, tzinfo=NEW_YORK))
