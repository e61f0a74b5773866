"""Intents on their way to a broker, what the broker says of them, and books that other processes send from."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

import sqlalchemy as sa

from resources.ledger.bus import append_messages
from resources.ledger.dispatch import SqlDispatch, propose
from resources.ledger.dispatch_states import lease_name
from resources.ledger.engine import reading, transaction
from resources.ledger.journal import append_entries
from resources.ledger.schema import INTENT_HISTORY, MESSAGES
from resources.ledger.state import Leases
from resources.ledger.store import SqlLedgerSession
from resources.ledger.telling import Telling
from resources.ledger.verify import verify_ledger
from tests.resources.ledger.entries import DAYS, at, decision, intent
from trading_assets.broker.lifecycle import (
    Adopted,
    Booked,
    FeeBooked,
    IntentChanged,
    IntentState,
    Known,
    LegChanged,
    Tracked,
)
from trading_assets.broker.model import (
    AccountValues,
    Commission,
    Contract,
    Execution,
    HeldPosition,
    OrderRequest,
    Snapshot,
)
from trading_assets.execution.dispatch import NewLeg
from trading_assets.execution.model import Order
from trading_assets.execution.orders import orders_of
from trading_assets.execution.ports import Intent
from trading_assets.signatures.model import SIGNERS, Seal, Verdict

CLIENT = 11
NOW = at(DAYS[0]) + timedelta(minutes=5)
ACCOUNT = "DU1234567"
FOREVER = timedelta(days=365)


def later(seconds: float) -> datetime:
    """So long after the first decision."""
    return NOW + timedelta(seconds=seconds)


def bracket_of(wanted: Intent) -> tuple[Order, ...]:
    """Entry, stop and target."""
    return orders_of(wanted)


def proposed(
    engine: sa.Engine, *symbols: str, day: date = DAYS[0], book: str = "desk", slot: str = "09:30"
) -> list[Intent]:
    """A decision whose intents are on their way, in one transaction."""
    wanted = [intent(day, symbol, slot) for symbol in symbols]
    orders = [each for one in wanted for each in bracket_of(one)]
    with transaction(engine) as connection:
        telling = Telling(book)
        session = SqlLedgerSession(connection, book, telling)
        session.add_decision(decision(day, slot), [(one.plan, one.verdict) for one in wanted], wanted, orders)
        telling.store(connection)
        entries, drafts = propose(connection, book, wanted, as_of=at(day))
        append_entries(connection, entries)
        append_messages(connection, drafts)
    return wanted


def seals_on(wanted: Intent, signers: Sequence[str] = SIGNERS, at_instant: datetime = NOW) -> list[Seal]:
    """What signers put on an intent; the ledger does not look at the mac."""
    return [
        Seal(
            signer=signer,  # type: ignore[arg-type] # a test may ask for a signer that does not exist
            intent_id=wanted.id,
            plan_digest=wanted.plan.digest,
            quantity=wanted.quantity,
            limits_hash=wanted.limits_hash,
            signed_at=at_instant,
            expires_at=at_instant + timedelta(seconds=60),
            mac="0" * 64,
        )
        for signer in signers
    ]


def contract(symbol: str = "AAA") -> Contract:
    """The contract of a symbol."""
    return Contract(symbol, 1000 + sum(map(ord, symbol)))


def legs_of(wanted: Intent, first_id: int = 1) -> list[NewLeg]:
    """The bracket as it is handed over: entry, target, stop."""
    entry, stop, target = bracket_of(wanted)
    legs = []
    for number, placed in enumerate((entry, target, stop)):
        request = OrderRequest(
            key=placed.id,
            ref=f"D1:{wanted.id}",
            order_id=first_id + number,
            contract=contract(placed.symbol),
            side=placed.side,
            kind=placed.type,
            quantity=placed.quantity,
            tif=placed.time_in_force,
            limit_price=placed.limit_price,
            stop_price=placed.stop_price,
            transmit=placed is stop,
            parent_id=0 if placed is entry else first_id,
            oca_group="" if placed is entry else f"D1:{wanted.id}",
        )
        legs.append(NewLeg(request, placed.role, "" if placed is entry else entry.id))
    return legs


class Desk:
    """A book with a lease, whose gateway is the test."""

    def __init__(self, engine: sa.Engine, book: str = "desk") -> None:
        self.engine = engine
        self.book = book
        self.store = SqlDispatch(engine, book, client_id=CLIENT)
        self.token = self.grant()

    def grant(self) -> int:
        """A new lease; one that runs is ended first, as if its time were over."""
        leases, name = Leases(self.engine), lease_name(self.book)
        current = leases.current(name)
        if current is not None:
            leases.release(current, as_of=at(DAYS[0]))
        granted = leases.acquire(name, "test", as_of=at(DAYS[0]), ttl=FOREVER)
        assert granted is not None
        return granted.token

    def signed(self, symbol: str = "AAA", **where: object) -> Intent:
        """An intent with all its seals."""
        (wanted,) = proposed(self.engine, symbol, book=self.book, **where)  # type: ignore[arg-type]
        self.store.seal(seals_on(wanted), as_of=NOW)
        return wanted

    def submitted(self, symbol: str = "AAA", first_id: int = 1, **where: object) -> Intent:
        """An intent whose bracket may be on the wire."""
        wanted = self.signed(symbol, **where)
        self.store.accept(wanted.id, token=self.token, as_of=NOW)
        self.store.submit(wanted.id, legs_of(wanted, first_id), token=self.token, as_of=NOW)
        return wanted

    def apply(self, *changes: object, at_instant: datetime = NOW) -> list[object]:
        """What was new of some changes."""
        return list(self.store.apply(changes, token=self.token, as_of=at_instant))  # type: ignore[arg-type]

    def state(self, wanted: Intent) -> str:
        """Where an intent stands."""
        return next(s.state for s in self.store.states(date.min, date.max) if s.intent_id == wanted.id)

    def tracked(self, wanted: Intent) -> Tracked:
        """The intent as reconciliation sees it."""
        return next(each for each in self.store.known().intents if each.id == wanted.id)

    def past(self, wanted: Intent) -> list[IntentState]:
        """Every state that the intent was in."""
        rows = INTENT_HISTORY.c
        with reading(self.engine) as connection:
            query = sa.select(rows.state).where(rows.intent_id == wanted.id).order_by(rows.seq)
            return list(connection.execute(query).scalars())

    def heard(self, topic: str) -> list[str]:
        """Payloads of a topic, in order."""
        rows = MESSAGES.c
        with reading(self.engine) as connection:
            query = sa.select(rows.payload).where(rows.topic == topic, rows.book == self.book).order_by(rows.id)
            return list(connection.execute(query).scalars())

    def problems(self) -> tuple[str, ...]:
        """What the proof of the ledger finds."""
        return verify_ledger(self.engine, head=None).problems


def executed(
    wanted: Intent,
    exec_id: str = "0001.01",
    quantity: str = "7",
    price: str = "100.40",
    *,
    role: str = "entry",
    at_instant: datetime = NOW,
    side: str = "",
    **more: object,
) -> Booked:
    """A fill of one of the intent's orders."""
    done = Execution(
        exec_id=exec_id,
        perm_id=501,
        order_id=1,
        client_id=CLIENT,
        ref=f"D1:{wanted.id}",
        account=ACCOUNT,
        symbol=wanted.plan.symbol,
        con_id=contract(wanted.plan.symbol).con_id,
        side=side or ("buy" if role == "entry" else "sell"),  # type: ignore[arg-type] # of two words
        quantity=Decimal(quantity),
        price=Decimal(price),
        at=at_instant,
    )
    return Booked(done, f"{wanted.id}-{role}", wanted.id, **more)  # type: ignore[arg-type]


