"""The DispatchStore port over SQLAlchemy Core: what is on its way to a broker, and what became of it.

Each method is one transaction of the ledger's only writer. What may be on the wire is committed before, by one update that needs
the state, the lease and, for what opens, that no halt is open; a trigger refuses the last once more.
"""

import json
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

import sqlalchemy as sa

from resources.ledger import dispatch_reading as reading_of
from resources.ledger import schema as t
from resources.ledger.dispatch_changes import Applying, adopt_balance
from resources.ledger.dispatch_counting import read_counters, read_equity, write_snapshot
from resources.ledger.dispatch_executions import Executions
from resources.ledger.dispatch_reacting import (
    INSERT_LEGS,
    SUBMISSION,
    LegsOf,
    Mark,
    leg_row,
    mark_of,
    new_order_text,
    standing_of,
    submission,
    submitted,
)
from resources.ledger.dispatch_reductions import Made, insert_orders, make_reduction
from resources.ledger.dispatch_rows import CONTRACT
from resources.ledger.dispatch_states import (
    Work,
    add_halt,
    begin,
    history,
    move,
    moved,
    open_halts,
    require_token,
    standing,
    subject_of,
    working,
)
from resources.ledger.dispatch_told import with_roles
from resources.ledger.engine import reading
from resources.ledger.history import intent_of
from resources.ledger.journal_files import JournalFiles
from resources.ledger.telling import tell_after_commit
from resources.ledger.text import instant_text
from resources.ledger.wakeups import wake
from trading_assets.broker import journaling as tell
from trading_assets.broker.lifecycle import AT_BROKER, OPENING, Change, IntentState, Known, Leg, Tracked
from trading_assets.broker.model import REF_PREFIX, Contract, Snapshot
from trading_assets.core.errors import PermanentFailure, TradingHalted
from trading_assets.core.journal import Entry, Json, Record, sha256
from trading_assets.core.messages import Draft
from trading_assets.execution.dispatch import Equity, NewLeg, Reduction, Waiting
from trading_assets.execution.ports import Halt, Intent
from trading_assets.execution.told import BookedExecution
from trading_assets.signatures.model import SIGNERS, Seal, Verdict
from trading_assets.signatures.sending import Counters

_S, _L = t.INTENT_STATES.c, t.LEGS.c
_WAITING: tuple[IntentState, ...] = ("PROPOSED", "SIGNED", "INTENT")
# What a position still needs when its entry has ended: its close, or a cover of another size.
_CARRIES_ON: frozenset[IntentState] = AT_BROKER | {"FILLED", "CANCELLED"}


def propose(
    connection: sa.Connection, book: str, intents: Sequence[Intent], *, as_of: datetime
) -> tuple[list[Entry], list[Draft]]:
    """Puts a decision's intents on their way, within its transaction: their rows in `intents` are there already.

    Returns what the transaction has to tell of it, in this order and after the decision itself.
    """
    work = Work(connection, book)
    for intent in intents:
        row = connection.execute(sa.select(t.INTENTS).where(t.INTENTS.c.id == intent.id)).one()
        begin(work, row, "PROPOSED", opens=intent.plan.opens, token=0, as_of=as_of)
    return work.entries, work.drafts


