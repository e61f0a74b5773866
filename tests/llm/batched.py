"""Questions about the past for tests of batches, what judges their answers, and how a ledger looks afterwards."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from pydantic import ValidationError

from resources.ledger import schema as t
from resources.ledger.answers import SqlAnswerBook
from resources.ledger.costs import disagreements
from resources.ledger.engine import reading
from resources.llm.batches import Batches, BatchTicket, Collected, PreparedRequest
from resources.llm.recording import Recorded, read
from tests.llm.opened import Ruling, opened, settings_of
from trading_assets.core.errors import TransientFailure
from trading_assets.reasoning.budgets import backfill_budget
from trading_assets.reasoning.model import Budget
from trading_assets.reasoning.settings import BudgetSettings

NOON = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)
DAY = date(2026, 11, 20)
MODEL = "claude-haiku-5-5"
SYSTEM = ("You judge one symbol. " * 20).strip()


def money(number: int = 0, usd: float = 20.0) -> Budget:
    """A decision's and the backfill's pockets."""
    caps = BudgetSettings(backfill_usd=usd)
    return backfill_budget(caps, decision=f"2013-03-{number + 1:02}", day=DAY, backfill="run-1")


def key(number: int) -> str:
    """The key of a question."""
    return hashlib.sha256(f"question {number}".encode()).hexdigest()


def question(number: int, *, usd: float = 20.0) -> PreparedRequest:
    """A question; its number makes it another one."""
    user = f"The closes of question {number}: 101.25, 102.5."
    return PreparedRequest(
        key=key(number),
        skill="judge",
        skill_hash="f" * 64,
        request=json.dumps({"system": SYSTEM, "user": user}),
        system=SYSTEM,
        user=user,
        output=Ruling,
        max_tokens=300,
        budget=money(number, usd),
    )


def questions(count: int, *, usd: float = 20.0) -> list[PreparedRequest]:
    """The first so many questions."""
    return [question(number, usd=usd) for number in range(count)]


def batches_of(engine: sa.Engine, address: str) -> Batches:
    """Batches over one Anthropic route at that address."""
    return Batches(engine, [opened(settings_of("anthropic", base_url=address))])


def judge(_: str, text: str) -> Mapping[str, Any] | str:
    """Takes whatever is a ruling."""
    try:
        return Ruling.model_validate_json(text).model_dump(mode="json")
    except ValidationError as wrong:
        return str(wrong.errors()[0]["msg"])


def handed_in(batches: Batches, count: int) -> BatchTicket:
    """The ticket of the first so many questions."""
    given = batches.submit("anthropic", MODEL, questions(count), as_of=NOON)
    assert isinstance(given, BatchTicket)
    return given


def ended(batches: Batches, count: int) -> BatchTicket:
    """The same, looked at once."""
    return batches.poll(handed_in(batches, count).id, as_of=NOON)


def brought_home(batches: Batches, wanted: Sequence[PreparedRequest], *, since: datetime = NOON) -> list[Collected]:
    """Hands in, looks and collects until nothing is open and nothing is left to ask, as a schedule would; time goes by."""
    brought: list[Collected] = []
    for turn in range(12):
        at = since + timedelta(minutes=11 * turn)
        try:
            given = batches.submit("anthropic", MODEL, wanted, as_of=at)
        except TransientFailure:
            given = None
        assert given is None or isinstance(given, BatchTicket)
        waiting = [batches.poll(ticket.id, as_of=at) for ticket in batches.open()]
        if given is None and not waiting:
            return brought
        brought += [batches.collect(ticket.id, judge, as_of=at) for ticket in waiting if ticket.state == "ended"]
    raise AssertionError("it never came to an end")


def recorded(engine: sa.Engine, count: int) -> list[Recorded | None]:
    """What stands under the keys of the first so many questions."""
    found = SqlAnswerBook(engine).find_many([[key(number)] for number in range(count)])
    return [None if record is None else read(record) for record in found]


def calls(engine: sa.Engine) -> list[Any]:
    """The cost ledger."""
    with reading(engine) as connection:
        return list(connection.execute(sa.select(t.MODEL_CALLS).order_by(t.MODEL_CALLS.c.reservation)))


def spent(engine: sa.Engine) -> Decimal:
    """What the cost ledger says, USD."""
    return sum((call.cost for call in calls(engine)), Decimal(0))


def reservations(engine: sa.Engine) -> list[Any]:
    """What is still reserved."""
    with reading(engine) as connection:
        return list(connection.execute(sa.select(t.RESERVATIONS)))


def states(engine: sa.Engine) -> list[str]:
    """The states of all batches, oldest first."""
    with reading(engine) as connection:
        return list(connection.execute(sa.select(t.BATCHES.c.state).order_by(t.BATCHES.c.at, t.BATCHES.c.id)).scalars())


def everything(engine: sa.Engine) -> list[Any]:
    """Every row that batches can touch."""
    tables = (t.BATCHES, t.MODEL_CALLS, t.ANSWERS, t.POCKETS, t.RESERVATIONS, t.AGENT_HEALTH)
    with reading(engine) as connection:
        return [sorted(map(str, connection.execute(sa.select(table)))) for table in tables]


def balanced(engine: sa.Engine) -> bool:
    """Whether pockets and calls agree, and nothing stays reserved."""
    with reading(engine) as connection:
        return not list(disagreements(connection)) and not reservations(engine)
