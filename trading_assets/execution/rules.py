"""What stays fixed while the desk walks."""

from dataclasses import dataclass, field
from decimal import Decimal

from trading_assets.briefs.settings import AgentsSettings
from trading_assets.broker.settings import ExecutionSettings
from trading_assets.core.money import usd
from trading_assets.core.preferences import Preferences
from trading_assets.core.settings import Settings
from trading_assets.execution.model import Book, Costs


@dataclass(frozen=True, slots=True)
class Rules:
    """What stays fixed while the desk walks: the book's name, settings, limits, their hash, who thinks, and how orders go out."""

    book: str
    settings: Settings
    preferences: Preferences
    limits_hash: str
    agents: AgentsSettings
    execution: ExecutionSettings = field(default_factory=ExecutionSettings)

    @property
    def dispatches(self) -> bool:
        """Whether orders of this book go to a gateway; those of a backtest never do."""
        return self.book == "desk" and self.execution.dispatches

    @property
    def costs(self) -> Costs:
        """The paper broker's costs."""
        paper = self.settings.paper
        return Costs(
            fee_per_share=Decimal(str(paper.fee_usd_per_share)),
            fee_min=Decimal(str(paper.fee_usd_min)),
            fee_fraction_max=Decimal(str(paper.fee_fraction_max)),
            slippage_bp=Decimal(str(paper.slippage_bp)),
            volume_share_max=Decimal(str(paper.volume_share_max)),
        )

    @property
    def first_book(self) -> Book:
        """The book before its first session."""
        return Book(cash=usd(self.settings.paper.starting_cash_usd))
