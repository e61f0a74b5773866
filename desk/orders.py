"""`desk orders`: where every intent of the desk stands at the broker, why, and who of the desk's processes is alive."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from desk.output import say, show, table
from desk.runner import prepare_home
from resources.desk import DESK, DeskResource
from resources.ledger import schema as t
from resources.ledger.dispatch import SqlDispatch
from resources.ledger.dispatch_executions import Executions
from resources.ledger.dispatch_reading import Standing, StoredSnapshot, read_legs
from resources.ledger.engine import reading
from resources.ledger.state import Heartbeat, Heartbeats
from resources.notify.model import plain
from trading_assets.broker.lifecycle import TERMINAL, Leg
from trading_assets.execution.told import BookedExecution

EXPECTED = ("gateway", "watchdog", "feed", "daemon")
_EVER = (date(1990, 1, 1), date(2100, 1, 1))


def run_orders(session: date | None, *, only_open: bool, as_json: bool) -> None:
    """The intents of a session (default: the newest that has any), or with `only_open` every one that has not ended."""
    prepare_home()
    desk = DeskResource()
    store, now = SqlDispatch(desk.engine(DESK), DESK), desk.clock().now()
    wanted = _intents(desk, store, session, only_open=only_open)
    snapshot = store.snapshot()
    told = {
        "clock": now.isoformat(),
        "broker": desk.execution().broker,
        "mode": desk.execution().mode,
        "intents": wanted,
        "snapshot": None if snapshot is None else _seen(snapshot, now),
        "processes": [_alive(name, beat) for name, beat in _beats(desk, now).items()],
        "halts": [f"{halt.id}: {halt.cause}" for halt in store.halts()],
    }
    if as_json:
        show(told, as_json=True)
        return
    _print(told, session)


def _intents(desk: DeskResource, store: SqlDispatch, session: date | None, *, only_open: bool) -> list[dict[str, Any]]:
    engine = desk.engine(DESK)
    if session is None and not only_open:
        with reading(engine) as connection:
            session = connection.execute(
                sa.select(sa.func.max(t.INTENTS.c.session))
                .join(t.INTENT_STATES, t.INTENT_STATES.c.intent_id == t.INTENTS.c.id)
                .where(t.INTENTS.c.book == DESK)
            ).scalar()
    first, last = (session, session) if session is not None else _EVER
    standings = store.states(first, last)
    legs = _legs(desk, [each.intent_id for each in standings])
    chosen = [
        each
        for each in standings
        if not only_open or each.state not in TERMINAL or any(leg.is_open for leg in legs[each.intent_id])
    ]
    fills, seals = _fills(store, first, last), _seals(desk, [each.intent_id for each in chosen])
    return [_intent(each, legs[each.intent_id], fills[each.intent_id], seals[each.intent_id]) for each in chosen]


def _legs(desk: DeskResource, intents: Sequence[str]) -> Mapping[str, list[Leg]]:
    """Orders by intent, ended ones as well."""
    found: dict[str, list[Leg]] = defaultdict(list)
    executions = Executions(DESK)
    with reading(desk.engine(DESK)) as connection:
        executions.read(connection)
        for leg in read_legs(connection, executions, t.LEGS.c.book == DESK):
            found[leg.intent_id].append(leg)
    return defaultdict(list, {intent: found[intent] for intent in intents if intent in found})


def _fills(store: SqlDispatch, first: date, last: date) -> Mapping[str, list[BookedExecution]]:
    found: dict[str, list[BookedExecution]] = defaultdict(list)
    for booked in store.executions(first, last if last == _EVER[1] else last + timedelta(days=31)):
        found[booked.intent_id].append(booked)
    return found


def _seals(desk: DeskResource, intents: Sequence[str]) -> Mapping[str, list[str]]:
    """Who has sealed each intent, in the order of sealing."""
    found: dict[str, list[str]] = defaultdict(list)
    query = sa.select(t.SEALS.c.intent_id, t.SEALS.c.signer).where(t.SEALS.c.book == DESK).order_by(t.SEALS.c.seq)
    wanted = frozenset(intents)
    with reading(desk.engine(DESK)) as connection:
        for row in connection.execute(query):
            if row.intent_id in wanted:
                found[row.intent_id].append(row.signer)
    return found


def _beats(desk: DeskResource, now: datetime) -> dict[str, Heartbeat | None]:
    """Every process that should be alive, and every other that ever was."""
    known = Heartbeats(desk.engine(DESK)).ages(as_of=now)
    return {name: known.get(name) for name in (*EXPECTED, *sorted(set(known) - {*EXPECTED}))}


def _intent(
    standing: Standing, legs: Sequence[Leg], fills: Sequence[BookedExecution], seals: Sequence[str]
) -> dict[str, Any]:
    return {
        "intent": standing.intent_id,
        "session": standing.session.isoformat(),
        "slot": standing.slot,
        "symbol": standing.symbol,
        "action": standing.action,
        "quantity": standing.quantity,
        "state": standing.state,
        "why": standing.why,
        "since": standing.at.isoformat(),
        "seals": list(seals),
        "legs": [_leg(leg) for leg in legs],
        "fills": [_fill(booked) for booked in fills],
    }


def _leg(leg: Leg) -> dict[str, Any]:
    return {
        "key": leg.key,
        "role": leg.role,
        "side": leg.side,
        "kind": leg.kind,
        "quantity": leg.quantity,
        "filled": str(leg.filled),
        "state": leg.state,
        "limit_price": _money(leg.limit_price),
        "stop_price": _money(leg.stop_price),
        "order_id": leg.order_id,
        "perm_ids": list(leg.perm_ids),
    }


def _fill(booked: BookedExecution) -> dict[str, Any]:
    done = booked.execution
    return {
        "exec_id": done.exec_id,
        "role": booked.role,
        "side": done.side,
        "quantity": str(done.quantity),
        "price": str(done.price),
        "fee": _money(booked.fee),
        "at": done.at.isoformat(),
    }


def _seen(snapshot: StoredSnapshot, now: datetime) -> dict[str, Any]:
    return {
        "at": snapshot.at.isoformat(),
        "age_seconds": round((now - snapshot.at).total_seconds(), 1),
        "agrees": snapshot.agrees,
        "equity_usd": _money(snapshot.equity),
        "cash_usd": _money(snapshot.cash),
        "positions": {held.symbol: str(held.quantity) for held in snapshot.positions if held.quantity},
        "open_orders": len(snapshot.open_orders),
    }


def _alive(name: str, beat: Heartbeat | None) -> dict[str, Any]:
    if beat is None:
        return {"process": name, "age_seconds": None, "pid": None, "state": "never seen"}
    age = round(beat.age.total_seconds(), 1)
    return {"process": name, "age_seconds": age, "pid": beat.pid, "state": beat.state, "version": beat.version}


def _money(amount: Decimal | None) -> str | None:
    return None if amount is None else str(amount)


def _print(told: Mapping[str, Any], session: date | None) -> None:
    intents = told["intents"]
    if intents:
        title = f"{told['broker']} ({told['mode']}), {session or intents[-1]['session']}"
        columns = ("intent", "what", "state", "why", "seals", "orders", "filled")
        table(title, columns, [_row(each) for each in intents])
    else:
        say("no intents on their way to a broker")
    snapshot = told["snapshot"]
    if snapshot is None:
        say("the broker was never read")
    else:
        agrees = "agrees with the ledger" if snapshot["agrees"] else "DIFFERS from the ledger"
        say(f"the broker, {snapshot['age_seconds']} s ago, {agrees}: equity {snapshot['equity_usd']} USD")
    for each in told["processes"]:
        age = "never seen" if each["age_seconds"] is None else f"{each['age_seconds']} s ago, pid {each['pid']}"
        say(f"{each['process']:<10} {age}")
    for halt in told["halts"]:
        say(plain(f"halt {halt}"))


def _row(intent: Mapping[str, Any]) -> tuple[str, ...]:
    legs = ", ".join(f"{leg['role']} {leg['state']}" for leg in intent["legs"]) or "none"
    filled = sum((Decimal(fill["quantity"]) for fill in intent["fills"]), Decimal(0))
    what = f"{intent['action']} {intent['quantity']} {intent['symbol']}"
    seals = f"{len(intent['seals'])} of 3"
    return intent["intent"], what, intent["state"], plain(intent["why"]), seals, legs, str(filled)
