"""How early narratives warn of jumps, and how often in vain: `python -m bench.narratives [--json] [--seeds 7 11 23]`.

On the simulated market a rumour stands a set number of sessions before each jump. Before each open the deterministic narrative is
made from the news that was knowable an hour earlier. A warning is the first session in a row with an edge of high or medium in one
direction. It is true when a jump in that direction happens within ten sessions, counted from its own; a jump was warned of when a
true warning stands before it, and the lead is that of the last one, in sessions: 0 is the open of the jump's own session.

Whoever wrote the list of words had seen the market's headlines. So everything is measured twice: as the market words it, and with
each headline replaced by another wording of the same direction, written before the list but by the same hand. The first figure says
what the rules do once a headline is understood; the difference between the two is what understanding costs.
"""

import argparse
import statistics
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import groupby

import numpy as np
import polars as pl

from bench.timing import emit
from simulation.market import SimulatedMarket
from trading_assets.briefs.cuts import NewsRows
from trading_assets.briefs.inputs import narrative_question
from trading_assets.briefs.narratives.roles import NarrativeInputs
from trading_assets.briefs.narratives.rules import narrative_call
from trading_assets.core.calendar import XNYS, Session
from trading_assets.core.ports import Span
from trading_assets.features.correlations import wilson

SPAN = Span(date(2012, 1, 3), date(2015, 12, 31))
SYMBOLS, SEEDS, LEADS = slice(40, 70), (7, 11, 23), (1, 3, 5, 10)
HORIZON, WINDOW = 10, 10
_BEFORE_OPEN = timedelta(hours=1)
OTHER_WORDS: Mapping[int, Sequence[str]] = {
    1: (
        "{symbol} weighs a sale after several approaches, according to two bankers",
        "Rival explores a bid for {symbol}",
        "{symbol} nears approval for its new drug, officials hint",
        "Large fund is building a stake in {symbol}",
        "{symbol} expected to win a defence order worth billions",
        "Insiders see {symbol} lifting its forecast",
        "{symbol} prepares a big share buyback, newspaper reports",
        "Trial of {symbol}'s therapy looks promising, doctors tell",
        "{symbol} could settle its patent dispute on good terms",
        "Orders at {symbol} running well ahead of plan, suppliers say",
        "{symbol} set to join a major index, traders believe",
        "{symbol} close to partnership with a leading carmaker",
    ),
    -1: (
        "{symbol} faces an inquiry by prosecutors, newspaper reports",
        "Major client considers leaving {symbol}",
        "{symbol} may restate its results, according to auditors",
        "{symbol} struggles to refinance its debt, lenders say",
        "Defect found in {symbol} flagship, factory workers tell",
        "{symbol} likely to cut its outlook, analysts fear",
        "Strike threatens {symbol} plants",
        "{symbol} finance chief about to quit, insiders say",
        "Short seller accuses {symbol} of inflating sales",
        "{symbol} could face a fine over pricing",
        "Hackers are said to have stolen {symbol} customer data",
        "{symbol} delays launch of key product, suppliers hint",
    ),
    0: (
        "{symbol} moves its annual meeting to May",
        "{symbol} sponsors a marathon",
        "{symbol} renames its research unit",
        "Chairman of {symbol} speaks at a university",
        "{symbol} updates its travel policy",
        "{symbol} lists its suppliers for the year",
    ),
}


