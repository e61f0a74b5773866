"""What the stores cost on this machine: `python -m bench.storage [--json] [--rounds N] [--folder PATH]`.

Every figure is the median of several rounds (for transactions: of all of them), on the disk of the folder that is measured.
The table of a lake has the columns of daily bars. Figures say nothing about other machines.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from resources.lake import ParquetLake
from resources.ledger.engine import Durability, open_ledger
from resources.ledger.store import SqlLedger
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span
from trading_assets.execution.model import Order
from trading_assets.execution.ports import Decision, Intent
from trading_assets.market.model import DAILY_BARS
from trading_assets.plans.model import TradePlan
from trading_assets.signatures.model import Verdict

DAYS = XNYS.days[5000:]
LATEST = XNYS.session(XNYS.last).close
SESSIONS = 500
DECISIONS = 300


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures and prints; with --json the last line is one JSON object."""
    parser = argparse.ArgumentParser(description="Costs of lake and ledger on this machine, in milliseconds.")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each measurement")
    parser.add_argument("--folder", type=Path, help="where to write; a temporary folder by default")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        figures = measured(Path(folder), options.rounds)
    for name, value in figures.items():
        sys.stdout.write(f"{name:<44} {value:>10.3f}\n")
    if options.json:
        sys.stdout.write(json.dumps({name: round(value, 4) for name, value in figures.items()}) + "\n")


def measured(folder: Path, rounds: int) -> Mapping[str, float]:
    """Figure to milliseconds (or the unit that its name ends with)."""
    figures: dict[str, float] = {}
    figures["fsync_4kib_ms_p50"] = statistics.median(_synced_block(folder / "block") for _ in range(20 * rounds))
    for symbols in (5, 500):
        figures |= _lake_figures(folder / f"lake{symbols}", symbols, rounds)
    durabilities: tuple[Durability, ...] = ("FULL", "NORMAL")
    for durability in durabilities:
        figures |= _ledger_figures(folder / f"{durability}.sqlite", durability)
    return figures


def _lake_figures(root: Path, symbols: int, rounds: int) -> Mapping[str, float]:
    lake, end = ParquetLake(root), SESSIONS
    days = DAYS[:end]
    lake.write(DAILY_BARS, bars(days, symbols), Span(days[0], days[-1]), lane="range")
    frames = [bars([day], symbols) for day in days]
    writes = [partial(lake.write, DAILY_BARS, *work) for work in zip(frames, map(Span, days, days), strict=True)]
    single = [_ms(write) for write in writes]
    one = Span(days[-1], days[-1])
    unchanged = [_ms(lambda: lake.write(DAILY_BARS, frames[-1], one)) for _ in range(rounds)]
    name = f"lake_{symbols}_symbols"
    return {
        f"{name}_write_session_first_100_ms_p50": statistics.median(single[:100]),
        f"{name}_write_session_last_100_ms_p50": statistics.median(single[-100:]),
        f"{name}_write_unchanged_session_ms_p50": statistics.median(unchanged),
        f"{name}_read_last_200_of_range_file_ms": _read(lake, rounds, "range", days[-200]),
        f"{name}_read_last_200_of_session_files_ms": _read(lake, rounds, "facts", days[-200]),
        f"{name}_scan_{SESSIONS}_of_range_file_ms": _read(lake, rounds, "range", days[0]),
        f"{name}_scan_{SESSIONS}_of_session_files_ms": _read(lake, rounds, "facts", days[0]),
    }


def _ledger_figures(path: Path, durability: Durability) -> Mapping[str, float]:
    book = SqlLedger(open_ledger(path, durability=durability), "desk")
    work = [decided(day) for day in DAYS[:DECISIONS]]
    durations = sorted(_ms(partial(_decide, book, *made)) for made in work)
    return {
        f"ledger_{durability}_decision_ms_p50": durations[len(durations) // 2],
        f"ledger_{durability}_decision_ms_p99": durations[len(durations) * 99 // 100],
    }


def bars(days: Sequence[date], symbols: int) -> pl.DataFrame:
    """Seeded random bars."""
    dice = np.random.default_rng(7)
    names = [f"S{number:03}" for number in range(symbols)]
    rows = len(days) * symbols
    sessions = [XNYS.session(day) for day in days]
    prices = {name: dice.uniform(10, 500, rows).round(2) for name in ("open", "high", "low", "close")}
    columns = {
        "symbol": names * len(days),
        "session": [session.day for session in sessions for _ in names],
        "start": [session.open for session in sessions for _ in names],
        **prices,
        "volume": dice.integers(1_000, 10_000_000, rows).astype(float),
        "source": ["bench"] * rows,
        "knowable_at": [session.close for session in sessions for _ in names],
    }
    return DAILY_BARS.conform(pl.DataFrame(columns, schema=dict(DAILY_BARS.polars_schema())))


def _read(lake: ParquetLake, rounds: int, lane: str, first: date) -> float:
    """Warm: the first reading, which checks the digests, is not counted."""
    durations = [_ms(lambda: lake.read(DAILY_BARS, as_of=LATEST, lane=lane, first=first)) for _ in range(rounds + 1)]
    return statistics.median(durations[1:])


def decided(day: date) -> tuple[Decision, Intent, tuple[Order, Order]]:
    """A decision of a session with one intent and two orders."""
    at = XNYS.session(day).open
    plan = TradePlan(
        session=day,
        slot="09:30",
        as_of=at,
        action="enter",
        strategy="momentum_breakout",
        symbol="AAA",
        regime="bull",
        quantity=10,
        reference=Decimal(100),
        entry=Decimal("100.5"),
        stop=Decimal(95),
        target=Decimal(110),
        thesis_id="t",
        confidence=0.5,
        reasons=("a measured reason",),
    )
    verdict = Verdict(
        signer="risk_gate", plan_id=plan.id, plan_digest=plan.digest, ruling="approve", quantity=10, breaches=()
    )
    intent = Intent(plan.id, day, "09:30", plan, verdict, 10, "f" * 64)
    entry = Order(f"{plan.id}-entry", plan.id, "AAA", "buy", "limit", "entry", 10, at, day, "day", plan.entry)
    stop = replace(entry, id=f"{plan.id}-stop", side="sell", type="stop", role="stop", stop_price=plan.stop)
    return Decision(day, "09:30", at, "ACTIVE", "due", 1, 0, "f" * 64), intent, (entry, stop)


def _decide(book: SqlLedger, decision: Decision, intent: Intent, orders: Sequence[Order]) -> None:
    with book.session() as ledger:
        ledger.add_decision(decision, [(intent.plan, intent.verdict)], [intent], orders)


def _synced_block(path: Path) -> float:
    def write() -> None:
        with path.open("wb") as file:
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())

    return _ms(write)


def _ms(action: Callable[[], object]) -> float:
    begun = time.perf_counter()
    action()
    return (time.perf_counter() - begun) * 1000


if __name__ == "__main__":
    main()
