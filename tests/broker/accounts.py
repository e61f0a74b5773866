"""Intents, orders and snapshots in a few words, for tests of the pure broker room."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from trading_assets.broker.applying import applied, lasting
from trading_assets.broker.lifecycle import (
    Booked,
    Change,
    IntentChanged,
    IntentState,
    Known,
    Leg,
    LegChanged,
    LegRole,
    LegState,
    Mismatch,
    MustCancel,
    MustProtect,
    Tracked,
)
from trading_assets.broker.model import (
    ENDED,
    AccountValues,
    BrokerStatus,
    Commission,
    Execution,
    HeldPosition,
    OrderReport,
    Side,
    Snapshot,
)
from trading_assets.broker.reconciling import ReconcileRules, reconcile

ACCOUNT = "DU1234567"
CLIENT = 11
CLIENTS = frozenset({11, 12})
SENT = datetime(2026, 3, 25, 14, 0, tzinfo=UTC)
LATER = SENT + timedelta(minutes=10)
RULES = ReconcileRules()
EMPTY = Known((), {}, frozenset(), {}, {}, None, frozenset())

_CHILDREN: tuple[tuple[LegRole, str, Decimal], ...] = (
    ("target", "limit", Decimal(110)),
    ("stop", "stop", Decimal(95)),
)


def bracket(
    name: str = "a",
    *,
    quantity: int = 100,
    symbol: str = "AAPL",
    state: IntentState = "WORKING",
    legs: LegState = "working",
    first_id: int = 1,
    named: bool = True,
) -> Tracked:
    """A long entry with target and stop; `named` when the broker's numbers are known (1001, 1002, 1003 for order 1, 2, 3)."""
    entry = Leg(
        key=f"{name}-entry",
        intent_id=name,
        ref=f"D1:{name}",
        role="entry",
        symbol=symbol,
        con_id=7,
        side="buy",
        kind="limit",
        quantity=quantity,
        state=legs,
        order_id=first_id,
        client_id=CLIENT,
        perm_ids=(1000 + first_id,) if named else (),
        limit_price=Decimal(100),
        sent_at=SENT,
    )
    children = tuple(
        replace(
            entry,
            key=f"{name}-{role}",
            role=role,
            side="sell",
            kind=kind,
            order_id=first_id + number,
            perm_ids=(1000 + first_id + number,) if named else (),
            limit_price=price if kind == "limit" else None,
            stop_price=price if kind == "stop" else None,
            parent_key=entry.key,
            oca_group=entry.ref,
        )
        for number, (role, kind, price) in enumerate(_CHILDREN, start=1)
    )
    return Tracked(name, entry.ref, symbol, "buy", True, quantity, state, (entry, *children), 1, SENT)


def reducing(
    name: str, role: LegRole, quantity: int, *, first_id: int, kind: str = "market", stop: Decimal | None = None
) -> Tracked:
    """An intent of one sell order: an exit, a flattening, or a protective stop."""
    leg = Leg(
        key=f"{name}-{role}",
        intent_id=name,
        ref=f"D1:{name}",
        role=role,
        symbol="AAPL",
        con_id=7,
        side="sell",
        kind=kind,
        quantity=quantity,
        state="working",
        order_id=first_id,
        client_id=CLIENT,
        perm_ids=(1000 + first_id,),
        stop_price=stop,
        sent_at=SENT,
    )
    return Tracked(name, leg.ref, "AAPL", "sell", False, quantity, "WORKING", (leg,), 1, SENT)


def knowing(*intents: Tracked, held: int = 0, cash: Decimal | None = None) -> Known:
    """What the ledger knows; `held` shares of AAPL came from executions that are too old to be told again."""
    booked = {"AAPL": Decimal(held)} if held else {}
    return replace(EMPTY, intents=intents, booked=booked, cash=cash)


def filled(intent: Tracked, shares: int, *, state: IntentState = "FILLED", entry: LegState = "filled") -> Tracked:
    """The intent with so many shares of its entry filled long ago."""
    first = replace(intent.legs[0], filled=Decimal(shares), state=entry)
    return replace(intent, legs=(first, *intent.legs[1:]), state=state)


