"""What money for models costs a call: `python -m bench.costs [--json] [--calls N] [--url postgresql://…] [--folder PATH]`.

A call reserves and finishes (settles, keeps its answer, counts for its agent): two writing transactions. The floor beside them is a
transaction that writes one row. Figures say nothing about other machines.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import sqlalchemy as sa

from resources.ledger.answers import SqlAnswerBook
from resources.ledger.breakers import SqlBreakers
from resources.ledger.costs import SqlCostBook
from resources.ledger.engine import Durability, open_ledger
from resources.ledger.records import Counted
from resources.ledger.state import AppState
from trading_assets.reasoning.budgets import desk_budget
from trading_assets.reasoning.model import Usage
from trading_assets.reasoning.ports import AnswerRecord, BreakerPolicy, FinishedCall, PlannedCall
from trading_assets.reasoning.settings import BudgetSettings

NOW, TODAY = datetime(2026, 11, 20, 15, tzinfo=UTC), date(2026, 11, 20)
HOLD = timedelta(seconds=90)
LIMITS = BudgetSettings(decision_usd=1.0, day_usd=1_000.0, calls_per_decision_max=100)
REQUEST, RESPONSE = '{"inputs":"' + "x" * 6_000 + '"}', '{"signal":"' + "y" * 800 + '"}'
CALLS_PER_DECISION = 8


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures and prints; with --json the last line is one JSON object."""
    parser = argparse.ArgumentParser(description="Cost book, answers and breakers on this machine.")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--calls", type=int, default=500, help="calls of each series")
    parser.add_argument("--url", help="an empty PostgreSQL database to measure as well")
    parser.add_argument("--folder", type=Path, help="where to write; a temporary folder by default")
    options = parser.parse_args(arguments)
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        levels: tuple[Durability, ...] = ("FULL", "NORMAL")
        for level in levels:
            engine = open_ledger(Path(folder) / f"{level}.sqlite", durability=level)
            figures |= _figures(f"sqlite_{level}", engine, options.calls)
    if options.url:
        figures |= _figures("postgresql_FULL", open_ledger(options.url, durability="FULL"), options.calls)
    for name, value in figures.items():
        sys.stdout.write(f"{name:<44} {value:>12.3f}\n")
    if options.json:
        sys.stdout.write(json.dumps({name: round(value, 4) for name, value in figures.items()}) + "\n")


@dataclass(frozen=True)
class _Desk:
    """The stores of one ledger, and calls to make on them."""

    costs: SqlCostBook
    answers: SqlAnswerBook

    def reserve(self, name: str, number: int) -> None:
        budget = desk_budget(LIMITS, decision=f"{name}/{number // CALLS_PER_DECISION}", day=TODAY)
        call = PlannedCall(f"{name}-{number}", budget, "technical", "5" * 64, "anthropic", "small", "k")
        refusal = self.costs.reserve(call, Decimal("0.01"), as_of=NOW, hold=HOLD)
        if refusal is not None:
            raise RuntimeError(refusal.sentence)

    def finish(self, name: str, number: int) -> None:
        done = FinishedCall("ok", Usage(6_000, 4_500, 300), Decimal("0.001234567"), Decimal(0), 900)
        record = AnswerRecord(f"{name}-{number:064d}", "anthropic", "small", "technical", "5" * 64, REQUEST, RESPONSE)
        counted = Counted("technical", "anthropic", TODAY, answers=1, cost_usd=done.cost_usd, latency_ms=900)
        self.costs.finish(f"{name}-{number}", done, as_of=NOW, answer=record, counted=counted)


def _figures(name: str, engine: sa.Engine, calls: int) -> Mapping[str, float]:
    desk, state = _Desk(SqlCostBook(engine), SqlAnswerBook(engine)), AppState(engine)
    floor = _each(calls, lambda number: state.set("k", str(number), as_of=NOW))
    reserving = _each(calls, lambda number: desk.reserve(name, number))
    finishing = _each(calls, lambda number: desk.finish(name, number))
    keys = [[f"{name}-{number:064d}", "y" * 64] for number in range(calls)]
    finding = _each(calls, lambda number: desk.answers.find(keys[number]))
    begun = time.perf_counter()
    desk.answers.find_many(keys)
    many = time.perf_counter() - begun
    breakers, policy = SqlBreakers(engine), BreakerPolicy()
    gate = _each(calls, lambda _: breakers.acquire("anthropic", policy, as_of=NOW))
    return {
        **_quantiles(f"{name}_one_row", floor),
        **_quantiles(f"{name}_reserve", reserving),
        **_quantiles(f"{name}_finish", finishing),
        f"{name}_find_per_s": 1_000 / statistics.median(finding),
        f"{name}_find_many_per_s": calls / many,
        f"{name}_closed_breaker_ms_p50": statistics.median(gate),
    }


def _each(times: int, action: Callable[[int], object]) -> list[float]:
    """Milliseconds of each call."""
    durations = []
    for number in range(times):
        begun = time.perf_counter()
        action(number)
        durations.append((time.perf_counter() - begun) * 1_000)
    return durations


def _quantiles(name: str, durations: Sequence[float]) -> Mapping[str, float]:
    ordered = sorted(durations)
    return {f"{name}_ms_p50": statistics.median(ordered), f"{name}_ms_p99": ordered[len(ordered) * 99 // 100]}


if __name__ == "__main__":
    main()
