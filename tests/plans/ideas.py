"""Hand-made facts, theses, plans and portfolios that the tests of the decision rooms share: round numbers, one symbol."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from trading_assets.briefs.facts import Facts, SymbolFacts
from trading_assets.briefs.model import Evidence
from trading_assets.briefs.narratives.model import Narrative
from trading_assets.core.calendar import XNYS
from trading_assets.core.preferences import Preferences
from trading_assets.core.slots import Slot, slots_of
from trading_assets.plans.model import Candidate, TradePlan, Vote
from trading_assets.plans.portfolio import Holding, Portfolio
from trading_assets.plans.strategies import STRATEGIES, Scene
from trading_assets.theses.memory.model import Lesson
from trading_assets.theses.model import Mind, Stance, Thesis

DAY = date(2012, 6, 15)
BEFORE = XNYS.previous(DAY).day
SLOT: Slot = slots_of(XNYS.session(DAY), ("09:30",))[0]

LIMITS = Preferences()
LOOSE = Preferences(
    position_fraction_max=0.25,
    positions_max=50,
    sector_fraction_max=1.0,
    gross_exposure_fraction_max=1.0,
    order_notional_usd_max=1_000_000.0,
    order_quantity_max=100_000,
    order_share_of_volume_max=0.10,
    price_usd_min=1.0,
    risk_per_trade_fraction_max=0.05,
    stop_distance_fraction_min=0.0001,
    stop_distance_fraction_max=0.25,
    reward_to_risk_min=1.0,
)


def slot_at(label: str, day: date = DAY) -> Slot:
    """A slot of a session."""
    return slots_of(XNYS.session(day), (label,))[0]


def known(
    view: str,
    bar: Mapping[str, float],
    indicators: Mapping[str, float | None],
    previous: Mapping[str, float | None] | None = None,
    *,
    symbol: str = "AAA",
    split: str = "1",
) -> SymbolFacts:
    """The facts of one symbol at the close before DAY."""
    return SymbolFacts(
        symbol=symbol,
        session=BEFORE,
        bar={"symbol": symbol, "session": BEFORE, **bar},
        indicators=indicators,
        previous=previous or {},
        regime={"symbol": symbol, "strategy_view": view},
        split_ratio=Decimal(split),
    )


def breakout(**changed: Any) -> SymbolFacts:
    """Everything that momentum_breakout asks for, at the edge where it asks for at least: close 100, ATR 2."""
    bar = {"open": 99.0, "high": 101.0, "low": 98.0, "close": 100.0, "volume": 1_200_000.0}
    indicators = {"atr_14": 2.0, "volume_mean_20": 1_000_000.0}
    return _changed(known("trending_bull", bar, indicators, {"high_20": 99.99}), changed)


def dip(**changed: Any) -> SymbolFacts:
    """Everything that mean_reversion asks for, by RSI and by the lower band: close 100, middle band 110."""
    bar = {"open": 101.0, "high": 102.0, "low": 98.99, "close": 100.0, "volume": 1_000_000.0}
    indicators = {"rsi_14": 29.99, "bb_lower_20_2": 99.0, "bb_middle_20_2": 110.0, "atr_14": 2.0, "volume_mean_20": 1e6}
    return _changed(known("range", bar, indicators), changed)


def return_to_mean(**changed: Any) -> SymbolFacts:
    """Everything that pullback asks for, at its edges: EMA(50) 99 and ATR 2, so a low of 100 is just near enough."""
    bar = {"open": 101.0, "high": 102.0, "low": 100.0, "close": 100.0, "volume": 1_000_000.0}
    indicators = {"ema_50": 99.0, "atr_14": 2.0, "high_20": 112.0, "sma_200": 100.0, "volume_mean_20": 1e6}
    return _changed(known("mild_trend", bar, indicators), changed)


def _changed(facts: SymbolFacts, changed: Mapping[str, Any]) -> SymbolFacts:
    """`view`, `split` and `symbol` replace those; other names replace a value wherever it stands; None takes it away."""
    bar, indicators, previous = dict(facts.bar), dict(facts.indicators), dict(facts.previous)
    values = {name: value for name, value in changed.items() if name not in {"view", "split", "symbol"}}
    for name, value in values.items():
        row = next(row for row in (bar, previous, indicators) if name in row)
        row[name] = value
    symbol = str(changed.get("symbol", facts.symbol))
    view, split = str(changed.get("view", facts.view)), str(changed.get("split", facts.split_ratio))
    return known(view, bar, indicators, previous, symbol=symbol, split=split)


def desk_of(*symbols: SymbolFacts, **more: Any) -> Facts:
    """What the slot sees: liquidity is normal wherever nothing else is said."""
    liquidity = {each.symbol: liquid() for each in symbols} | more.pop("liquidity", {})
    return Facts(SLOT.at, BEFORE, {each.symbol: each for each in symbols}, None, None, liquidity=liquidity, **more)


def liquid(regime: str = "normal", *, basis: str = "quotes", **more: Any) -> dict[str, Any]:
    """A row of LIQUIDITY_REGIMES."""
    return {"session": BEFORE, "regime": regime, "basis": basis, "evidence": "spread and depth", **more}


def bar_at(slot: Slot, *, minutes_old: int = 0, symbol: str = "AAA", **changed: Any) -> dict[str, Any]:
    """A row of INTRADAY_FEATURES whose 5-minute bar ended some minutes before the slot: close 100 over a VWAP of 99."""
    end = slot.at - timedelta(minutes=minutes_old)
    row = {"symbol": symbol, "session": slot.session.day, "frequency": "5m", "start": end - timedelta(minutes=5)}
    return {**row, "close": 100.0, "vwap_20": 99.0, "rsi_14": 59.9, "spread_bp": None, "knowable_at": end, **changed}


def apart(a: str = "AAA", b: str = "BBB", **changed: Any) -> dict[str, Any]:
    """A row of CORRELATIONS at the edge of what qualifies: a stands 2.1 deviations above b."""
    row = {
        "correlation_20": 0.1,
        "correlation_120": 0.5,
        "divergence": -2.0,
        "gap_z": 2.1,
        "half_life_sessions": 10.0,
        "convergence_odds": 1.0,
        "convergence_low": 0.5655,
        "convergence_high": 1.0,
        "episodes": 5,
    }
    return {"symbol_a": a, "symbol_b": b, "session": BEFORE, **row, **changed}


def told(symbol: str = "AAA", **changed: Any) -> Narrative:
    """A young story with an edge that speaks for the long side."""
    cited = Evidence(table="news", session=BEFORE, symbol=symbol, column="headline", value="digest")
    fields: dict[str, Any] = {
        "session": DAY,
        "as_of": SLOT.at - timedelta(hours=1),
        "symbol": symbol,
        "story": "orders rise",
        "stage": "emerging",
        "velocity": 0.4,
        "direction": 0.5,
        "consensus": 0.8,
        "source_diversity": 0.5,
        "edge": "high",
        "items": 4,
        "evidence": (cited,),
        "route": "rules",
    }
    return Narrative(**{**fields, **changed})


def scene(facts: SymbolFacts, *others: SymbolFacts, slot: Slot = SLOT, **more: Any) -> Scene:
    """The symbol as a strategy sees it; every symbol is its own sector unless said otherwise."""
    narrative, sectors = more.pop("narrative", None), more.pop("sectors", None)
    desk = desk_of(facts, *others, **more)
    return Scene(slot, desk, facts, narrative, sectors or {symbol: symbol for symbol in desk.symbols})


def thesis(symbol: str = "AAA", confidence: float = 0.55, **changed: Any) -> Thesis:
    """A live long thesis of a given confidence; 0.55 is the least that a strategy asks for."""
    fields: dict[str, Any] = {
        "id": f"thesis-{symbol}",
        "symbol": symbol,
        "direction": "long",
        "claim": "it rises",
        "horizon": "swing",
        "formed": BEFORE,
        "formed_slot": SLOT.label,
        "formed_at": SLOT.at - timedelta(days=1),
        "expires": XNYS.next(DAY, 20).day,
        "reference": Decimal(100),
        "target": Decimal(110),
        "invalidation": Decimal(90),
        "regime": "trending_bull",
        "author": "rules",
        "confidence_formed": confidence,
        "confidence": confidence,
        "as_of": SLOT.at,
    }
    return Thesis(**{**fields, **changed})


def mind(*theses: Thesis) -> Mind:
    """What the desk believes."""
    return Mind(theses=theses)


def stance(size_fraction: float = 1.0, *, strategies: Sequence[str] = tuple(STRATEGIES)) -> Stance:
    """The chief's word: everything may open at the whole size."""
    return Stance(
        stance="normal", size_fraction=size_fraction, strategies=tuple(strategies), reasons=("calm",), route="rules"
    )