def report(
    leg: Leg,
    status: BrokerStatus = "working",
    *,
    done: int = 0,
    perm_id: int | None = None,
    numbered: bool = True,
    quantity: int | None = None,
    why: str = "",
) -> OrderReport:
    """What the broker says of a leg; completed orders come without the numbers of the connection."""
    return OrderReport(
        perm_id=1000 + leg.order_id if perm_id is None else perm_id,
        order_id=leg.order_id if numbered else 0,
        client_id=leg.client_id if numbered else 0,
        ref=leg.ref,
        account=ACCOUNT,
        symbol=leg.symbol,
        con_id=leg.con_id,
        side=leg.side,
        kind=leg.kind,
        quantity=Decimal(leg.quantity if quantity is None else quantity),
        filled=Decimal(done),
        status=status,
        limit_price=leg.limit_price,
        stop_price=leg.stop_price,
        why=why,
    )


def fill(
    leg: Leg,
    shares: int | Decimal,
    exec_id: str = "x1.01",
    *,
    price: Decimal = Decimal(100),
    at: datetime = SENT + timedelta(seconds=1),
    side: Side | None = None,
    liquidation: bool = False,
) -> Execution:
    """An execution of a leg."""
    return Execution(
        exec_id=exec_id,
        perm_id=1000 + leg.order_id,
        order_id=leg.order_id,
        client_id=leg.client_id,
        ref=leg.ref,
        account=ACCOUNT,
        symbol=leg.symbol,
        con_id=leg.con_id,
        side=side or leg.side,
        quantity=Decimal(shares),
        price=price,
        at=at,
        liquidation=liquidation,
    )


def seen(
    reports: Iterable[OrderReport] = (),
    executions: Iterable[Execution] = (),
    *,
    held: int | dict[str, int] = 0,
    fees: Iterable[Commission] = (),
    cash: Decimal | None = None,
    at: datetime = LATER,
    accounts: tuple[str, ...] = (ACCOUNT,),
) -> Snapshot:
    """A complete snapshot; `held` shares of AAPL, or of several symbols."""
    shares = {"AAPL": held} if isinstance(held, int) else held
    reports = tuple(reports)
    return Snapshot(
        at=at,
        accounts=accounts,
        positions=tuple(
            HeldPosition(ACCOUNT, symbol, 7, Decimal(quantity), Decimal(100))
            for symbol, quantity in shares.items()
            if quantity
        ),
        open_orders=tuple(one for one in reports if one.status not in ENDED),
        completed_orders=tuple(one for one in reports if one.status in ENDED),
        executions=tuple(executions),
        commissions=tuple(fees),
        values=AccountValues(cash=cash),
    )


def looked(
    known: Known,
    snapshot: Snapshot,
    *,
    previous: Snapshot | None = None,
    rules: ReconcileRules = RULES,
    now: datetime | None = None,
) -> tuple[Change, ...]:
    """What reconciliation says a second after the snapshot."""
    return reconcile(
        known,
        snapshot,
        now=now or snapshot.at + timedelta(seconds=1),
        client_ids=CLIENTS,
        account=ACCOUNT,
        rules=rules,
        previous=previous,
    )


def after(known: Known, changes: Sequence[Change]) -> Known:
    return applied(known, changes)


def states(changes: Iterable[Change]) -> list[str]:
    return [change.state for change in changes if isinstance(change, IntentChanged)]


def leg_states(changes: Iterable[Change]) -> dict[str, str]:
    return {change.key: change.state for change in changes if isinstance(change, LegChanged)}


def booked(changes: Iterable[Change]) -> list[tuple[str, str]]:
    return [(change.execution.exec_id, change.leg_key) for change in changes if isinstance(change, Booked)]


def mismatches(changes: Iterable[Change]) -> list[str]:
    return [change.code for change in changes if isinstance(change, Mismatch)]


def cancels(changes: Iterable[Change]) -> list[int]:
    return sorted(change.order_id for change in changes if isinstance(change, MustCancel))


def protects(changes: Iterable[Change]) -> list[tuple[str, Decimal]]:
    return [(change.symbol, change.quantity) for change in changes if isinstance(change, MustProtect)]


def facts(changes: Iterable[Change]) -> tuple[Change, ...]:
    return lasting(changes)