def leg_changed(wanted: Intent, role: str, state: str, perm_id: int = 0) -> LegChanged:
    """The state of one of the intent's orders."""
    return LegChanged(f"{wanted.id}-{role}", state, perm_id)  # type: ignore[arg-type]


def held(symbol: str, quantity: str, cost: str = "50") -> HeldPosition:
    """Shares at the broker."""
    return HeldPosition(ACCOUNT, symbol, contract(symbol).con_id, Decimal(quantity), Decimal(cost))


def snapshot(
    *positions: HeldPosition,
    equity: str | None = "100000",
    cash: str | None = "50000",
    executions: Sequence[Execution] = (),
    at_instant: datetime = NOW,
) -> Snapshot:
    """The whole account."""
    values = AccountValues(
        equity=None if equity is None else Decimal(equity), cash=None if cash is None else Decimal(cash)
    )
    return Snapshot(at_instant, (ACCOUNT,), positions, (), (), tuple(executions), (), values)


def veto_of(wanted: Intent, signer: str = "gateway") -> Verdict:
    """A refusal after the decision."""
    return Verdict(
        signer=signer, plan_id=wanted.plan.id, plan_digest=wanted.plan.digest, ruling="veto", quantity=0, breaches=()
    )


def shares(known: Known, symbol: str) -> Decimal:
    """What the ledger says is held."""
    return known.position(symbol)


def orders_at_a_broker(engine: sa.Engine) -> None:
    """Brackets that were sent on two days, filled, corrected and refused; shares and cash that were adopted."""
    desk = Desk(engine)
    for number, day in enumerate(DAYS[5:7]):
        wanted = desk.submitted(f"B{number}", 10 * number + 1, day=day)
        done = executed(wanted, f"{number}.01", at_instant=at(day))
        desk.apply(leg_changed(wanted, "entry", "working", 700 + number), IntentChanged(wanted.id, "WORKING"), done)
        desk.apply(executed(wanted, f"{number}.02", "6", at_instant=at(day), replaces=f"{number}.01"))
        desk.apply(*(FeeBooked(Commission(f"{number}.0{n}", Decimal("0.35"))) for n in (1, 2)))
        desk.apply(Adopted(held(f"Z{number}", "20"), Decimal(20), "there before"))
    desk.store.keep_snapshot(snapshot(executions=[done.execution]), token=desk.token, as_of=NOW)