def vote(persona: str, on: Candidate, value: float) -> Vote:
    """One persona's vote on one candidate."""
    return Vote(
        persona=persona,
        strategy=on.strategy,
        symbol=on.symbol,
        side=on.side,
        vote=value,
        reason="it looks so",
        route="rules",
    )


def lesson(session: date, pnl: str, **votes: float) -> Lesson:
    """A trade that closed in a session, with what each persona had voted."""
    return Lesson(
        id=f"{session}-{pnl}",
        session=session,
        resolved_at=XNYS.session(session).close,
        symbol="AAA",
        strategy="pullback",
        regime="mild_trend",
        direction="long",
        thesis_id="thesis-AAA",
        confidence=0.6,
        votes=votes,
        opened=session,
        sessions_held=0,
        exit_reason="target",
        pnl=Decimal(pnl),
        return_fraction=0.01,
        r_multiple=None,
        grade="B",
        lesson="it went as planned",
    )


def plan(
    quantity: int = 100,
    *,
    entry: str = "50.00",
    stop: str | None = "49.00",
    target: str | None = "52.00",
    reference: str | None = None,
    symbol: str = "AAA",
) -> TradePlan:
    """An entry of 100 shares at 50 USD, 1 USD at risk and 2 to win; without stop and target an exit."""
    return TradePlan(
        session=DAY,
        slot=SLOT.label,
        as_of=SLOT.at,
        action="enter" if stop or target else "exit",
        strategy="momentum_breakout",
        symbol=symbol,
        regime="trending_bull",
        quantity=quantity,
        reference=Decimal(reference or entry),
        entry=Decimal(entry),
        stop=Decimal(stop) if stop else None,
        target=Decimal(target) if target else None,
        thesis_id="thesis",
        confidence=0.6,
        reasons=("it was asked for",),
    )


def holding(symbol: str, value: str | int = 5_000, *, quantity: int = 100, sessions: int = 3) -> Holding:
    """Shares held since some sessions."""
    opened = XNYS.previous(DAY, sessions).day
    return Holding(symbol, quantity, Decimal(value), "momentum_breakout", opened, sessions)


def portfolio(*holdings: Holding, cash: str | int = 100_000) -> Portfolio:
    """Cash and holdings."""
    return Portfolio(Decimal(cash), {each.symbol: each for each in holdings})


def held_by(strategy: str, each: Holding) -> Holding:
    """The holding as another strategy's."""
    return replace(each, strategy=strategy)