@dataclass
class Tally:
    """Counts over markets of one lead and one wording."""

    jumps: int = 0
    leads: list[int] = field(default_factory=list)
    warnings: int = 0
    true: int = 0
    sessions: int = 0
    chances: list[float] = field(default_factory=list)

    def add(self, warnings: Sequence[tuple[int, int]], jumps: Sequence[tuple[int, int]], sessions: int) -> None:
        """One symbol: place and direction of its warnings and of its jumps."""
        self.jumps += len(jumps)
        self.warnings += len(warnings)
        self.sessions += sessions
        self.true += sum(any(_met(warning, jump) for jump in jumps) for warning in warnings)
        for jump in jumps:
            before = [jump[0] - warning[0] for warning in warnings if _met(warning, jump)]
            if before:
                self.leads.append(min(before))
        places = {(jump[0] - back, jump[1]) for jump in jumps for back in range(HORIZON + 1)}
        self.chances.append(len(places) / (2 * sessions))

    @property
    def figures(self) -> dict[str, float]:
        """Shares with Wilson intervals, leads in sessions, false warnings per hundred symbol-sessions."""
        quarters = (
            statistics.quantiles(self.leads, n=4, method="inclusive") if len(self.leads) > 1 else [float("nan")] * 3
        )
        return {
            "jumps": self.jumps,
            **_share("warned", len(self.leads), self.jumps),
            "lead_q25": quarters[0],
            "lead_median": quarters[1],
            "lead_q75": quarters[2],
            "warnings": self.warnings,
            **_share("precision", self.true, self.warnings),
            "precision_by_chance": statistics.mean(self.chances),
            "false_per_100_sessions": 100 * (self.warnings - self.true) / self.sessions,
        }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures and prints; with --json the last line is one JSON object."""
    parser = argparse.ArgumentParser(description="Measured lead and false alarms of the deterministic narratives.")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS), help="markets")
    parser.add_argument("--leads", type=int, nargs="+", default=list(LEADS), help="sessions from rumour to jump")
    options = parser.parse_args(arguments)
    begun = time.perf_counter()
    figures = {
        f"lead {lead}, {words}": measured(options.seeds, lead, other_words=words == "other words").figures
        for words in ("its own words", "other words")
        for lead in options.leads
    }
    for name, row in figures.items():
        sys.stdout.write(f"{name:<24}{_sentence(row)}\n")
    seconds = time.perf_counter() - begun
    if options.json:
        rounded = {name: {key: round(value, 4) for key, value in row.items()} for name, row in figures.items()}
        emit({"bench": "narratives", "seconds": round(seconds, 1), "seeds": options.seeds, **rounded})


def measured(
    seeds: Sequence[int], lead: int, *, other_words: bool = False, symbols: slice = SYMBOLS, span: Span = SPAN
) -> Tally:
    """The tally over markets whose rumours stand `lead` sessions before their jumps."""
    tally = Tally()
    sessions = XNYS.sessions(span.first, span.last)
    places = {session.day: place for place, session in enumerate(sessions)}
    for seed in seeds:
        market = SimulatedMarket(seed, lead_sessions=lead)
        names = [one.symbol for one in market.cast()[symbols]]
        truth = market.events(names, span).filter(pl.col("kind") == "jump").rows(named=True)
        told = market.news(names, span)
        news = NewsRows(reworded(told, truth) if other_words else told)
        for symbol in names:
            jumps = [(places[row["session"]], 1 if row["move"] > 0 else -1) for row in truth if row["symbol"] == symbol]
            # News from before the span is not known, and what follows it neither.
            inner = [jump for jump in jumps if jump[0] >= WINDOW + HORIZON]
            warned = [
                each for each in warnings_of(symbol, news, sessions) if WINDOW <= each[0] < len(sessions) - HORIZON
            ]
            tally.add(warned, inner, len(sessions) - WINDOW - HORIZON)
    return tally


def warnings_of(symbol: str, news: NewsRows, sessions: Sequence[Session]) -> Iterator[tuple[int, int]]:
    """Place and direction of each warning: the first of the sessions in a row that say the same."""
    said = ((place, _direction(symbol, news, session)) for place, session in enumerate(sessions))
    for direction, row in groupby(said, key=lambda one: one[1]):
        if direction:
            yield next(row)


def reworded(told: pl.DataFrame, truth: Sequence[Mapping[str, object]]) -> pl.DataFrame:
    """The news in other words of the same direction; what stood before jumps tells which wording is a rumour of which kind."""
    moves = {(row["symbol"], row["news_session"]): row["move"] for row in truth}
    rows = told.rows(named=True)
    votes: dict[str, Counter[int]] = {}
    for row in rows:
        move = moves.get((row["symbol"], row["session"]))
        if isinstance(move, float):
            votes.setdefault(_wording(row), Counter())[1 if move > 0 else -1] += 1
    kinds = {wording: count.most_common(1)[0][0] for wording, count in votes.items() if sum(count.values()) > 2}
    headlines = [_replaced(row, kinds.get(_wording(row), 0)) for row in rows]
    return told.with_columns(pl.Series("headline", headlines, dtype=pl.String()))


def _direction(symbol: str, news: NewsRows, session: Session) -> int:
    """1 or -1 where the narrative before this open has an edge; 0 without one."""
    as_of = session.open - _BEFORE_OPEN
    told = news.of(symbol, as_of)
    if not told:
        return 0
    inputs = narrative_question(symbol, told, as_of).inputs
    call = narrative_call(NarrativeInputs.model_validate(inputs))
    return 0 if call.edge not in ("high", "medium") else 1 if call.direction > 0 else -1


def _wording(row: Mapping[str, object]) -> str:
    return str(row["headline"]).replace(str(row["symbol"]), "{symbol}")


def _replaced(row: Mapping[str, object], kind: int) -> str:
    words = OTHER_WORDS[kind]
    return words[zlib.crc32(str(row["item"]).encode()) % len(words)].format(symbol=row["symbol"])


def _met(warning: tuple[int, int], jump: tuple[int, int]) -> bool:
    return warning[1] == jump[1] and 0 <= jump[0] - warning[0] <= HORIZON


def _share(name: str, hits: int, count: int) -> dict[str, float]:
    low, high = wilson(np.array([float(hits)]), np.array([float(count)]))
    share = hits / count if count else float("nan")
    return {name: share, f"{name}_low": float(low[0]), f"{name}_high": float(high[0])}


def _sentence(row: Mapping[str, float]) -> str:
    return (
        f"warned {row['warned']:.2f} ({row['warned_low']:.2f}-{row['warned_high']:.2f}) of {row['jumps']:.0f} jumps, "
        f"lead {row['lead_median']:.0f} ({row['lead_q25']:.0f}-{row['lead_q75']:.0f}), "
        f"precision {row['precision']:.2f} ({row['precision_low']:.2f}-{row['precision_high']:.2f}, "
        f"chance {row['precision_by_chance']:.3f}) of {row['warnings']:.0f}, "
        f"false per 100 sessions {row['false_per_100_sessions']:.2f}"
    )


if __name__ == "__main__":
    main()
