"""The proof of a ledger: the journal's chain, its anchor, and that tables and journal tell one story.

Everything is read in one snapshot while the desk goes on. A problem never ends the search; the proof names each, up to a bound.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from resources.ledger.claims import COVERED, Covered, Facts, amount, claims_of, day, text, whole
from resources.ledger.costs import disagreements
from resources.ledger.engine import reading
from resources.ledger.integrity import damage
from resources.ledger.journal import BATCH, hash_of
from resources.ledger.journal_files import read_anchor
from trading_assets.core.errors import DeskError
from trading_assets.core.journal import GENESIS, link
from trading_assets.core.money import usd
from trading_assets.plans.model import TradePlan

SHOWN_MAX = 100
_FIELDS = ("seq", "book", "session", "at", "kind", "symbol", "title", "body", "correlation_id")
_JOURNAL = sa.table("journal", *(sa.column(name) for name in (*_FIELDS, "previous", "hash")))


@dataclass(frozen=True, slots=True)
class Proof:
    """What was examined, and everything that is wrong with it.

    Args:
        entries: Journal entries.
        seq: Number of the newest entry; 0 for an empty journal.
        hash: Its hash.
        rows: Rows examined, by table.
        problems: Sentences, at most `SHOWN_MAX`.
        more: Problems beyond those.
    """

    entries: int
    seq: int
    hash: str
    rows: Mapping[str, int]
    problems: tuple[str, ...]
    more: int = 0

    @property
    def proven(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def verify_ledger(engine: sa.Engine, *, head: Path | None) -> Proof:
    """Examines a whole ledger.

    Args:
        head: The anchor outside the database (`journal/HEAD`); None for a backtest, which is walked again and has none.

    Raises:
        TransientFailure, PermanentFailure: The ledger cannot be opened at all.
    """
    with reading(engine) as connection:
        return examine(connection, head=head)


def examine(connection: sa.Connection, *, head: Path | None) -> Proof:
    """`verify_ledger` on an open transaction, which should be a snapshot."""
    search = _Search(connection)
    search.run("the database", partial(damage, connection))
    search.run("the journal", search.chain)
    if head is not None:
        search.run("the anchor", partial(search.anchor, head))
    for covered in COVERED:
        search.run(covered.name, partial(search.agreement, covered))
    search.run("plans", search.plans)
    search.run("positions", search.positions)
    search.run("states", search.states)
    search.run("model costs", partial(disagreements, connection))
    problems = search.problems
    more = max(0, len(problems) - SHOWN_MAX)
    return Proof(search.entries, search.seq, search.hash, search.rows, tuple(problems[:SHOWN_MAX]), more)


@dataclass
class _Search:
    connection: sa.Connection
    entries: int = 0
    seq: int = 0
    hash: str = GENESIS
    problems: list[str] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    claims: dict[str, list[tuple[int, Facts]]] = field(default_factory=lambda: defaultdict(list))

    def run(self, what: str, examination: Callable[[], Iterator[str]]) -> None:
        """Collects what an examination finds; one that the database refuses is a finding too."""
        try:
            self.problems.extend(examination())
        except (sa.exc.SQLAlchemyError, DeskError, ValueError) as refused:
            self.problems.append(f"{what} could not be examined: {str(refused).splitlines()[0]}")

    def chain(self) -> Iterator[str]:
        """Every link, computed anew; what the entries say of rows is kept for `agreement`."""
        for row in _journal(self.connection):
            self.entries += 1
            fields = {name: day(row[name]) if name == "session" else row[name] for name in _FIELDS}
            seq = fields["seq"]
            if not isinstance(seq, int) or not all(isinstance(v, str) for n, v in fields.items() if n != "seq"):
                yield f"journal entry {seq!r} holds a field that is no text"
                continue
            if seq != self.seq + 1:
                yield f"{_gap(self.seq + 1, seq - 1)} missing in the journal"
            elif row["previous"] != self.hash:
                yield f"journal entry {seq} does not follow entry {seq - 1}: its link to it is broken"
            if link(str(row["previous"]), fields) != row["hash"]:
                yield f"journal entry {seq} is not what was written: its content has another hash"
            self.seq, self.hash = seq, str(row["hash"])
            yield from self._hear(seq, fields)

    def _hear(self, seq: int, fields: Facts) -> Iterator[str]:
        try:
            body = json.loads(str(fields["body"]))
            for claim in claims_of(fields, body):
                self.claims[claim.table].append((seq, claim.facts))
        except (ValueError, KeyError, TypeError, AttributeError) as lacking:
            yield f"journal entry {seq} does not tell what a {fields['kind']} must: {lacking!r}"

    def anchor(self, head: Path) -> Iterator[str]:
        """The newest entry that was ever committed must still be there."""
        anchor = read_anchor(head)
        if anchor is None:
            if self.entries:
                yield f"{head} is missing; if it was never written, desk journal --rebuild writes it"
        elif anchor.seq > self.seq:
            yield (
                f"the journal ends at entry {self.seq}, but entry {anchor.seq} was committed: "
                f"{_gap(self.seq + 1, anchor.seq)} lost, as after a copy without its -wal file or an old backup"
            )
        elif hash_of(self.connection, anchor.seq) != anchor.hash:
            yield f"entry {anchor.seq} is not the one that {head} names: the journal was written anew behind its anchor"

    def agreement(self, covered: Covered) -> Iterator[str]:
        """Each row has its claim, each claim its row, in the same order and with equal fields."""
        told: dict[str, list[tuple[int, int, Facts]]] = defaultdict(list)
        for place, (seq, facts) in enumerate(self.claims.pop(covered.name, [])):
            told[covered.key_of(facts)].append((place, seq, facts))
        count, newest = 0, -1
        for facts in covered.rows(self.connection):
            count += 1
            key = covered.key_of(facts)
            if not told.get(key):
                yield f"{covered.name}: {key} has no journal entry"
                continue
            place, seq, claim = told[key].pop(0)
            yield from _differences(covered, key, seq, facts, claim)
            if place < newest:
                yield f"{covered.name}: {key} stands behind a row that came after it"
            newest = max(newest, place)
        self.rows[covered.name] = count
        for key, left in told.items():
            for _, seq, _ in left:
                yield f"{covered.name}: {key} is missing; journal entry {seq} tells of it"

    def plans(self) -> Iterator[str]:
        """The digest of each intent, which its verdicts signed, computed anew from its plan."""
        intents = sa.table("intents", sa.column("id"), sa.column("plan"), sa.column("plan_digest"), sa.column("seq"))
        for row in self.connection.execute(sa.select(intents).order_by(intents.c.seq)):
            try:
                computed = TradePlan.model_validate_json(str(row.plan)).digest
            except ValueError as broken:
                yield f"intents: the plan of {row.id} cannot be read: {str(broken).splitlines()[0]}"
                continue
            if computed != row.plan_digest:
                yield f"intents: the plan of {row.id} is not the one that was signed"

    def positions(self) -> Iterator[str]:
        """What a book holds is what its newest close says."""
        columns = {"book": text, "symbol": text, "session": day, "quantity": whole, "cost": amount, "price": amount}
        shown = {
            (f["book"], f["symbol"]): f for f in Covered("positions", (), columns, order="symbol").rows(self.connection)
        }
        self.rows["positions"] = len(shown)
        due = {
            (held["book"], held["symbol"]): held for close in _newest_closes(self.connection) for held in _held(close)
        }
        for key in sorted(shown.keys() | due.keys(), key=str):
            if shown.get(key) != due.get(key):
                says = f"{_words(shown.get(key))}, the newest close says {_words(due.get(key))}"
                yield f"positions: {key[0]} {key[1]} is {says}"

    def states(self) -> Iterator[str]:
        """Where an intent stands is what its history says last."""
        for count, row in enumerate(_newest_states(self.connection), start=1):
            self.rows["intent_states"] = count
            if (row.state, row.token) != (row.told, row.under):
                yield (
                    f"intent_states: {row.intent_id} is {row.state} under token {row.token}, "
                    f"its history says {row.told} under {row.under}"
                )


def _newest_states(connection: sa.Connection) -> sa.CursorResult[Any]:
    states = sa.table("intent_states", sa.column("intent_id"), sa.column("state"), sa.column("token"))
    past = sa.table("intent_history", *(sa.column(name) for name in ("seq", "intent_id", "state", "token")))
    newest = sa.select(sa.func.max(past.c.seq)).group_by(past.c.intent_id)
    query = sa.select(states, past.c.state.label("told"), past.c.token.label("under"))
    same = (past.c.intent_id == states.c.intent_id) & past.c.seq.in_(newest)
    return connection.execute(query.outerjoin(past, same).order_by(states.c.intent_id))


def _journal(connection: sa.Connection) -> Iterator[Mapping[str, Any]]:
    query = sa.select(_JOURNAL).order_by(_JOURNAL.c.seq)
    for row in connection.execution_options(yield_per=BATCH).execute(query).mappings():
        yield dict(row)


def _differences(covered: Covered, key: str, seq: int, facts: Facts, claim: Facts) -> Iterator[str]:
    for name in covered.columns:
        if facts[name] != claim[name]:
            yield f"{covered.name}: {key} has {name} {facts[name]}, journal entry {seq} says {claim[name]}"


def _newest_closes(connection: sa.Connection) -> Sequence[Any]:
    closes = sa.table("closes", *(sa.column(name) for name in ("book", "session", "state")))
    newest = sa.select(closes.c.book, sa.func.max(closes.c.session).label("session")).group_by(closes.c.book).subquery()
    mine = (closes.c.book == newest.c.book) & (closes.c.session == newest.c.session)
    return connection.execute(sa.select(closes).join(newest, mine)).all()


def _held(close: Any) -> Iterator[Facts]:
    state = json.loads(str(close.state))
    for symbol, held in state["book"]["positions"].items():
        yield {
            "book": close.book,
            "symbol": symbol,
            "session": day(close.session),
            "quantity": held["quantity"],
            "cost": format(usd(Decimal(held["cost"])), "f"),
            "price": format(usd(Decimal(state["prices"][symbol])), "f"),
        }


def _words(held: Facts | None) -> str:
    if held is None:
        return "not held"
    return f"{held['quantity']} shares at cost {held['cost']}, price {held['price']}, of {held['session']}"


def _gap(first: int, last: int) -> str:
    return f"entry {first} is" if first == last else f"entries {first} to {last} are"
