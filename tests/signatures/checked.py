"""One slot in which everything agrees: facts, what was said, theses, and a plan that a fact checker signs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from trading_assets.briefs.facts import Facts, SymbolFacts
from trading_assets.briefs.inputs import headline_digest
from trading_assets.briefs.model import Brief, Evidence
from trading_assets.briefs.narratives.model import Narrative
from trading_assets.broker.model import Quote
from trading_assets.core.calendar import XNYS
from trading_assets.core.slots import Slot, slots_of
from trading_assets.plans.model import TradePlan
from trading_assets.regimes.model import MARKET
from trading_assets.signatures.fact_checker import check_facts
from trading_assets.signatures.model import Verdict
from trading_assets.theses.debate import ArguedCase
from trading_assets.theses.model import Case, Mind, Thesis

DAY = date(2012, 6, 15)
BEFORE = XNYS.previous(DAY).day
SLOT: Slot = slots_of(XNYS.session(DAY), ("09:30",))[0]
NOON: Slot = slots_of(XNYS.session(DAY), ("12:00",))[0]
KNOWN_AT = XNYS.session(BEFORE).close
SAID_AT = SLOT.at - timedelta(hours=1)
HEADLINE = "Orders rise"


def of_symbol(symbol: str = "AAA", *, close: float = 100.0, **changed: Any) -> SymbolFacts:
    """The facts of one symbol at the close before DAY."""
    stamp = {"symbol": symbol, "session": BEFORE, "knowable_at": KNOWN_AT}
    fields: dict[str, Any] = {
        "bar": {**stamp, "open": 99.0, "high": 101.0, "low": 98.0, "close": close, "volume": 1.5e6},
        "indicators": {**stamp, "close": close, "rsi_14": 60.0, "atr_14": 2.0, "sma_200": 90.0, "sma_20": 98.0},
        "previous": {**stamp, "session": XNYS.previous(BEFORE).day, "close": 99.0, "high_20": 99.5},
        "regime": {**stamp, "strategy_view": "trending_bull"},
        "split_ratio": Decimal(1),
        **changed,
    }
    return SymbolFacts(symbol=symbol, session=fields.pop("session", BEFORE), **fields)


def facts(*symbols: SymbolFacts, **changed: Any) -> Facts:
    """What is knowable at the slot."""
    shown = symbols or (of_symbol("AAA"), of_symbol("BBB"))
    stamp = {"session": BEFORE, "knowable_at": KNOWN_AT}
    fields: dict[str, Any] = {
        "as_of": SLOT.at,
        "session": BEFORE,
        "breadth": {**stamp, "above_sma_50_share": 0.7, "above_sma_200_share": 0.65, "advances": 7, "declines": 3},
        "market_regime": {**stamp, "symbol": MARKET, "strategy_view": "trending_bull"},
        "news": {"AAA": ({**stamp, "symbol": "AAA", "headline": HEADLINE},)},
        **changed,
    }
    return Facts(symbols={each.symbol: each for each in shown}, **fields)


def cited(symbol: str = "AAA", column: str = "rsi_14", value: float | str = 60.0, **changed: Any) -> Evidence:
    return Evidence(**{"table": "indicators", "session": BEFORE, **changed}, symbol=symbol, column=column, value=value)


OF_MARKET = cited(MARKET, "above_sma_50_share", 0.7, table="breadth")


def brief(agent: str = "technical", symbol: str = "AAA", *evidence: Evidence, as_of: datetime = SAID_AT) -> Brief:
    return Brief(
        agent=agent,
        symbol=symbol,
        as_of=as_of,
        signal=0.5,
        confidence=0.6,
        reasons=("it is so",),
        evidence=evidence or ((OF_MARKET,) if symbol == MARKET else (cited(symbol),)),
        route="rules",
    )


def narrative(symbol: str = "AAA", text: str = HEADLINE, **changed: Any) -> Narrative:
    fields: dict[str, Any] = {
        "session": DAY,
        "as_of": SAID_AT,
        "story": "Orders rise.",
        "stage": "emerging",
        "velocity": 0.4,
        "direction": 0.5,
        "consensus": 0.8,
        "source_diversity": 0.5,
        "edge": "high",
        "items": 1,
        "route": "rules",
        **changed,
    }
    return Narrative(
        **fields, symbol=symbol, evidence=(cited(symbol, "headline", headline_digest(text), table="news"),)
    )


def case(symbol: str = "AAA", *citations: Evidence) -> ArguedCase:
    argued = Case(symbol=symbol, side="bull", strength=0.6, points=("Up.",), evidence=("e1",), route="rules")
    return ArguedCase(argued, citations or (cited(symbol),))


@dataclass(frozen=True)
class Told:
    """What was said."""

    briefs: Sequence[Brief] = ()
    narratives: Sequence[Narrative] = ()
    cases: Sequence[ArguedCase] = ()


SAID = Told((brief(), brief("breadth", MARKET), brief("technical", "BBB")), (narrative(),), (case(),))


def thesis(symbol: str = "AAA", **changed: Any) -> Thesis:
    fields: dict[str, Any] = {
        "id": f"thesis-{symbol}",
        "direction": "long",
        "claim": "it rises",
        "horizon": "swing",
        "formed": BEFORE,
        "formed_slot": "09:30",
        "formed_at": SLOT.at - timedelta(days=1),
        "expires": XNYS.next(DAY, 20).day,
        "reference": Decimal(100),
        "target": Decimal(110),
        "invalidation": Decimal(90),
        "regime": "trending_bull",
        "author": "rules",
        "confidence_formed": 0.6,
        "confidence": 0.6,
        "as_of": SLOT.at,
        **changed,
    }
    return Thesis(symbol=symbol, **fields)


def plan(**changed: Any) -> TradePlan:
    """An entry into AAA at half a percent above its close of 100, that wins 1.6 times what it risks."""
    fields: dict[str, Any] = {
        "session": DAY,
        "slot": "09:30",
        "as_of": SLOT.at,
        "action": "enter",
        "strategy": "momentum_breakout",
        "symbol": "AAA",
        "regime": "trending_bull",
        "quantity": 100,
        "reference": Decimal("100.0000"),
        "entry": Decimal("100.50"),
        "stop": Decimal("96.50"),
        "target": Decimal("106.90"),
        "thesis_id": "thesis-AAA",
        "confidence": 0.6,
        "reasons": ("it was found",),
        **changed,
    }
    return TradePlan(**fields)


def sold(**changed: Any) -> TradePlan:
    """The short leg of a pair in AAA, on the thesis of BBB, which is bought."""
    short: dict[str, Any] = {
        "side": "short",
        "pair": "tied",
        "strategy": "correlation_convergence",
        "entry": Decimal("99.50"),
        "stop": Decimal("103.50"),
        "target": Decimal("93.10"),
        "thesis_id": "thesis-BBB",
    }
    return plan(**{**short, **changed})


def leaving(quantity: int = 100, **changed: Any) -> TradePlan:
    """An exit."""
    given: dict[str, Any] = {"action": "exit", "stop": None, "target": None, "style": "market", "entry": Decimal(100)}
    return plan(**{**given, "quantity": quantity, **changed})


def altered(given: TradePlan, **changed: Any) -> TradePlan:
    """The plan as somebody left it who did not ask its type."""
    return given.model_copy(update=changed)


def intraday_bar(close: float = 101.0, *, minutes_old: int = 5, **changed: Any) -> Mapping[str, Any]:
    """A five-minute bar of the session that ended some minutes before noon."""
    end = NOON.at - timedelta(minutes=minutes_old)
    row = {"symbol": "AAA", "session": DAY, "frequency": "5m", "start": end - timedelta(minutes=5), "close": close}
    return {**row, "knowable_at": end, **changed}


def within(**changed: Any) -> TradePlan:
    """An intraday entry at noon, from a bar that closed at 101."""
    given: dict[str, Any] = {
        "slot": "12:00",
        "as_of": NOON.at,
        "strategy": "vwap_momentum",
        "reference": Decimal("101.0"),
        "entry": Decimal("101.10"),
        "stop": Decimal("100.29"),
        "target": Decimal("102.52"),
        "flat_by_close": True,
    }
    return plan(**{**given, **changed})


def quote(bid: str | None = "99.98", ask: str | None = "100.02", **changed: Any) -> Quote:
    given = Quote("AAA", SLOT.at, Decimal(bid) if bid else None, Decimal(ask) if ask else None)
    return replace(given, **changed)


MIND = Mind(theses=(thesis(), thesis("BBB")))


def checked(given: TradePlan | None = None, known: Facts | None = None, said: Told = SAID, **changed: Any) -> Verdict:
    """What the fact checker says where everything agrees, but for what is changed."""
    more = {"mind": MIND, **changed}
    return check_facts(plan() if given is None else given, facts() if known is None else known, said, **more)


def ids(verdict: Verdict) -> list[str]:
    """The comparisons that failed."""
    return [breach.control for breach in verdict.breaches]
