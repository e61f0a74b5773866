"""The rules desk: the same cycle over the same sessions with the rules in every agent's place.

Where the rules decided anyway it is the book itself. Where models decided, a shadow walks the book's sessions in a ledger of its
own, one session an evening, with the paper broker; nothing of it reaches the desk's ledger, and no order leaves it.
"""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import polars as pl

from trading_assets.briefs.asking import facts_before_open
from trading_assets.core.calendar import XNYS, Session
from trading_assets.core.errors import DeskError
from trading_assets.core.ports import Lake, Span
from trading_assets.core.tables import Table
from trading_assets.evaluation.benchmark_model import RULES_DESK
from trading_assets.evaluation.benchmarks.rows import Day, Told, missing, rows_of
from trading_assets.execution.counsel import Counsel
from trading_assets.execution.lanes import BacktestWalk, Lane
from trading_assets.plans.model import VOTES
from trading_assets.reasoning.baseline import RulesReasoner
from trading_assets.reasoning.leakage import RULES
from trading_assets.reasoning.model import Budget
from trading_assets.theses.asking import ask_opinions
from trading_assets.theses.model import OPINIONS

_ANSWERED: tuple[Table, ...] = (*(t for t in OPINIONS if any(c.name == "route" for c in t.columns)), VOTES)


def rules_counsel() -> Counsel:
    """The agents' rules members, who ask nobody and spend nothing."""
    return Counsel(RulesReasoner(), lambda slot: _nothing_to_spend(slot.session))


def models_of(lake: Lake, lane: str, span: Span) -> tuple[str, ...]:
    """Routes other than the rules that answered anything for the decisions of a span, sorted."""
    as_of, found = XNYS.session(span.last).close, set[str]()
    for table in _ANSWERED:
        rows = lake.read(table, as_of=as_of, lane=lane, first=span.first, last=span.last)
        found.update(rows["route"].unique().to_list())
    return tuple(sorted(found - {RULES}))


def of_the_book(account: pl.DataFrame, starting_cash: Decimal) -> Told:
    """The rules desk of a book that ran on rules: its own account."""
    rows = account.sort("session").iter_rows(named=True)
    days = [Day(XNYS.session(r["session"]), r["equity"], r["traded_value"], r["fees"]) for r in rows]
    return Told(
        RULES_DESK, "equal", "the rules decided: it is the book itself", tuple(rows_of(RULES_DESK, days, starting_cash))
    )


def walked(shadow: Lane, life: Span, models: Sequence[str]) -> Told:
    """The shadow's rows over a book's life, after it has walked the sessions that it has not walked yet.

    A session that it cannot walk, such as one whose bars were refused, ends it for the evening: the reason is told, and the next
    evening goes on from there.
    """
    cash, failure = shadow.rules.first_book.cash, ""
    try:
        catch_up(shadow, life)
    except DeskError as refused:
        failure = str(refused)
    with shadow.ledger.reading() as ledger:
        closes = ledger.closes(life.first, life.last)
    days = [Day(XNYS.session(c.session), c.equity, c.traded_value, c.fees) for c in closes]
    behind = f"; it stopped after {closes[-1].session}: {failure}" if failure and closes else ""
    if not closes:
        return missing(RULES_DESK, f"the rules could not walk its first session: {failure}")
    sentence = f"{', '.join(models)} decided; the rules walked the same sessions{behind}"
    return Told(RULES_DESK, "made", sentence, tuple(rows_of(RULES_DESK, days, cash)))


def catch_up(shadow: Lane, life: Span) -> tuple[date, ...]:
    """Walks what is left of a life, in order, and tells which sessions: usually one, all of them for a book that has no shadow."""
    with shadow.ledger.reading() as ledger:
        closes = ledger.closes(life.first, life.last)
    first = XNYS.next(closes[-1].session).day if closes else life.first
    if first > life.last:
        return ()
    left = Span(first, life.last)
    _speak(shadow, left)
    walk = BacktestWalk(shadow, left)
    walk.walk()
    return tuple(walk.done)


def _speak(shadow: Lane, span: Span) -> None:
    """What the rules say before each open, where the shadow reads it."""
    thought = ask_opinions(
        shadow.counsel.reasoner,
        facts_before_open(shadow.lake, span),
        _nothing_to_spend,
        agents=shadow.rules.agents,
        strategies=shadow.rules.settings.decisions.strategies,
        skills=None,
    )
    for table in OPINIONS:
        shadow.lake.write(table, table.frame(thought.rows[table.name]), span, lane=shadow.name)


def _nothing_to_spend(session: Session) -> Budget:
    return Budget(RULES_DESK, session.key, session.day, ())
