"""Decisions, intents, orders, fills and closes that the tests of the ledger store, and what other processes do with a ledger."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from resources.ledger.engine import open_ledger
from resources.ledger.store import SqlLedger
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import DeskError
from trading_assets.execution.model import Book, Fill, Order, Position
from trading_assets.execution.ports import Decision, DividendPaid, Intent, SessionClose
from trading_assets.plans.model import TradePlan
from trading_assets.signatures.model import Breach, Verdict

PROJECT = Path(__file__).parents[3]
DAYS = XNYS.days[6000:6020]
EVER = (date.min, date.max)


def at(day: date) -> datetime:
    """The session's open, UTC."""
    return XNYS.session(day).open


def decision(day: date, slot: str = "09:30") -> Decision:
    """One decided slot."""
    return Decision(day, slot, at(day), "ACTIVE", "due", plans=1, vetoes=0, limits_hash="f" * 64)


def intent(day: date, symbol: str = "AAA", slot: str = "09:30", action: str = "enter") -> Intent:
    """An approved plan; its id is made from session, slot, symbol and action."""
    enters = action == "enter"
    plan = TradePlan(
        session=day,
        slot=slot,
        as_of=at(day),
        action="enter" if enters else "exit",
        strategy="momentum_breakout",
        symbol=symbol,
        regime="bull",
        quantity=10,
        reference=Decimal("100.1234"),
        entry=Decimal("100.50"),
        stop=Decimal("95.25") if enters else None,
        target=Decimal("110.0001") if enters else None,
        thesis_id="t1",
        confidence=0.1 + 0.2,
        reasons=("a reason — with a dash", "another"),
    )
    breach = Breach(control="position_fraction", value="0.051", bound="0.05", sentence="The position is too large.")
    verdict = Verdict(
        signer="risk_gate",
        plan_id=plan.id,
        plan_digest=plan.digest,
        ruling="shrink",
        quantity=7,
        breaches=(breach,),
    )
    return Intent(plan.id, day, slot, plan, verdict, 7, "f" * 64)


def order(wanted: Intent, role: str = "entry") -> Order:
    """An order of the intent: the entry, or the stop that waits for it."""
    entry = f"{wanted.id}-entry"
    common = (wanted.plan.symbol, at(wanted.session), wanted.session)
    if role == "entry":
        return Order(
            entry, wanted.id, common[0], "buy", "limit", "entry", 7, common[1], common[2], "day", Decimal("100.5")
        )
    return Order(
        f"{wanted.id}-stop",
        wanted.id,
        common[0],
        "sell",
        "stop",
        "stop",
        7,
        common[1],
        common[2],
        "gtc",
        stop_price=Decimal("95.25"),
        parent_id=entry,
        status="held",
    )


def fill(of: Order, number: int = 1, price: str = "100.4999", fee: str = "0.0350") -> Fill:
    """One execution of the order."""
    day = of.session
    return Fill(
        id=f"{of.id}-{number}",
        order_id=of.id,
        intent_id=of.intent_id,
        symbol=of.symbol,
        side=of.side,
        role=of.role,
        quantity=7,
        price=Decimal(price),
        fee=Decimal(fee),
        session=day,
        at=at(day) + timedelta(minutes=1),
        reason="limit",
    )


def close(day: date, cash: Decimal | str = "99000.1234", orders: Sequence[Order] = ()) -> SessionClose:
    """The book after a session: seven shares of AAA, marked at 101.0001."""
    book = Book(
        Decimal(cash), {"AAA": Position("AAA", 7, Decimal("703.5343"))}, {placed.id: placed for placed in orders}
    )
    return SessionClose(
        day, book, {"AAA": Decimal("101.0001")}, Decimal("0.0350"), Decimal("1.2300"), Decimal("703.4993")
    )


def paid(day: date, symbol: str = "AAA", amount: str = "1.2300") -> DividendPaid:
    """Cash for a holding."""
    return DividendPaid(day, symbol, Decimal(amount))


def decided(book: SqlLedger, day: date, symbol: str = "AAA", slot: str = "09:30") -> tuple[Intent, Order, Order]:
    """Stores a decision with one intent, its entry and its stop."""
    wanted = intent(day, symbol, slot)
    orders = (order(wanted), order(wanted, "stop"))
    with book.session() as ledger:
        ledger.add_decision(decision(day, slot), [(wanted.plan, wanted.verdict)], [wanted], orders)
    return wanted, *orders


def python(code: str, *arguments: object, prefix: Sequence[str] = ()) -> subprocess.Popen[str]:
    """Another process that runs `code` with this module's names; its arguments are in sys.argv[1:]."""
    program = f"from tests.resources.ledger.entries import *; {code}"
    command = [*prefix, sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def said(code: str, *arguments: object, prefix: Sequence[str] = ()) -> list[str]:
    """The lines that another process printed; it must end well."""
    process = python(code, *arguments, prefix=prefix)
    out, errors = process.communicate()
    if process.returncode:
        raise AssertionError(errors)
    return out.splitlines()


def say(sentence: object) -> None:
    """Prints at once."""
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()


def say_failure(action: Callable[[], object]) -> None:
    """Runs the action and prints the failure's class and sentence, or "done"."""
    try:
        action()
    except DeskError as failure:
        say(f"{type(failure).__name__}: {failure}")
    else:
        say("done")


def place(said: str | Path) -> Path | str:
    """A ledger's place as `open_ledger` takes it: what is no URL is a file."""
    return said if isinstance(said, Path) or said.startswith("postgresql:") else Path(said)


def ledger_at(where: str | Path, book: str = "desk") -> SqlLedger:
    """The book's ledger, as the desk opens it."""
    return SqlLedger(open_ledger(place(where), durability="FULL"), book)


def decide_and_die_at(where: str, statement: str) -> None:
    """Decides one slot and dies by SIGKILL before the first statement that begins with the given words, or before the commit."""
    import sqlalchemy as sa

    engine = open_ledger(place(where), durability="FULL")

    def before(_: object, __: object, text: str, *___: object) -> None:
        if text.startswith(statement):
            os.kill(os.getpid(), signal.SIGKILL)

    def at_commit(_: object) -> None:
        if statement == "COMMIT":
            os.kill(os.getpid(), signal.SIGKILL)

    sa.event.listen(engine, "before_cursor_execute", before)
    sa.event.listen(engine, "commit", at_commit)
    decided(SqlLedger(engine, "desk"), DAYS[0])


def decide_same_slots(where: str, count: int) -> None:
    """Tries to decide the first `count` sessions and prints the positions that this process won."""
    from trading_assets.core.errors import DuplicateDecision

    book = ledger_at(where)
    say("ready")
    sys.stdin.readline()
    for position in range(count):
        try:
            decided(book, DAYS[position])
        except DuplicateDecision:
            continue
        say(position)
