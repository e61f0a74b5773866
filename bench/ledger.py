"""The ledger's transactions and queries: `python -m bench.ledger [--json] [--rounds N] [--folder PATH]`.

What is asked of it, after the fashion of an order's life: one intent with its journal entry and its message in one durable
transaction (the seed needed 30 ms), and rows found by an index (1 ms). The desk's whole decision stands beside it (decision,
verdict, intent, two orders, journal and messages), a transaction without content on a kept connection and on a new one, and the
bare sync of 4 KiB that no durable commit can beat. Each in an SQLite file with both durabilities and on a PostgreSQL server that
is started for the measurement and stopped after it. Milliseconds, and some also per second.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bench.storage import DAYS, decided
from bench.timing import emit
from resources.ledger.bus import append_messages
from resources.ledger.engine import Durability, open_ledger, reading, transaction
from resources.ledger.journal import append_entries
from resources.ledger.schema import DECISIONS, INTENTS, JOURNAL, MESSAGES
from resources.ledger.store import SqlLedger
from trading_assets.core.journal import Entry
from trading_assets.core.messages import Draft, Note
from trading_assets.execution.ports import Intent

SEED_TRANSACTION_MS, SEED_QUERY_MS = 30.0, 1.0
DESK = "desk"
DURABILITIES: tuple[Durability, ...] = ("FULL", "NORMAL")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures and prints one JSON line."""
    parser = argparse.ArgumentParser(description="Transactions and queries of the ledger, in milliseconds.")
    parser.add_argument("--json", action="store_true", help="accepted; the output is one JSON line anyway")
    parser.add_argument("--rounds", type=int, default=500, help="transactions of each kind")
    parser.add_argument("--folder", type=Path, help="where to write; a temporary folder by default")
    options = parser.parse_args(arguments)
    figures: dict[str, Any] = {"bench": "ledger", "rounds": options.rounds}
    figures |= {"seed_transaction_ms": SEED_TRANSACTION_MS, "seed_query_ms": SEED_QUERY_MS}
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        figures |= _quantiles("synced_4_kib", [_synced_block(folder / "block") for _ in range(options.rounds)])
        for durability in DURABILITIES:
            where = folder / f"{durability}.sqlite"
            figures |= _ledger(f"sqlite_{durability.lower()}", where, durability, options.rounds)
        figures |= _postgresql(options.rounds)
    emit(figures)


def _postgresql(rounds: int) -> Mapping[str, Any]:
    from tests.postgres import NoServer, Server

    try:
        server = Server()
        server.start()
    except NoServer as why:
        return {"postgresql_skipped": str(why)}
    try:
        figures: dict[str, Any] = {}
        for durability in DURABILITIES:
            figures |= _ledger(f"postgresql_{durability.lower()}", server.url(), durability, rounds)
        return figures
    finally:
        server.close()


def _ledger(name: str, where: Path | str, durability: Durability, rounds: int) -> Mapping[str, float]:
    engine = open_ledger(where, durability=durability)
    work = [decided(day) for day in DAYS[: 2 * rounds]]
    intents = [_ms(partial(_send, engine, intent)) for _, intent, _ in work[:rounds]]
    book = SqlLedger(engine, DESK)
    decisions = []
    for decision, intent, orders in work[rounds:]:
        begun = time.perf_counter()
        with book.session() as ledger:
            ledger.add_decision(decision, [(intent.plan, intent.verdict)], [intent], orders)
        decisions.append((time.perf_counter() - begun) * 1000)
    empty = [_ms(partial(_nothing, engine)) for _ in range(rounds)]
    figures = {
        **_quantiles(f"{name}_intent_journal_message", intents),
        **_quantiles(f"{name}_decision", decisions),
        **_quantiles(f"{name}_empty_transaction", empty),
        **_quantiles(f"{name}_empty_transaction_on_a_new_connection", [_anew(engine) for _ in range(rounds)]),
        f"{name}_intents_per_s": round(1000 * rounds / sum(intents)),
        f"{name}_empty_transactions_per_s": round(1000 * rounds / sum(empty)),
        **_queries(name, engine, [intent for _, intent, _ in work], rounds),
    }
    engine.dispose()
    return figures


def _send(engine: sa.Engine, intent: Intent) -> None:
    """The outbox: what is about to be sent, why, and the word to whoever sends it; all of it or nothing."""
    plan = intent.plan
    row = {
        "id": intent.id,
        "book": DESK,
        "session": intent.session,
        "slot": intent.slot,
        "strategy": plan.strategy,
        "symbol": plan.symbol,
        "action": plan.action,
        "quantity": intent.quantity,
        "plan": plan.model_dump_json(),
        "plan_digest": plan.digest,
        "verdict": intent.verdict.model_dump_json(),
        "limits_hash": intent.limits_hash,
    }
    entry = Entry(DESK, intent.session, plan.as_of, "order", "bench", {"intent": intent.id}, plan.symbol, intent.id)
    draft = Draft(DESK, intent.session, plan.as_of, "bench", Note(text=intent.id), correlation_id=intent.id)
    with transaction(engine) as connection:
        connection.execute(INTENTS.insert(), row)
        append_entries(connection, [entry])
        append_messages(connection, [draft])


def _queries(name: str, engine: sa.Engine, intents: Sequence[Intent], rounds: int) -> Mapping[str, float]:
    """Each query looks for another row each time; the answer must be there."""
    wanted: Mapping[str, Callable[[Intent], sa.Select[Any]]] = {
        "intent_by_id": lambda intent: sa.select(INTENTS).where(INTENTS.c.id == intent.id),
        "journal_by_correlation": lambda intent: sa.select(JOURNAL).where(JOURNAL.c.correlation_id == intent.id),
        "decision_by_slot": lambda intent: sa.select(DECISIONS).where(
            DECISIONS.c.book == DESK, DECISIONS.c.session == intent.session, DECISIONS.c.slot == intent.slot
        ),
        "newest_messages": lambda _: sa.select(MESSAGES).order_by(MESSAGES.c.id.desc()).limit(10),
    }
    figures: dict[str, float] = {}
    for kind, query in wanted.items():
        of = intents[rounds:] if kind == "decision_by_slot" else intents[:rounds]
        figures |= _quantiles(f"{name}_{kind}", [_ms(partial(_found, engine, query(intent))) for intent in of])
    return figures


def _found(engine: sa.Engine, query: sa.Select[Any]) -> None:
    with reading(engine) as connection:
        if not connection.execute(query).all():
            raise RuntimeError(f"nothing was found: {query}")


def _nothing(engine: sa.Engine) -> None:
    with transaction(engine):
        return


def _anew(engine: sa.Engine) -> float:
    """As if each transaction opened a connection of its own."""
    engine.dispose()
    return _ms(partial(_nothing, engine))


def _synced_block(path: Path) -> float:
    with path.open("ab") as file:
        file.write(bytes(4096))
        file.flush()
        return _ms(partial(os.fdatasync, file.fileno()))


def _quantiles(name: str, spent: Sequence[float]) -> dict[str, float]:
    in_order = sorted(spent)
    return {
        f"{name}_ms_p50": round(in_order[len(in_order) // 2], 3),
        f"{name}_ms_p99": round(in_order[len(in_order) * 99 // 100], 3),
    }


def _ms(action: Callable[[], object]) -> float:
    begun = time.perf_counter()
    action()
    return (time.perf_counter() - begun) * 1000


if __name__ == "__main__":
    main(sys.argv[1:])