class SqlDispatch:
    """The orders of one book.

    Args:
        files: Where the journal's pages go. Those of an intent that is being sent follow when it has been sent.
        client_id: The connection that the orders go over; without one nothing can be submitted.
    """

    def __init__(self, engine: sa.Engine, book: str, files: JournalFiles | None = None, *, client_id: int = 0) -> None:
        self._engine = engine
        self._book = book
        self._files = files
        self._client_id = client_id
        self._executions = Executions(book)
        self._unwritten: list[Record] = []
        self._mark: Mark | None = None

    # On the way out

    def waiting(self) -> Sequence[Waiting]:
        """See the port."""
        mine = (_S.book == self._book) & _S.state.in_(_WAITING)
        query = sa.select(t.INTENTS, _S.state).join(t.INTENT_STATES, _S.intent_id == t.INTENTS.c.id).where(mine)
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(t.INTENTS.c.seq)).all()
            ids = [row.id for row in rows]
            begun, seals = history(connection, ids), _seals(connection, ids)
        return [Waiting(intent_of(row), row.state, tuple(seals[row.id]), begun[row.id][0][1]) for row in rows]

    def seal(self, seals: Sequence[Seal], *, as_of: datetime) -> None:
        """See the port."""
        with self._writing() as work:
            for seal in seals:
                self._add_seal(work, seal, as_of)

    def refuse(self, intent_id: str, verdict: Verdict, *, as_of: datetime) -> None:
        """See the port."""
        if verdict.ruling != "veto":
            raise PermanentFailure("only a veto refuses an intent", value=verdict.ruling, bound="veto")
        with self._writing() as work:
            row = standing(work, intent_id)
            if row.state != "VETOED":
                self._add_veto(work, row, verdict, as_of)
                move(work, row, "VETOED", why="; ".join(verdict.sentences), as_of=as_of)

    def expire(self, intent_id: str, why: str, *, as_of: datetime) -> None:
        """See the port."""
        with self._writing() as work:
            row = standing(work, intent_id)
            if row.state != "EXPIRED":
                move(work, row, "EXPIRED", why=why, as_of=as_of)

    def accept(self, intent_id: str, *, token: int, as_of: datetime) -> None:
        """See the port."""
        with self._writing(pages_later=True) as work:
            require_token(work, token, as_of=as_of)
            move(work, standing(work, intent_id), "INTENT", token=token, as_of=as_of)

    def submit(self, intent_id: str, legs: Sequence[NewLeg], *, token: int, as_of: datetime) -> None:
        """See the port."""
        with self._writing(pages_later=True) as work:
            self._submit(work, standing(work, intent_id), legs, token, as_of)

    def submit_more(self, intent_id: str, legs: Sequence[NewLeg], *, token: int, as_of: datetime) -> None:
        """See the port. A leg that only reduces may also follow an entry that has ended."""
        with self._writing(pages_later=True) as work:
            require_token(work, token, as_of=as_of)
            row = standing(work, intent_id)
            opens = any(leg.role in OPENING for leg in legs)
            if row.state not in (AT_BROKER if opens else _CARRIES_ON):
                raise TradingHalted(f"intent {intent_id} is {row.state}: nothing more of it is sent", value=row.state)
            if opens:
                self._require_no_halt(work)
            self._hand_over(work, row, legs, token, as_of)

    def sent(self, intent_id: str, total_bytes: int, *, as_of: datetime) -> None:
        """See the port."""
        self.sent_together((intent_id,), total_bytes, as_of=as_of)

    def sent_together(self, intent_ids: Sequence[str], total_bytes: int, *, as_of: datetime) -> None:
        """As `sent`, for intents whose legs the socket has taken by now."""
        with self._writing() as work:
            for intent_id in intent_ids:
                standing(work, intent_id)
            values = {"sent_at": instant_text(as_of), "sent_bytes": total_bytes}
            work.connection.execute(t.INTENT_STATES.update().where(_S.intent_id.in_(intent_ids)).values(values))

    def reduce(self, reduction: Reduction, contract: Contract, *, token: int, as_of: datetime) -> str | None:
        """See the port. Its first order's key is the id, a dash and the role."""
        with self._writing(pages_later=True) as work:
            require_token(work, token, as_of=as_of)
            self._executions.read(work.connection)
            adopted = reading_of.read_adopted(work.connection, self._book).shares
            held = self._executions.by_symbol.get(reduction.symbol, 0) + adopted.get(reduction.symbol, Decimal(0))
            is_short = reduction.quantity < 0 or held < 0
            made = self._made(work, reduction, contract, is_short=is_short, token=token, as_of=as_of)
        return None if made is None else made.id

    def reduce_and_submit(
        self, reduction: Reduction, contract: Contract, legs_of: LegsOf, *, token: int, as_of: datetime
    ) -> Tracked | Literal["stale"] | None:
        """`reduce` and `submit` at once: the intent as `known` tells it from now on, or None when the occasion has one already.

        "stale": the book is not as `known` and `apply` left it; nothing is written. A negative quantity buys back.
        """
        with self._writing(pages_later=True) as work:
            require_token(work, token, as_of=as_of)
            if self._mark is None or self._mark != self._marked(work):
                return "stale"
            is_short = reduction.quantity < 0
            made = self._made(work, reduction, contract, is_short=is_short, token=token, as_of=as_of)
            if made is None:
                return None
            row = standing_of(made, token)
            legs = self._submit(work, row, legs_of(made.id), token, as_of, planned={f"{made.id}-{reduction.role}"})
        return submitted(row, legs, as_of)

    # What the broker said

    def apply(self, changes: Sequence[Change], *, token: int, as_of: datetime) -> Sequence[Change]:
        """See the port. What only asks for an action, MustCancel and MustProtect, is always among what it returns."""
        if not changes:
            return ()
        with self._writing() as work:
            require_token(work, token, as_of=as_of)
            was_known = self._mark is not None and self._mark == self._marked(work)
            new = Applying(work, token, as_of, changes).run()
            mark = self._marked(work) if was_known else None
        self._mark = mark
        return new

    def keep_snapshot(self, snapshot: Snapshot, *, token: int, as_of: datetime) -> None:
        """See the port. The first one whose executions are all booked also says what cash the account begins with."""
        with self._writing() as work:
            require_token(work, token, as_of=as_of)
            self._executions.read(work.connection)
            write_snapshot(work, snapshot, self._executions, token=token, as_of=as_of)

    def adopt_cash(self, amount: Decimal, *, account: str, why: str, token: int, as_of: datetime) -> None:
        """The account holds this much cash, USD, with everything that is booked by now: after a deposit, a dividend, interest."""
        with self._writing() as work:
            require_token(work, token, as_of=as_of)
            adopt_balance(work, amount, account=account, why=why, as_of=as_of)

    def keep_contract(self, contract: Contract, *, as_of: datetime) -> None:
        """See the port."""
        known = self.contract(contract.symbol)
        if known is not None and known.con_id != contract.con_id:
            raise PermanentFailure(
                f"{contract.symbol} is another contract than before",
                value=contract.con_id,
                bound=known.con_id,
                hint="only exits; look up what became of the symbol",
            )
        with self._writing() as work:
            row = {"book": self._book, "symbol": contract.symbol, "con_id": contract.con_id, "at": instant_text(as_of)}
            kept = {**row, "contract": CONTRACT.dump_json(contract).decode()}
            work.insert_once(t.CONTRACTS, kept, "book", "symbol")

    def halt(self, cause: str, *, as_of: datetime) -> None:
        """See the port."""
        with self._writing() as work:
            add_halt(work, cause, as_of=as_of)

    # Read back

    def known(self) -> Known:
        """See the port."""
        with reading(self._engine) as connection:
            self._executions.read(connection)
            self._mark = mark_of(connection, self._book, self._client_id)
            return reading_of.read_known(connection, self._book, self._executions)

    def newest_order_id(self, client_id: int) -> int:
        """See the port."""
        with reading(self._engine) as connection:
            return connection.scalar(sa.select(sa.func.max(_L.order_id)).where(_L.client_id == client_id)) or 0

    def contract(self, symbol: str) -> Contract | None:
        """See the port."""
        mine = (t.CONTRACTS.c.book == self._book) & (t.CONTRACTS.c.symbol == symbol)
        with reading(self._engine) as connection:
            text = connection.execute(sa.select(t.CONTRACTS.c.contract).where(mine)).scalar()
        return None if text is None else CONTRACT.validate_json(text)

    def counters(self, session: date, *, decision: str, as_of: datetime) -> Counters:
        """See the port."""
        with reading(self._engine) as connection:
            self._executions.read(connection)
            return read_counters(connection, self._book, self._executions, session, decision, as_of)

    def equity(self, session: date) -> Equity:
        """See the port."""
        with reading(self._engine) as connection:
            return read_equity(connection, self._book, session)

    def halts(self) -> Sequence[Halt]:
        """See the port."""
        with reading(self._engine) as connection:
            return [Halt(halt.id, halt.cause, halt.at) for halt in open_halts(connection, self._book)]

    def executions(self, first: date, last: date) -> Sequence[BookedExecution]:
        """Executions of a range of sessions that count, by session in the order in which they were booked."""
        with reading(self._engine) as connection:
            self._executions.read(connection)
            return list(with_roles(connection, list(self._executions.counted(first, last))))

    def adopted(self) -> dict[str, Decimal]:
        """By symbol, shares that were there before the desk, or came by hand."""
        with reading(self._engine) as connection:
            return reading_of.read_adopted(connection, self._book).shares

    def open_legs(self) -> Sequence[Leg]:
        """Orders that can still fill."""
        with reading(self._engine) as connection:
            self._executions.read(connection)
            return reading_of.read_legs(connection, self._executions, reading_of.open_legs(self._book))

    def snapshot(self) -> reading_of.StoredSnapshot | None:
        """What the broker said last."""
        with reading(self._engine) as connection:
            return reading_of.read_snapshot(connection, self._book)

    def states(self, first: date, last: date) -> Sequence[reading_of.Standing]:
        """Where the intents of a range of sessions stand, in the order in which they were made."""
        with reading(self._engine) as connection:
            return list(reading_of.read_standings(connection, self._book, first, last))

    # Within

    @contextmanager
    def _writing(self, *, pages_later: bool = False) -> Iterator[Work]:
        """A transaction; pages, which wait for a disk of their own, may follow those of the next one."""
        with working(self._engine, self._book, self._unwritten) as work:
            yield work
        if pages_later:
            wake(self._engine)
            return
        records, self._unwritten[:] = tuple(self._unwritten), []
        tell_after_commit(self._engine, records, self._files if records else None)

    def _marked(self, work: Work) -> Mark:
        return mark_of(work.connection, self._book, self._client_id)

    def _made(
        self, work: Work, reduction: Reduction, contract: Contract, *, is_short: bool, token: int, as_of: datetime
    ) -> Made | None:
        if contract.symbol != reduction.symbol:
            raise PermanentFailure("the contract is another symbol's", value=contract.symbol, bound=reduction.symbol)
        return make_reduction(
            work,
            key=reduction.key,
            symbol=reduction.symbol,
            role=reduction.role,
            quantity=abs(reduction.quantity),
            is_short=is_short,
            cause=reduction.cause,
            token=token,
            as_of=as_of,
        )

    def _submit(
        self,
        work: Work,
        row: Any,
        legs: Sequence[NewLeg],
        token: int,
        as_of: datetime,
        *,
        planned: AbstractSet[str] | None = None,
    ) -> list[dict[str, Any]]:
        """To SUBMITTING; the rows of its legs."""
        if work.connection.execute(SUBMISSION, submission(self._book, row.intent_id, token, as_of)).rowcount != 1:
            self._say_why_not(work, row, token, as_of)
        moved(work, row, "SUBMITTING", token=token, as_of=as_of)
        return self._hand_over(work, row, legs, token, as_of, planned=planned)

    def _say_why_not(self, work: Work, row: Any, token: int, as_of: datetime) -> None:
        require_token(work, token, as_of=as_of)
        if row.state != "INTENT":
            raise TradingHalted(f"intent {row.intent_id} is {row.state} and not sent", value=row.state, bound="INTENT")
        self._require_no_halt(work)
        raise TradingHalted(f"intent {row.intent_id} is not sent", hint="desk trace shows where it stands")

    def _require_no_halt(self, work: Work) -> None:
        halts = open_halts(work.connection, self._book)
        if halts:
            raise TradingHalted(
                "a halt is open: nothing that opens a position is sent",
                value=halts[0].cause,
                hint=f'desk resume {halts[0].id} "why trading may go on"',
            )

    def _hand_over(
        self,
        work: Work,
        row: Any,
        legs: Sequence[NewLeg],
        token: int,
        as_of: datetime,
        *,
        planned: AbstractSet[str] | None = None,
    ) -> list[dict[str, Any]]:
        """Numbers of orders, and rows of those that no decision has written; `planned` are the others, where they are known."""
        self._check(row.intent_id, legs)
        if planned is None:
            written = sa.select(t.ORDERS.c.id).where(t.ORDERS.c.intent_id == row.intent_id)
            planned = set(work.connection.execute(written).scalars())
        texts = [new_order_text(row.intent_id, leg, as_of) for leg in legs if leg.request.key not in planned]
        new = insert_orders(work, row.intent_id, row.session, texts)
        rows = [leg_row(self._book, self._client_id, row.intent_id, leg, token, as_of) for leg in legs]
        work.connection.execute(INSERT_LEGS, rows)
        told: list[Json] = [{n: each[n] for n in ("key", "role", "order_id", "client_id", "quantity")} for each in rows]
        subject = subject_of(row)
        work.entries.append(tell.handed_over_entry(subject, row.intent_id, told, new, token=token, at=as_of))
        return rows

    def _check(self, intent_id: str, legs: Sequence[NewLeg]) -> None:
        if not self._client_id:
            raise PermanentFailure(
                "orders go over a connection with a client id", value=self._client_id, bound="1 or more"
            )
        if not legs:
            raise PermanentFailure(f"intent {intent_id} has no orders to send")
        for leg in legs:
            request = leg.request
            if request.ref != f"{REF_PREFIX}{intent_id}" or not request.order_id > 0 or not request.quantity > 0:
                raise PermanentFailure(
                    f"order {request.key} cannot be sent for intent {intent_id}",
                    value=f"{request.ref} number {request.order_id}, {request.quantity} shares",
                )

    def _add_seal(self, work: Work, seal: Seal, as_of: datetime) -> None:
        row = standing(work, seal.intent_id)
        if row.state != "PROPOSED":
            raise TradingHalted(f"intent {seal.intent_id} is {row.state} and takes no seal", value=seal.signer)
        text = seal.model_dump_json()
        values = {"book": self._book, "intent_id": seal.intent_id, "signer": seal.signer, "seal": text}
        if not work.insert_once(t.SEALS, {**values, "at": instant_text(as_of)}, "intent_id", "signer"):
            raise TradingHalted(f"{seal.signer} has sealed intent {seal.intent_id} already", value=seal.signer)
        subject = subject_of(row)
        work.entries.append(tell.seal_entry(subject, seal.intent_id, seal.signer, sha256(text), at=as_of))
        signers = sa.select(t.SEALS.c.signer).where(t.SEALS.c.intent_id == seal.intent_id)
        if set(work.connection.execute(signers).scalars()) >= set(SIGNERS):
            move(work, row, "SIGNED", as_of=as_of)

    def _add_veto(self, work: Work, row: Any, verdict: Verdict, as_of: datetime) -> None:
        """The verdict as a ruling of its own, unless this signer has ruled on the plan before."""
        intent = intent_of(work.connection.execute(sa.select(t.INTENTS).where(t.INTENTS.c.id == row.intent_id)).one())
        text = verdict.model_dump_json()
        ruling: dict[str, Any] = {
            "book": self._book,
            "session": intent.session,
            "slot": intent.slot,
            "plan_id": verdict.plan_id,
            "plan_digest": verdict.plan_digest,
            "signer": verdict.signer,
            "ruling": verdict.ruling,
            "quantity": verdict.quantity,
            "verdict": text,
            "at": instant_text(as_of),
        }
        if not work.insert_once(t.SIGNATURES, ruling, "book", "plan_id", "signer"):
            return
        told: dict[str, Json] = {name: ruling[name] for name in ("plan_id", "plan_digest", "signer", "ruling")}
        line: dict[str, Json] = {**told, "allowed": verdict.quantity, "verdict_sha256": sha256(text)}
        plan = intent.plan.model_dump_json()
        body: dict[str, Json] = {
            "slot": intent.slot,
            "as_of": instant_text(as_of),
            "plan": json.loads(plan),
            "plan_digest": intent.plan.digest,
            "plan_sha256": sha256(plan),
            "verdict": json.loads(text),
            "verdict_sha256": sha256(text),
            "judged": [line],
        }
        subject = subject_of(row)
        title = tell.line(f"refused by the {verdict.signer}, {intent.plan.strategy}")
        entry = Entry(self._book, intent.session, as_of, "veto", title, body, row.symbol, subject.cause)
        work.entries.append(entry)


def _seals(connection: sa.Connection, ids: Sequence[str]) -> dict[str, list[Seal]]:
    found: dict[str, list[Seal]] = {intent_id: [] for intent_id in ids}
    query = sa.select(t.SEALS).where(t.SEALS.c.intent_id.in_(ids)).order_by(t.SEALS.c.seq)
    for row in connection.execute(query):
        found[row.intent_id].append(Seal.model_validate_json(row.seal))
    return found
