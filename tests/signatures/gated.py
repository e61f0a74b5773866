"""Plans, holdings and limits that the tests of the gate and of orders share: round numbers, one symbol."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import date
from decimal import Decimal
from typing import Any

from trading_assets.core.calendar import XNYS
from trading_assets.core.preferences import Preferences
from trading_assets.core.slots import Slot, slots_of
from trading_assets.plans.model import PlanAction, PlanSide, TradePlan
from trading_assets.plans.portfolio import Holding, Portfolio
from trading_assets.signatures.allowance import Surroundings
from trading_assets.signatures.model import Verdict
from trading_assets.signatures.state import StateRuling, TradingState

SECTORS = {"AAA": "Software", "BBB": "Software", "CCC": "Banks", **{f"H{n}": f"sector {n}" for n in range(9)}}
DAY = date(2012, 6, 15)
SLOT: Slot = slots_of(XNYS.session(DAY), ("09:30",))[0]
LIMITS = Preferences()
LOOSE = Preferences(
    position_fraction_max=0.25,
    positions_max=50,
    sector_fraction_max=1.0,
    gross_exposure_fraction_max=1.0,
    net_exposure_fraction_max=1.0,
    order_notional_usd_max=1_000_000.0,
    order_quantity_max=100_000,
    order_share_of_volume_max=0.10,
    price_usd_min=1.0,
    risk_per_trade_fraction_max=0.05,
    stop_distance_fraction_min=0.0001,
    stop_distance_fraction_max=0.25,
    reward_to_risk_min=1.0,
    related_risk_fraction_max=0.10,
    short_selling=True,
    short_exposure_fraction_max=1.0,
    add_to_losers=True,
    average_volume_min=10_000,
)


def plan(
    quantity: int = 100,
    *,
    action: PlanAction = "enter",
    side: PlanSide = "long",
    entry: str = "50.00",
    stop: str | None = "49.00",
    target: str | None = "52.00",
    reference: str | None = None,
    symbol: str = "AAA",
    pair: str = "",
) -> TradePlan:
    """100 shares at 50 USD, 1 USD at risk and 2 to win; without stop and target an exit, or the trim that it is called."""
    opens = stop or target
    return TradePlan(
        session=DAY,
        slot=SLOT.label,
        as_of=SLOT.at,
        action=action if opens or action == "trim" else "exit",
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
        side=side,
        pair=pair,
    )


def short(
    quantity: int = 100,
    *,
    action: PlanAction = "enter",
    entry: str = "50.00",
    stop: str = "51.00",
    target: str = "48.00",
    symbol: str = "AAA",
    pair: str = "",
) -> TradePlan:
    """100 shares sold short at 50 USD, 1 USD at risk and 2 to win."""
    return plan(quantity, action=action, side="short", entry=entry, stop=stop, target=target, symbol=symbol, pair=pair)


def leaving(quantity: int = 100, *, side: PlanSide = "long", action: PlanAction = "exit") -> TradePlan:
    """An exit or a trim."""
    return plan(quantity, action=action, side=side, stop=None, target=None)


def holding(
    symbol: str,
    value: str | int = 5_000,
    *,
    quantity: int = 100,
    sessions: int = 3,
    entry: str | None = "1.00",
    stop: str | None = None,
    base: int = 100_000,
) -> Holding:
    """Shares held since some sessions; bought so low and in such a size at first that no rule on additions counts."""
    opened = XNYS.previous(DAY, sessions).day
    return Holding(
        symbol,
        quantity,
        Decimal(value),
        "momentum_breakout",
        opened,
        sessions,
        entry=Decimal(entry) if entry else None,
        stop=Decimal(stop) if stop else None,
        base_quantity=base,
    )


def portfolio(*holdings: Holding, cash: str | int = 100_000) -> Portfolio:
    """Cash and holdings."""
    return Portfolio(Decimal(cash), {each.symbol: each for each in holdings})


def around(
    book: Portfolio | None = None,
    preferences: Preferences = LOOSE,
    *,
    state: TradingState = "ACTIVE",
    volume: float | None = 1_000_000.0,
    sectors: Mapping[str, str] = SECTORS,
    related: Mapping[str, AbstractSet[str]] | None = None,
) -> Surroundings:
    """100,000 USD in cash, an active desk and limits that stop nothing, unless said otherwise."""
    volumes = {"AAA": volume} if volume is not None else {}
    ruling = StateRuling(state, "as said")
    return Surroundings(book or portfolio(), ruling, sectors, volumes, preferences, related or {})


def tight(**limits: Any) -> Preferences:
    """Loose limits but for these."""
    return Preferences(**{**LOOSE.model_dump(), **limits})


def told(verdict: Verdict) -> tuple[str, int, list[str]]:
    """Ruling, quantity and the controls breached."""
    return verdict.ruling, verdict.quantity, [breach.control for breach in verdict.breaches]
