"""Facts, theses and words in round numbers that the tests of the thesis graph share."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from trading_assets.briefs.facts import Facts, SymbolFacts
from trading_assets.core.calendar import XNYS
from trading_assets.core.slots import Slot, slots_of
from trading_assets.theses.graph import Advanced, advance
from trading_assets.theses.model import (
    Argued,
    Bucket,
    Case,
    Contribution,
    Direction,
    Horizon,
    Mind,
    Thesis,
    ThesisUpdate,
    Voice,
)
from trading_assets.theses.resolution import formed

DAY = date(2012, 6, 15)
SYMBOLS = ("AAA", "BBB", "CCC", "DDD", "EEE")
LABELS = ("09:30", "10:30", "15:30")


def slot_of(day: date = DAY, label: str = "09:30") -> Slot:
    return slots_of(XNYS.session(day), (label,))[0]


def slot_after(sessions: int, label: str = "09:30") -> Slot:
    """The slot some sessions after DAY."""
    return slot_of(XNYS.next(DAY, sessions).day if sessions else DAY, label)


def quoted(symbol: str, slot: Slot, close: float = 100.0, **changed: Any) -> SymbolFacts:
    """The session before a slot: close 100, high 101, low 99, ATR 2."""
    session = changed.pop("session", XNYS.previous(slot.session.day).day)
    ratio = Decimal(str(changed.pop("split", 1)))
    bar = {"open": close, "high": close + 1, "low": close - 1, "close": close, "volume": 1e6, **changed}
    return SymbolFacts(
        symbol=symbol,
        session=session,
        bar={"symbol": symbol, "session": session, **bar},
        indicators={"atr_14": changed.get("atr", 2.0)},
        previous={},
        regime={"symbol": symbol, "strategy_view": "mixed"},
        split_ratio=ratio,
    )


def facts_at(
    slot: Slot, *known: SymbolFacts, correlations: Mapping[tuple[str, str], float | None] | None = None
) -> Facts:
    """What a slot sees: the given symbols, or AAA to EEE at 100."""
    shown = known or tuple(quoted(symbol, slot) for symbol in SYMBOLS)
    session = XNYS.previous(slot.session.day).day
    rows = tuple(
        {"symbol_a": a, "symbol_b": b, "session": session, "correlation_120": value}
        for (a, b), value in (correlations or {}).items()
    )
    return Facts(slot.at, session, {each.symbol: each for each in shown}, None, None, correlations=rows)


def voice(
    signal: float, confidence: float = 1.0, *, source: str = "technical", symbol: str = "AAA", weight: float = 1.2
) -> Voice:
    return Voice(source=source, symbol=symbol, signal=signal, confidence=confidence, weight=weight)


def case(side: Any, strength: float, *, symbol: str = "AAA") -> Case:
    return Case(symbol=symbol, side=side, strength=strength, points=("so",), evidence=("e1",), route="rules")


def hold(
    symbol: str = "AAA",
    direction: Direction = "long",
    horizon: Horizon = "swing",
    evidence: Sequence[tuple[bool, Bucket]] = (),
) -> ThesisUpdate:
    argued = tuple(Argued(source="technical", supports=supports, bucket=bucket) for supports, bucket in evidence)
    return ThesisUpdate(
        symbol=symbol,
        direction=direction,
        action="hold",
        horizon=horizon,
        claim=f"{symbol} goes {direction}",
        evidence=argued,
    )


def give_up(symbol: str = "AAA", direction: Direction = "long") -> ThesisUpdate:
    return ThesisUpdate(symbol=symbol, direction=direction, action="give_up", horizon="swing", claim="no more")


def thesis(
    symbol: str = "AAA",
    direction: Direction = "long",
    confidence: float = 0.6,
    *,
    horizon: Horizon = "swing",
    slot: Slot | None = None,
    said: Mapping[str, float] | None = None,
) -> Thesis:
    """A thesis as it is formed at 100 with ATR 2: a swing one aims at 106 or 94 and is wrong beyond 95 or 105."""
    at = slot or slot_of()
    made = formed(hold(symbol, direction, horizon), quoted(symbol, at), at)
    assert made is not None
    contributions = tuple(Contribution(source=s, log_odds=value, at=at.at) for s, value in sorted((said or {}).items()))
    return made.model_copy(update={"confidence": confidence, "contributions": contributions})


def mind_of(*theses: Thesis, **fields: Any) -> Mind:
    return Mind(theses=tuple(sorted(theses, key=lambda t: (t.symbol, t.direction))), **fields)


def step(mind: Mind, slot: Slot, facts: Facts | None = None, **said: Any) -> Advanced:
    """One step over AAA to EEE, all of which the desk may trade."""
    said = {"known": SYMBOLS, "debate_weight": 0.6, **said}
    return advance(mind, slot, facts or facts_at(slot), **said)
