"""Kills a real gateway at every point, on both databases: `python -m bench.prove [--json] [--database NAME] [--only TEXT]`.

Each case is a process over the real client and the loopback Gateway that ends by SIGKILL or SIGTERM at a named point, some of them
followed by another that ends while it recovers; then a third one lives, and the broker's own book is compared with the ledger. A
further case stops a process by SIGSTOP for longer than its lease. Broker and ledger outlive every process.

Ends with code 1 when anything was lost, doubled or otherwise wrong; the words are in the line.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bench.timing import emit
from tests.gateway.kill import CASES, Outcome, play, play_stopped

DATABASES = ("sqlite", "postgresql")
STOPPED = "submitted:STOP"
Ledgers = Callable[[int], Path | str]
"""A fresh ledger for the case of a number."""


@dataclass(frozen=True, slots=True)
class Played:
    """A case and what it ended in."""

    name: str
    outcome: Outcome


def main(arguments: Sequence[str] | None = None) -> int:
    """Plays the cases and prints one JSON line; 1 when one of them failed."""
    parser = argparse.ArgumentParser(description="Deaths of the gateway at every point, and what is true afterwards.")
    parser.add_argument("--json", action="store_true", help="accepted; the output is one JSON line anyway")
    parser.add_argument("--database", choices=(*DATABASES, "both"), default="both")
    parser.add_argument("--only", default="", help="cases whose name has this in it")
    parser.add_argument("--at-once", type=int, default=2, help="cases side by side")
    options = parser.parse_args(arguments)
    wanted = DATABASES if options.database == "both" else (options.database,)
    figures = {name: _on(name, options.only, options.at_once) for name in wanted}
    emit({"bench": "prove", **_sum(figures.values()), **figures})
    return 1 if any(each["violations"] for each in figures.values()) else 0


def _on(database: str, only: str, at_once: int) -> dict[str, Any]:
    begun = time.perf_counter()
    with _ledgers(database) as ledgers, ThreadPoolExecutor(at_once) as pool:
        played = list(pool.map(lambda play_one: play_one(), _plays(ledgers, only)))
    wrong = [f"{each.name}: {what}" for each in played for what in each.outcome.violations]
    return {
        "cases": len(played),
        "kills": sum(each.outcome.kills for each in played),
        "violations": len(wrong),
        "lost_fills": sum(each.outcome.lost_fills for each in played),
        "duplicate_orders": sum(each.outcome.duplicate_orders for each in played),
        "seconds": round(time.perf_counter() - begun, 1),
        "wrong": wrong,
    }


def _plays(ledgers: Ledgers, only: str) -> list[Callable[[], Played]]:
    plays = [(case.name, partial(_case, case=case)) for case in CASES] + [(STOPPED, play_stopped)]
    chosen = [(name, play_one) for name, play_one in plays if only in name]
    return [partial(_played, name, play_one, ledgers, number) for number, (name, play_one) in enumerate(chosen)]


def _case(ledger: Path | str, case: Any) -> Outcome:
    return play(ledger, case)


def _played(name: str, play_one: Callable[[Path | str], Outcome], ledgers: Ledgers, number: int) -> Played:
    """One case; one that does not come to its end in time is wrong too."""
    try:
        outcome = play_one(ledgers(number))
    except TimeoutError as late:
        outcome = Outcome("unknown", [str(late)], 0)
    sys.stderr.write(f"{name}: {outcome.state} {outcome.violations}\n")
    return Played(name, outcome)


@contextmanager
def _ledgers(database: str) -> Iterator[Ledgers]:
    if database == "postgresql":
        from tests.postgres import running

        with running() as server:
            yield lambda _: server.url()
        return
    with tempfile.TemporaryDirectory(prefix="desk-prove-") as folder:
        yield lambda number: Path(folder) / f"{number}.sqlite"


def _sum(figures: Any) -> dict[str, int]:
    names = ("cases", "kills", "violations", "lost_fills", "duplicate_orders")
    return {name: sum(each[name] for each in figures) for name in names}


if __name__ == "__main__":
    sys.exit(main())
