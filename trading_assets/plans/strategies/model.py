"""What a strategy is: a pure function from one scene to a setup, with the views in which it may act."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from trading_assets.briefs.facts import Facts, SymbolFacts
from trading_assets.briefs.narratives.model import Narrative
from trading_assets.core.money import to_tick
from trading_assets.core.parameters import Parameters
from trading_assets.core.settings import StrategyName
from trading_assets.core.slots import Slot
from trading_assets.plans.model import PlanSide

ENTRY_CAP = Decimal("0.005")
REWARD_TO_RISK_MIN = Decimal("1.5")


@dataclass(frozen=True, slots=True)
class Scene:
    """One symbol in one slot, as a strategy sees it.

    Sectors are by symbol; the narrative is the session's own, if there is one; the parameters are the session's.
    """

    slot: Slot
    facts: Facts
    known: SymbolFacts
    narrative: Narrative | None
    sectors: Mapping[str, str]
    parameters: Parameters = field(default_factory=Parameters)


@dataclass(frozen=True, slots=True)
class Setup:
    """An idea before order style and size: USD in today's share count; `entry` is the worst price that it takes."""

    reference: Decimal
    entry: Decimal
    stop: Decimal
    target: Decimal
    reasons: tuple[str, ...]
    flat_by_close: bool = False


@dataclass(frozen=True, slots=True)
class Strategy:
    """A named rule: the views of its symbol in which it may act, how long it holds, and when it enters.

    A strategy without a `setup` needs two symbols at once: its legs are found by `plans.pairs`. `short_views` are those in which
    the leg that is sold short may stand; a strategy without any never sells short.
    """

    name: StrategyName
    views: tuple[str, ...]
    holding_sessions_max: int
    setup: Callable[[Scene], Setup | None] | None
    intraday: bool = False
    short_views: tuple[str, ...] = ()

    def views_of(self, side: PlanSide) -> tuple[str, ...]:
        """The views in which it may open that side."""
        return self.views if side == "long" else self.short_views


def price(value: float) -> Decimal:
    """A measured price as an exact decimal, USD."""
    return Decimal(str(value))


def capped(reference: Decimal, side: PlanSide, cap: Decimal = ENTRY_CAP) -> Decimal:
    """The worst price that an entry takes, to the tick: above the last price for a purchase, below it for a short sale."""
    return to_tick(reference * (1 + cap if side == "long" else 1 - cap))


def ordered(side: PlanSide, entry: Decimal, stop: Decimal, target: Decimal) -> bool:
    """Whether a broker would take the bracket: stop on the losing side, target on the winning side, all above nothing."""
    return 0 < stop < entry < target if side == "long" else 0 < target < entry < stop


def reward_to_risk(entry: Decimal, stop: Decimal, target: Decimal) -> Decimal:
    """What the target gains over what the stop loses; either side of the market."""
    return abs(target - entry) / abs(entry - stop)


def bracket(
    reference: Decimal,
    entry: Decimal,
    stop: Decimal,
    target: Decimal,
    reasons: tuple[str, ...],
    *,
    side: PlanSide = "long",
) -> Setup | None:
    """The idea in cents; None where rounding or a crash leaves no bracket that a broker would take."""
    made = Setup(reference, entry, to_tick(stop), to_tick(target), reasons)
    return made if ordered(side, made.entry, made.stop, made.target) else None


def atr_bracket(
    known: SymbolFacts, atr: float, reasons: tuple[str, ...], parameters: Parameters, *, side: PlanSide = "long"
) -> Setup | None:
    """Stop and target `stop_atr` and `target_atr` average true ranges from a capped entry."""
    entry, distance = capped(known.price, side), price(atr) * (1 if side == "long" else -1)
    stop, target = distance * price(parameters.stop_atr), distance * price(parameters.target_atr)
    return bracket(known.price, entry, entry - stop, entry + target, reasons, side=side)
