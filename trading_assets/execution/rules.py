"""What stays fixed while the desk walks."""

from dataclasses import dataclass, field
from datetime import date

from trading_assets.briefs.settings import AgentsSettings
from trading_assets.broker.settings import ExecutionSettings
from trading_assets.core.money import usd
from trading_assets.core.parameters import Parameters, Tuned
from trading_assets.core.preferences import Preferences
from trading_assets.core.settings import Settings
from trading_assets.execution.model import Book, Costs


@dataclass(frozen=True, slots=True)
class Rules:
    """What stays fixed while the desk walks: the book's name, settings, limits, their hash, who thinks, orders, tuned numbers."""

    book: str
    settings: Settings
    preferences: Preferences
    limits_hash: str
    agents: AgentsSettings
    execution: ExecutionSettings = field(default_factory=ExecutionSettings)
    tuned: Tuned = field(default_factory=Tuned)

    def parameters(self, day: date) -> Parameters:
        """What is in force on a session."""
        return self.tuned.at(day)

    @property
    def dispatches(self) -> bool:
        """Whether orders of this book go to a gateway; those of a backtest never do."""
        return self.book == "desk" and self.execution.dispatches

    @property
    def costs(self) -> Costs:
        """The paper broker's costs."""
        return Costs.of(self.settings.paper)

    @property
    def first_book(self) -> Book:
        """The book before its first session."""
        return Book(cash=usd(self.settings.paper.starting_cash_usd))
