"""What a decision takes: by rules over 500 sessions, and by models on loopback over eight symbols. `python -m bench.cycle --json`.

The rules chain is asked and walked over the embedded prices, book and ledger included, on files in a temporary folder; the profile
is that of one more walk, as the share of its time that each module spends itself. The models answer after one second each; the
chain is four dependent calls (analysts, debate, strategist, personas), each as long as one lone call through the same reasoner.
Tokens are those of the loopback wire (four bytes each, no thinking), prices the provider's list.
"""

import cProfile
import pstats
import tempfile
import time
from collections import Counter
from datetime import date
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

from bench.timing import emit
from tests.cycle.worlds import Cycle, busy_slot, cycle_at
from tests.execution.world import lane, market, said_before, sessions
from tests.llm.server import ModelServer
from trading_assets.briefs.facts import FactBook
from trading_assets.core.ports import Span
from trading_assets.core.settings import PROJECT
from trading_assets.execution.lanes import BacktestWalk, Lane

WALKED = Span(date(2011, 1, 3), date(2012, 12, 31))
ROUNDS = 4
DELAY_S = 1.0
RUNS = 3
SHOWN = 8


def main() -> None:
    """Both parts, one JSON line."""
    emit({"bench": "cycle", **_by_rules(), **_by_models()})


def _by_rules() -> dict[str, Any]:
    known = market(WALKED)
    book, days = FactBook(known.frames), sessions(WALKED)
    asked, walked = list[float](), list[float]()
    with tempfile.TemporaryDirectory(prefix="desk-bench-") as folder:
        for number in range(RUNS):
            begun = time.perf_counter()
            said_before(book, days)
            asked.append(time.perf_counter() - begun)
            walked.append(_walk(lane(Path(folder) / str(number), of=known)))
        profile = _profiled(lane(Path(folder) / "profiled", of=known))
    total = median(asked) + median(walked)
    return {
        "sessions": len(days),
        "symbols": 5,
        "rules_opinions_s": round(median(asked), 2),
        "rules_walk_s": round(median(walked), 2),
        "rules_decisions_per_s": round(len(days) / total, 1),
        "rules_slots_per_s": round(13 * len(days) / total),
        "rules_profile": profile,
    }


def _walk(where: Lane) -> float:
    walk = BacktestWalk.begin(where, WALKED, fresh=True)
    begun = time.perf_counter()
    walk.walk()
    return time.perf_counter() - begun


def _profiled(where: Lane) -> dict[str, float]:
    """Module to the share of the walk's time that is spent in it, the largest first."""
    profile = cProfile.Profile()
    profile.runcall(_walk, where)
    spent = Counter[str]()
    for (file, _, _), (_, _, own_s, _, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        spent[_module(file)] += own_s
    whole = sum(spent.values())
    return {name: round(own / whole, 3) for name, own in spent.most_common(SHOWN)}


def _module(file: str) -> str:
    path = Path(file)
    if path.is_relative_to(PROJECT) and "site-packages" not in file:
        return str(path.relative_to(PROJECT))
    parts = path.parts
    return parts[parts.index("site-packages") + 1] if "site-packages" in parts else "python"


def _by_models() -> dict[str, Any]:
    busy_slot()
    walls, lone, calls = list[float](), list[float](), list[dict[str, Any]]()
    for _ in range(RUNS):
        with (
            tempfile.TemporaryDirectory(prefix="desk-bench-") as folder,
            ModelServer() as server,
            cycle_at(server, Path(folder), delay_s=DELAY_S) as cycle,
        ):
            lone.append(_lone_call(cycle))
            begun = time.perf_counter()
            cycle.decide(cycle.opinions())
            walls.append(time.perf_counter() - begun)
            calls = [call for call in cycle.calls() if call["decision"] == cycle.budget().decision]
    return {
        "models_wall_s": round(median(walls), 2),
        "models_chain_s": round(ROUNDS * median(lone), 2),
        "models_wall_to_chain": round(median(w / (ROUNDS * c) for w, c in zip(walls, lone, strict=True)), 2),
        "models_calls": len(calls),
        "cost_usd_per_decision": str(sum((call["cost"] for call in calls), Decimal(0))),
        "cost_by_agent": {
            call["skill"]: [call["model"], call["input_tokens"], call["output_tokens"], str(call["cost"])]
            for call in calls
        },
    }


def _lone_call(cycle: Cycle) -> float:
    """One question of the session before through the same reasoner, after another one that opened it."""
    first, second = cycle.other_questions()[:2]
    cycle.reasoner.gather([first])
    begun = time.perf_counter()
    cycle.reasoner.gather([second])
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
