"""The rules route: deterministic analysts over the same inputs and types as a model's, the desk's baseline without a key.

Signals are means of simple readings in −1…1; confidence says how far the readings agree and how many of them exist. Every reading
cites the row that it was made from.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from trading_assets.briefs.facts import Facts, Row, SymbolFacts, numbers
from trading_assets.briefs.model import Brief, Evidence
from trading_assets.features.model import BREADTH, INDICATORS
from trading_assets.regimes.model import MARKET, REGIME_LABELS

ROUTE = "rules"


@dataclass(frozen=True, slots=True)
class _Reading:
    score: float
    reason: str
    evidence: tuple[Evidence, ...]


def briefs_at(facts: Facts) -> tuple[Brief, ...]:
    """All briefs that the facts allow: technical for each symbol with indicators, breadth for the market."""
    technical = (technical_brief(symbol, facts.as_of) for _, symbol in sorted(facts.symbols.items()))
    return tuple(brief for brief in (*technical, breadth_brief(facts)) if brief is not None)


def technical_brief(facts: SymbolFacts, as_of: datetime) -> Brief | None:
    """Trend readings in trends, oversold and overbought readings in ranges; None without indicators."""
    readings = list(_range_readings(facts) if facts.view == "range" else _trend_readings(facts))
    return _brief("technical", facts.symbol, as_of, readings, expected=2 if facts.view == "range" else 4)


def breadth_brief(facts: Facts) -> Brief | None:
    """Participation of the universe; None without a breadth row."""
    if facts.breadth is None or facts.session is None:
        return None
    return _brief("breadth", MARKET, facts.as_of, list(_breadth_readings(facts.breadth, facts.session)), expected=3)


def brief_rows(briefs: Sequence[Brief], session: date) -> list[dict[str, object]]:
    """The briefs as rows of ANALYST_BRIEFS for the session that they serve."""
    return [
        {
            "session": session,
            "agent": brief.agent,
            "symbol": brief.symbol,
            "signal": brief.signal,
            "confidence": brief.confidence,
            "reasons": json.dumps(brief.reasons, ensure_ascii=False),
            "evidence": json.dumps([e.model_dump(mode="json") for e in brief.evidence], ensure_ascii=False),
            "route": brief.route,
            "knowable_at": brief.as_of,
        }
        for brief in briefs
    ]


def briefs_from_rows(rows: Sequence[Row]) -> tuple[Brief, ...]:
    """The inverse of `brief_rows`; a row that is not a brief is an error."""
    return tuple(
        Brief(
            agent=row["agent"],
            symbol=row["symbol"],
            as_of=row["knowable_at"],
            signal=row["signal"],
            confidence=row["confidence"],
            reasons=tuple(json.loads(row["reasons"])),
            evidence=tuple(Evidence.model_validate(item) for item in json.loads(row["evidence"])),
            route=row["route"],
        )
        for row in rows
    )


def _brief(agent: str, symbol: str, as_of: datetime, readings: Sequence[_Reading], *, expected: int) -> Brief | None:
    if not readings:
        return None
    signal = sum(reading.score for reading in readings) / len(readings)
    agreement = abs(signal)
    return Brief(
        agent=agent,
        symbol=symbol,
        as_of=as_of,
        signal=round(signal, 6),
        confidence=round(min(1.0, len(readings) / expected) * (0.5 + 0.5 * agreement), 6),
        reasons=tuple(reading.reason for reading in readings),
        evidence=tuple(item for reading in readings for item in reading.evidence),
        route=ROUTE,
    )


def _trend_readings(facts: SymbolFacts) -> Iterator[_Reading]:
    for column in ("sma_50", "sma_200"):
        yield from _reading(facts, ("close", column), _above(column), lambda v: 1.0 if v[0] > v[1] else -1.0)
    yield from _reading(
        facts,
        ("macd_histogram_12_26_9",),
        lambda v: f"MACD histogram is {v[0]:+.3f}",
        lambda v: 1.0 if v[0] > 0 else -1.0,
    )
    yield from _reading(
        facts, ("mom_252_21",), lambda v: f"12-1 momentum is {v[0]:+.1%}", lambda v: _bounded(v[0] / 0.20)
    )


def _range_readings(facts: SymbolFacts) -> Iterator[_Reading]:
    yield from _reading(facts, ("rsi_14",), lambda v: f"RSI is {v[0]:.1f}", lambda v: _bounded((50.0 - v[0]) / 20.0))
    yield from _reading(
        facts,
        ("close", "bb_lower_20_2", "bb_upper_20_2"),
        lambda v: f"close {v[0]:.2f} stands against bands {v[1]:.2f} and {v[2]:.2f}",
        lambda v: _bounded(1.0 - 2.0 * (v[0] - v[1]) / (v[2] - v[1])) if v[2] > v[1] else 0.0,
    )


def _above(column: str) -> Callable[[Sequence[float]], str]:
    return lambda v: f"close {v[0]:.2f} is {'above' if v[0] > v[1] else 'below'} {column} {v[1]:.2f}"


def _bounded(score: float) -> float:
    return max(-1.0, min(1.0, score))


def _reading(
    facts: SymbolFacts,
    columns: tuple[str, ...],
    words: Callable[[Sequence[float]], str],
    score: Callable[[Sequence[float]], float],
) -> Iterator[_Reading]:
    """One reading of some indicators; none when a value is unknown."""
    known = numbers(facts.indicators, *columns)
    if known is not None:
        values = tuple(known[column] for column in columns)
        cited = (_cite(INDICATORS.name, facts.session, facts.symbol, c, known[c]) for c in columns)
        view = (_cite(REGIME_LABELS.name, facts.session, facts.symbol, "strategy_view", facts.view),)
        yield _Reading(score(values), words(values), (*cited, *(view if facts.regime else ())))


def _breadth_readings(row: Row, session: date) -> Iterator[_Reading]:
    moved = numbers(row, "advances", "declines")
    if moved and moved["advances"] + moved["declines"]:
        cited = tuple(_cite(BREADTH.name, session, MARKET, column, value) for column, value in moved.items())
        rose, fell = moved["advances"], moved["declines"]
        yield _Reading((rose - fell) / (rose + fell), f"{rose:.0f} symbols rose and {fell:.0f} fell", cited)
    for column, words in (("above_sma_50_share", "50-session mean"), ("above_sma_200_share", "200-session mean")):
        known = numbers(row, column)
        if known is not None:
            share = known[column]
            cited = (_cite(BREADTH.name, session, MARKET, column, share),)
            yield _Reading(2.0 * share - 1.0, f"{share:.0%} of symbols close above their {words}", cited)


def _cite(table: str, session: date, symbol: str, column: str, value: float | str) -> Evidence:
    return Evidence(table=table, session=session, symbol=symbol, column=column, value=value)
