"""What was said before a slot, and whom the slot may ask: the path-free opinions of a session and the way to the agents."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from trading_assets.briefs.model import Brief
from trading_assets.briefs.narratives.model import Narrative
from trading_assets.core.slots import Slot
from trading_assets.reasoning.model import Budget
from trading_assets.reasoning.ports import Reasoner
from trading_assets.theses.debate import ArguedCase
from trading_assets.theses.model import Silence, Stance


@dataclass(frozen=True, slots=True)
class Opinions:
    """What analysts, researchers and the chief said of one session before its open."""

    briefs: tuple[Brief, ...] = ()
    narratives: tuple[Narrative, ...] = ()
    cases: tuple[ArguedCase, ...] = ()
    stance: Stance | None = None
    silences: tuple[Silence, ...] = ()


NOBODY = Opinions()


@dataclass(frozen=True)
class Counsel:
    """Who is asked during a slot, what may be spent on it, and how long it is waited for."""

    reasoner: Reasoner
    budget_of: Callable[[Slot], Budget]
    patience: timedelta | None = None
    said: Mapping[str, Opinions] = field(default_factory=dict)

    def before(self, slot: Slot) -> Opinions:
        """What was said before the slot's session."""
        return self.said.get(slot.session.key, NOBODY)
