"""Everything that a slot's plans are made in, and the plans that only reduce."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from trading_assets.briefs.facts import Facts
from trading_assets.briefs.settings import AgentsSettings
from trading_assets.core.money import usd
from trading_assets.core.parameters import Parameters
from trading_assets.core.slots import Slot
from trading_assets.plans.model import PlanAction, TradePlan
from trading_assets.plans.portfolio import Holding, Portfolio
from trading_assets.plans.sizing import Room
from trading_assets.theses.model import Mind, Stance, Thesis


@dataclass(frozen=True, slots=True)
class Context:
    """One slot with its facts, thoughts, book, limits and parameters. `heard` counts the analysts that spoke on each symbol."""

    slot: Slot
    facts: Facts
    mind: Mind
    portfolio: Portfolio
    room: Room
    stance: Stance | None
    heard: Mapping[str, int]
    agents: AgentsSettings
    parameters: Parameters = field(default_factory=Parameters)

    @property
    def stance_fraction(self) -> float:
        """Share of the usual size that the stance of the day allows; nothing without a stance."""
        return self.stance.size_fraction if self.stance else 0.0

    def price(self, holding: Holding) -> Decimal:
        """The last price known of a holding, USD in today's share count: its last close, or what the book values it at."""
        known = self.facts.symbols.get(holding.symbol)
        return known.price if known is not None else usd(holding.value / holding.quantity)

    def view(self, symbol: str) -> str:
        """The view of a symbol; "unknown" without facts."""
        known = self.facts.symbols.get(symbol)
        return known.view if known is not None else "unknown"


def reducing(
    context: Context, holding: Holding, action: PlanAction, quantity: int, reason: str, thesis: Thesis | None
) -> TradePlan:
    """A plan that closes or trims a position at the market."""
    price = context.price(holding)
    return TradePlan(
        session=context.slot.session.day,
        slot=context.slot.label,
        as_of=context.slot.at,
        action=action,
        strategy=holding.strategy,
        symbol=holding.symbol,
        regime=context.view(holding.symbol),
        quantity=quantity,
        reference=price,
        entry=price,
        stop=None,
        target=None,
        thesis_id=thesis.id if thesis else holding.thesis_id,
        confidence=thesis.confidence if thesis else 0.0,
        reasons=(reason,),
        side=holding.side,
        style="market",
        pair=holding.pair,
    )
