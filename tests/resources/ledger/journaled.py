"""Desks whose every event is in the journal, for the tests of the journal, its files and the proof of the ledger."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import sqlalchemy as sa

from resources.ledger.engine import transaction
from resources.ledger.journal import append_entries, read_journal
from resources.ledger.schema import PARAMETER_CHANGES
from resources.ledger.store import SqlLedger
from resources.ledger.text import instant_text
from tests.resources.ledger.entries import DAYS, at, close, decision, fill, intent, order, paid
from tests.resources.ledger.thoughts import lesson, mind, proposal
from trading_assets.core.journal import Entry, Record
from trading_assets.execution.journaling import Judged, parameter_entries
from trading_assets.execution.ports import Decision, Halt, Remark
from trading_assets.execution.remembering import mind_digest
from trading_assets.plans.model import TradePlan
from trading_assets.signatures.model import Breach, Verdict

HALF_HOUR = timedelta(minutes=30)
HOSTILE = (
    "..",
    "../../etc/passwd",
    "/etc/passwd",
    "..\\..\\x",
    "a/b",
    "~root",
    "-rf",
    "CON",
    "con.md",
    ".hidden",
    "...",
    "A" * 300,
    "\uff21\u202egpj.exe",
    "\u0410APL",
    "\u200bAAPL",
    "%2e%2e%2f",
    "$(reboot)",
    "a;b|c&d",
    "🙂",
    " ",
    "",
)


def note(number: int = 0, **changes: object) -> Entry:
    """An entry that tells of no row."""
    values: dict[str, object] = {
        "book": "desk",
        "session": DAYS[0],
        "at": at(DAYS[0]) + timedelta(minutes=number),
        "kind": "note",
        "title": f"note {number}",
        "body": {"number": number},
    }
    return Entry(**(values | changes))  # type: ignore[arg-type]


def appended(engine: sa.Engine, entries: Sequence[Entry]) -> tuple[Record, ...]:
    """The entries, chained and committed."""
    with transaction(engine) as connection:
        return append_entries(connection, entries)


def vetoed_plan(day: date, symbol: str = "BBB") -> Judged:
    """A plan that the risk gate refused for two reasons."""
    plan = TradePlan(
        session=day,
        slot="09:30",
        as_of=at(day),
        action="enter",
        strategy="mean_reversion",
        symbol=symbol,
        regime="range",
        quantity=40,
        reference=Decimal("20.00"),
        entry=Decimal("20.10"),
        stop=Decimal("19.00"),
        target=Decimal("23.00"),
        thesis_id="t2",
        confidence=0.55,
        reasons=("RSI 14 at 27.1", "news: [sell](http://evil.example) <script>"),
    )
    breaches = (
        Breach(control="C10", value="26,000.00 USD in Energy", bound="25,000.00 USD", sentence="C10 sector: too much"),
        Breach(control="C8", value="9 positions", bound="8 positions", sentence="C8 concurrent positions: 9, bound 8"),
    )
    verdict = Verdict(
        signer="risk_gate", plan_id=plan.id, plan_digest=plan.digest, ruling="veto", quantity=0, breaches=breaches
    )
    return plan, verdict


class Teller:
    """A book on an open engine, which journals whatever it stores."""

    def __init__(self, engine: sa.Engine, book: str = "desk") -> None:
        self.engine = engine
        self.name = book
        self.book = SqlLedger(engine, book)

    @property
    def records(self) -> tuple[Record, ...]:
        """What the book has told so far."""
        return read_journal(self.engine, book=self.name)

    def halt(self, cause: str, *, as_of: datetime) -> Halt:
        with self.book.session() as ledger:
            ledger.add_halt(cause, as_of=as_of)
        return Halt(int(str(self.records[-1].entry.body["halt_id"])), cause, as_of)

    def resume(self, halt: Halt, reason: str, *, as_of: datetime) -> None:
        with self.book.session() as ledger:
            ledger.acknowledge(halt.id, reason, as_of=as_of)

    def change(self, old: dict[str, object], new: dict[str, object], *, as_of: datetime) -> None:
        told = parameter_entries(old, new, book=self.name, origin="operator", reason="tighter", at=as_of)
        rows = [
            {**entry.body, "book": self.name, "session": entry.session, "at": instant_text(as_of)} for entry in told
        ]
        with transaction(self.engine) as connection:
            connection.execute(PARAMETER_CHANGES.insert(), rows)
            append_entries(connection, told)

    def rewind(self, first: date) -> None:
        with self.book.session() as ledger:
            ledger.rewind(first)


def day_of_trading(teller: Teller, day: date) -> None:
    """One decision with a shrunk and a vetoed plan, an idle slot, a fill, a dividend and a settlement."""
    wanted = intent(day)
    stop, entry = order(wanted, "stop"), order(wanted)
    judged = ((wanted.plan, wanted.verdict), vetoed_plan(day))
    idle = Decision(day, "10:00", at(day) + HALF_HOUR, "IDLE", "no strategy acts in this slot", 0, 0, "f" * 64)
    with teller.book.session() as ledger:
        ledger.add_decision(decision(day), judged, [wanted], [entry, stop])
    with teller.book.session() as ledger:
        ledger.add_decision(idle, (), (), ())
    with teller.book.session() as ledger:
        ledger.add_settlement(close(day, orders=[stop]), [fill(entry)], [paid(day)])


def desk_week(engine: sa.Engine, book: str = "desk", days: Sequence[date] = DAYS[:3]) -> Teller:
    """Days of trading, a halt that was answered, one that was not, and a changed setting."""
    teller = Teller(engine, book)
    for day in days:
        day_of_trading(teller, day)
    halt = teller.halt("C12 drawdown: 8.10%", as_of=at(days[-1]) + timedelta(hours=7))
    teller.resume(halt, "looked into it", as_of=at(days[-1]) + timedelta(hours=8))
    teller.change({"stops": {"max": 0.05, "min": 1}}, {"stops": {"max": 0.04}}, as_of=at(days[-1]) + timedelta(hours=8))
    teller.halt("operator: lunch", as_of=at(days[-1]) + timedelta(hours=9))
    return teller


def remembering_week(engine: sa.Engine, book: str = "desk", days: Sequence[date] = DAYS[:3]) -> Teller:
    """A week in which the desk also thinks, learns from its trades and is asked for one."""
    teller = desk_week(engine, book, days)
    for number, day in enumerate(days):
        thought = mind(day, number)
        decided = replace(decision(day, "11:00"), mind_digest=mind_digest(thought))
        with teller.book.session() as ledger:
            ledger.add_decision(decided, (), (), (), mind=thought, remarks=[Remark("news silent", "none", "AAA")])
            ledger.add_lessons([lesson(day)])
            ledger.propose(proposal(at(day) + timedelta(hours=number)))
    return teller


def unguarded(connection: sa.Connection) -> None:
    """Takes away every trigger, as somebody with the file in his hands can."""
    if connection.dialect.name == "sqlite":
        names: Sequence[str] = (
            connection.exec_driver_sql("select name from sqlite_master where type = 'trigger'").scalars().all()
        )
        for name in names:
            connection.exec_driver_sql(f'drop trigger "{name}"')
        connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
    else:
        connection.exec_driver_sql("set local session_replication_role = replica")


def pages(folder: Path) -> dict[str, bytes]:
    """Every page under a folder by its relative name."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.md"))}
