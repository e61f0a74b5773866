"""A trade plan: everything an order needs, computed by code."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from trading_assets.core.ids import digest, short_id
from trading_assets.core.tables import KNOWABLE_AT, SESSION, SYMBOL, Column, Table

PlanAction = Literal["enter", "exit"]
Price = Annotated[Decimal, Field(gt=0, allow_inf_nan=False)]


class TradePlan(BaseModel):
    """One proposed trade. An exit has no stop and no target; it only ever reduces.

    `reference` is the last price that the decision knew, `entry` the most that it will pay.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    session: date
    slot: str
    as_of: datetime
    action: PlanAction
    strategy: str
    symbol: str
    regime: str
    quantity: Annotated[int, Field(ge=1, le=1_000_000)]
    reference: Price
    entry: Price
    stop: Price | None
    target: Price | None
    thesis_id: str
    confidence: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
    reasons: Annotated[tuple[str, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.action == "enter" and (self.stop is None or self.target is None):
            raise ValueError("an entry needs a stop and a target")
        if self.action == "exit" and (self.stop is not None or self.target is not None):
            raise ValueError("an exit has neither stop nor target")
        return self

    @property
    def id(self) -> str:
        """The slot's key: never made from what a strategy or model answered beyond symbol and strategy."""
        return short_id(self.session, self.slot, self.strategy, self.symbol, self.action)

    @property
    def digest(self) -> str:
        """sha256 of the whole plan: what verdicts and intents refer to."""
        return digest(self.model_dump(mode="json"))

    @property
    def notional(self) -> Decimal:
        """Quantity times entry, USD."""
        return self.entry * self.quantity

    @property
    def reward_to_risk(self) -> Decimal | None:
        """(target − entry) / (entry − stop); None for exits and for a stop at or above the entry."""
        if self.stop is None or self.target is None or self.stop >= self.entry:
            return None
        return (self.target - self.entry) / (self.entry - self.stop)


TRADE_PLANS = Table(
    name="trade_plans",
    doc="One proposed trade, before the risk gate.",
    key=("session", "plan_id"),
    columns=(
        SESSION,
        Column("slot", "text", "Decision time, New York HH:MM."),
        Column("plan_id", "text", "Made from book-independent slot, strategy, symbol and action."),
        Column("plan_digest", "text", "sha256 of the whole plan."),
        Column("action", "text", "enter or exit."),
        Column("strategy", "text", "Strategy that proposes."),
        SYMBOL,
        Column("regime", "text", "The symbol's regime at the decision."),
        Column("quantity", "count", "Shares."),
        Column("reference", "usd", "Last price that the decision knew, USD."),
        Column("entry", "usd", "Limit of the entry, USD."),
        Column("stop", "usd", "USD.", nullable=True),
        Column("target", "usd", "USD.", nullable=True),
        Column("thesis_id", "text", "The thesis that it serves."),
        Column("confidence", "number", "0 to 1."),
        Column("reasons", "text", "JSON list of sentences."),
        KNOWABLE_AT,
    ),
)
