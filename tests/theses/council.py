"""Facts, briefs and setups in round numbers that the tests of the council share: AAA is liked, BBB is not, CCC is quiet."""

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from pydantic import BaseModel

from trading_assets.briefs.facts import Facts, SymbolFacts
from trading_assets.briefs.model import Brief, Evidence
from trading_assets.briefs.narratives.model import Narrative
from trading_assets.core.calendar import XNYS
from trading_assets.core.slots import Slot, slots_of
from trading_assets.plans.model import Candidate
from trading_assets.reasoning.baseline import by_rules
from trading_assets.reasoning.model import Abstention, Answer, Ask, Budget, Usage
from trading_assets.regimes.model import MARKET
from trading_assets.theses.memory.model import Lesson
from trading_assets.theses.model import Case, Contribution, Mind, Stance, Thesis, Voice

DAY = date(2012, 6, 15)
BEFORE = XNYS.previous(DAY).day
SLOT: Slot = slots_of(XNYS.session(DAY), ("09:30",))[0]
AS_OF = SLOT.at - timedelta(hours=1)
BUDGET = Budget("backtest", "backtest/2012-06-15/09:30", DAY, ())
STRATEGIES = ("momentum_breakout", "mean_reversion", "pullback", "narrative_momentum")
INDICATORS: Mapping[str, float] = {
    "sma_50": 95.0,
    "sma_200": 90.0,
    "rsi_14": 60.0,
    "adx_14": 30.0,
    "mom_252_21": 0.12,
    "vol_20": 0.24,
    "bb_lower_20_2": 92.0,
    "bb_upper_20_2": 104.0,
    "high_252": 105.0,
    "low_252": 80.0,
    "volume_mean_20": 1e6,
}
MARKET_ROW: Mapping[str, Any] = {
    "symbol": MARKET,
    "session": BEFORE,
    "regime": "trending_up",
    "strategy_view": "trending_bull",
    "probability": 0.9,
    "volatility_percentile": 0.4,
    "trend_strength": 1.2,
}
BREADTH_ROW: Mapping[str, Any] = {
    "advances": 7,
    "declines": 3,
    "up_volume_share": 0.7,
    "above_sma_50_share": 0.7,
    "above_sma_200_share": 0.65,
}
Out = TypeVar("Out", bound=BaseModel)


def known(symbol: str, view: str = "trending_bull", **indicators: float | None) -> SymbolFacts:
    """The facts of one symbol at the close before DAY: close 100 over a 20-session high of 98."""
    return SymbolFacts(
        symbol=symbol,
        session=BEFORE,
        bar={"symbol": symbol, "open": 99.0, "high": 101.0, "low": 98.0, "close": 100.0, "volume": 1.5e6},
        indicators={**INDICATORS, **indicators},
        previous={"high_20": 98.0},
        regime={"symbol": symbol, "strategy_view": view},
        split_ratio=Decimal(1),
    )


def facts(*symbols: SymbolFacts, **changed: Any) -> Facts:
    """What is knowable an hour before the open."""
    shown = symbols or (known("AAA"), known("BBB", "trending_bear"), known("CCC", "mixed"))
    given: dict[str, Any] = {"breadth": BREADTH_ROW, "market_regime": MARKET_ROW, **changed}
    return Facts(AS_OF, BEFORE, {each.symbol: each for each in shown}, **given)


def cited(symbol: str, column: str = "rsi_14", value: float | str = 60.0, table: str = "indicators") -> Evidence:
    return Evidence(table=table, session=BEFORE, symbol=symbol, column=column, value=value)


def brief(agent: str, symbol: str, signal: float, confidence: float = 0.5, **changed: Any) -> Brief:
    """One analyst's brief: one sentence, one reading."""
    given: dict[str, Any] = {
        "reasons": (f"{agent} looked at the readings.",),
        "evidence": (cited(symbol) if symbol != MARKET else cited(MARKET, "above_sma_50_share", 0.7, "breadth"),),
        "route": "rules",
        **changed,
    }
    return Brief(agent=agent, symbol=symbol, as_of=AS_OF, signal=signal, confidence=confidence, **given)


def briefs() -> tuple[Brief, ...]:
    """AAA is liked by two, BBB disliked by two, CCC by nobody; the market is mildly good."""
    return (
        brief("technical", "AAA", 0.8),
        brief("news", "AAA", 0.4),
        brief("technical", "BBB", -0.8),
        brief("news", "BBB", -0.4),
        brief("technical", "CCC", 0.0),
        brief("breadth", MARKET, 0.2),
    )


