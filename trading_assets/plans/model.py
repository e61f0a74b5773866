"""A trade plan: everything an order needs, computed by code."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from trading_assets.core.ids import digest, short_id
from trading_assets.core.tables import KNOWABLE_AT, SESSION, SYMBOL, Column, Table
from trading_assets.reasoning.origin import ORIGIN

PlanAction = Literal["enter", "add", "trim", "exit"]
PlanSide = Literal["long", "short"]
OrderStyle = Literal["capped_limit", "passive_limit", "bid_plus_tick", "market"]
Price = Annotated[Decimal, Field(gt=0, allow_inf_nan=False)]


class Candidate(BaseModel):
    """A setup that a strategy found, before anybody voted on it; USD in today's share count.

    `side` is the position's: long gains when the price rises. `pair` ties the two legs of a hedge: both trade, or neither. What is
    `switched_off` never trades; it is followed to see what its strategy would have done.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    strategy: str
    symbol: str
    side: PlanSide
    view: str
    thesis_id: str
    confidence: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
    reference: Price
    entry: Price
    stop: Price
    target: Price
    size_fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    style: OrderStyle = "capped_limit"
    flat_by_close: bool = False
    pair: str = ""
    proposal: str = ""
    switched_off: bool = False
    reasons: Annotated[tuple[str, ...], Field(min_length=1)]

    @property
    def key(self) -> tuple[str, str, str]:
        """What votes refer to."""
        return (self.strategy, self.symbol, self.side)


class Vote(BaseModel):
    """What one persona says of one candidate: -1 (against) to 1 (for)."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    persona: str
    strategy: str
    symbol: str
    side: PlanSide
    vote: Annotated[float, Field(ge=-1, le=1)]
    reason: str
    route: str
    model: str = ""
    leakage: str = "clean"
    answer_key: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """The candidate that it is about."""
        return (self.strategy, self.symbol, self.side)


class Proposal(BaseModel):
    """A trade that somebody asks for in a chat: which symbol, side and strategy, and why. Code computes all numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    at: datetime
    author: str
    symbol: str
    side: PlanSide
    strategy: str
    reason: Annotated[str, Field(min_length=1, max_length=500)]


class TradePlan(BaseModel):
    """One proposed trade. An entry, or an addition, carries stop and target; an exit or a trim only ever reduces.

    `reference` is the last price that the decision knew, `entry` the worst that it will pay (long) or take (short). A field that
    has its default is not part of the digest, so that a plan of an earlier version keeps its own.
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
    side: PlanSide = "long"
    style: OrderStyle = "capped_limit"
    flat_by_close: bool = False
    pair: str = ""
    proposal: str = ""
    votes: Mapping[str, float] = Field(default_factory=dict)
    consensus: Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.opens and (self.stop is None or self.target is None):
            raise ValueError(f"a plan to {self.action} needs a stop and a target")
        if not self.opens and (self.stop is not None or self.target is not None):
            raise ValueError(f"a plan to {self.action} has neither stop nor target")
        return self

    @property
    def opens(self) -> bool:
        """True for what enlarges a position."""
        return self.action in {"enter", "add"}

    @property
    def id(self) -> str:
        """The slot's key: never made from what a strategy or model answered beyond symbol and strategy."""
        return short_id(self.session, self.slot, self.strategy, self.symbol, self.action)

    @property
    def digest(self) -> str:
        """sha256 of the whole plan: what verdicts and intents refer to."""
        return digest(self.model_dump(mode="json", exclude_defaults=True))

    @property
    def notional(self) -> Decimal:
        """Quantity times entry, USD."""
        return self.entry * self.quantity

    @property
    def risk_per_share(self) -> Decimal | None:
        """What a share loses at the stop, USD; None without a stop on the losing side of the entry."""
        if self.stop is None:
            return None
        risk = self.entry - self.stop if self.side == "long" else self.stop - self.entry
        return risk if risk > 0 else None

    @property
    def reward_to_risk(self) -> Decimal | None:
        """What a share gains at the target over what it loses at the stop; None for exits and for a stop on the wrong side."""
        risk = self.risk_per_share
        if risk is None or self.target is None:
            return None
        return (self.target - self.entry if self.side == "long" else self.entry - self.target) / risk


VOTES = Table(
    name="votes",
    doc="What one persona said of one candidate, what it counted, and what it would have done alone.",
    key=("session", "slot", "persona", "strategy", "symbol", "side"),
    columns=(
        SESSION,
        Column("slot", "text", "Decision time, New York HH:MM; HH:MM:SS for a look that an event caused."),
        Column("persona", "text", "Who voted."),
        Column("strategy", "text", "Strategy of the candidate."),
        SYMBOL,
        Column("side", "text", "long or short."),
        Column("vote", "number", "-1 (against) to 1 (for)."),
        Column("weight", "number", "What the vote counted, 0.3 to 2."),
        Column("alone", "text", "What it would have done alone: enter or pass."),
        Column("consensus", "number", "Weighted mean of all votes on the candidate, -1 to 1."),
        Column("outcome", "text", "planned, or why not."),
        Column("quantity_alone", "count", "Shares that it would have bought alone; 0 for pass."),
        Column("reason", "text", "One sentence."),
        *ORIGIN,
        KNOWABLE_AT,
    ),
)

TRADE_PLANS = Table(
    name="trade_plans",
    doc="One proposed trade, before the risk gate.",
    key=("session", "plan_id"),
    columns=(
        SESSION,
        Column("slot", "text", "Decision time, New York HH:MM; HH:MM:SS for a look that an event caused."),
        Column("plan_id", "text", "Made from book-independent slot, strategy, symbol and action."),
        Column("plan_digest", "text", "sha256 of the whole plan."),
        Column("action", "text", "enter, add, trim or exit."),
        Column("side", "text", "long or short: the position's."),
        Column("strategy", "text", "Strategy that proposes."),
        SYMBOL,
        Column("regime", "text", "The symbol's regime at the decision."),
        Column("quantity", "count", "Shares."),
        Column("reference", "usd", "Last price that the decision knew, USD."),
        Column("entry", "usd", "Limit of the entry, or the last price for what reduces, USD."),
        Column("stop", "usd", "USD.", nullable=True),
        Column("target", "usd", "USD.", nullable=True),
        Column("style", "text", "capped_limit, passive_limit, bid_plus_tick or market."),
        Column("flat_by_close", "flag", "The position ends with the session."),
        Column("pair", "text", "Ties the legs of a hedge; empty otherwise."),
        Column("proposal", "text", "The proposal that asked for it; empty otherwise."),
        Column("thesis_id", "text", "The thesis that it serves."),
        Column("confidence", "number", "0 to 1."),
        Column("votes", "text", "JSON: each persona's vote, -1 to 1."),
        Column("consensus", "number", "Weighted mean of the votes; empty where nobody voted.", nullable=True),
        Column("reasons", "text", "JSON list of sentences."),
        KNOWABLE_AT,
    ),
)