def narrative(symbol: str = "AAA", **changed: Any) -> Narrative:
    given: dict[str, Any] = {
        "story": "Orders rise.",
        "counter_story": "A rival cuts its prices.",
        "stage": "emerging",
        "velocity": 0.4,
        "direction": 0.5,
        "consensus": 0.8,
        "source_diversity": 0.5,
        "edge": "high",
        "items": 4,
        "route": "rules",
        "evidence": (cited(symbol, "headline", "0a1b2c", "news"),),
        **changed,
    }
    return Narrative(session=DAY, as_of=AS_OF, symbol=symbol, **given)


def voices(*signals: tuple[str, str, float], weight: float = 1.0) -> tuple[Voice, ...]:
    """Voices of full confidence, so that each counts its signal in log-odds."""
    return tuple(Voice(source=a, symbol=s, signal=v, confidence=1.0, weight=weight) for a, s, v in signals)


def cases(symbol: str, bull: float, bear: float) -> tuple[Case, Case]:
    """Both sides' cases on one symbol."""

    def case(side: str, strength: float) -> Case:
        points = ("A point.",) if strength else ()
        return Case.model_validate(
            {"symbol": symbol, "side": side, "strength": strength, "points": points, "evidence": (), "route": "rules"}
        )

    return case("bull", bull), case("bear", bear)


def thesis(symbol: str = "AAA", direction: str = "long", **changed: Any) -> Thesis:
    """A live swing thesis that was formed two sessions ago."""
    given: dict[str, Any] = {
        "id": f"{symbol}-{direction}",
        "claim": f"{symbol} goes on.",
        "horizon": "swing",
        "formed_slot": "09:30",
        "formed": XNYS.previous(DAY, 2).day,
        "formed_at": AS_OF,
        "expires": XNYS.next(DAY, 18).day,
        "reference": Decimal(100),
        "target": Decimal(106),
        "invalidation": Decimal(95),
        "regime": "trending_bull",
        "author": "rules",
        "confidence_formed": 0.6,
        "confidence": 0.6,
        "as_of": AS_OF,
        "contributions": (Contribution(source="technical", log_odds=0.4, at=AS_OF),),
        **changed,
    }
    return Thesis(symbol=symbol, direction=direction, **given)  # type: ignore[arg-type]


def mind(*theses: Thesis) -> Mind:
    return Mind(theses=theses)


def lesson(symbol: str = "AAA", *, number: int = 1, hours_ago: float = 24.0, **changed: Any) -> Lesson:
    """What a closed trade taught, knowable so many hours before AS_OF."""
    given: dict[str, Any] = {
        "id": f"trade-{number}",
        "session": BEFORE,
        "resolved_at": AS_OF - timedelta(hours=hours_ago),
        "strategy": "pullback",
        "regime": "mild_trend",
        "direction": "long",
        "thesis_id": "t",
        "confidence": 0.6,
        "votes": {},
        "opened": BEFORE,
        "sessions_held": 3,
        "exit_reason": "stop",
        "pnl": Decimal("-12.50"),
        "return_fraction": -0.01,
        "r_multiple": -1.0,
        "grade": "D",
        "lesson": f"{symbol} was bought late.",
        **changed,
    }
    return Lesson(symbol=symbol, **given)


def candidate(strategy: str = "momentum_breakout", symbol: str = "AAA", **changed: Any) -> Candidate:
    """A setup that risks 4 and may gain 8."""
    given: dict[str, Any] = {
        "side": "long",
        "view": "trending_bull",
        "thesis_id": f"{symbol}-long",
        "confidence": 0.6,
        "reference": Decimal(100),
        "entry": Decimal(100),
        "stop": Decimal(96),
        "target": Decimal(108),
        "reasons": ("The close broke the high.",),
        **changed,
    }
    return Candidate(strategy=strategy, symbol=symbol, **given)


def stance(word: str = "normal", size_fraction: float = 1.0) -> Stance:
    return Stance.model_validate(
        {
            "stance": word,
            "size_fraction": size_fraction,
            "strategies": STRATEGIES,
            "reasons": ("Calm.",),
            "route": "rules",
        }
    )


def ruled(ask: Ask[Any, Any]) -> Answer[Any]:
    """What the rules member answers; it must have an opinion, and pass its own check."""
    answer = by_rules(ask.role, ask.inputs)
    assert isinstance(answer, Answer)
    assert ask.role.check is not None
    assert ask.role.check(ask.inputs, answer.value) is None
    return answer


def answered(value: Out, **changed: Any) -> Answer[Out]:
    """A model's answer."""
    given: dict[str, Any] = {"route": "anthropic", "model": "some-model", "leakage": "unknown", "key": "k-1", **changed}
    return Answer(
        value=value,
        skill_hash="",
        prompt_hash="",
        usage=Usage(),
        cost_usd=Decimal("0.001"),
        shadow_usd=Decimal(0),
        latency_ms=5,
        cached=False,
        **given,
    )


SILENT = Abstention("nobody answered")
